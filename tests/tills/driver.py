"""The till under test: a process of its own, driven by lines of JSON on its standard input and output.

README.md tells what it is asked and what it answers. The invariant: whatever it must remember is in the one directory
that it was given, so a till that is killed and started again is the same till.
"""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ANSWER_S = 60.0
"""A driver that has not answered by then never will: all that it is asked it does on its own disk."""

LAST_WORDS = 2000


class Unplayable(Exception):
    """The till's driver does not do its part, so nothing can be told of the till. The text says what it did."""


class Driver:
    """One till. command: starts its driver. settings: its environment beside our own. log: where its stderr goes."""

    def __init__(self, command: Sequence[str], settings: Mapping[str, str], log: Path) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **settings}
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def start(self, **settings: str) -> None:
        """Start the driver. settings: put over those that it was made with."""
        with self._log.open("a") as log:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    env={**self._environment, **settings},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise Unplayable(f"{self._command[0]} cannot be started: {error}") from None
        self._answers = queue.Queue()
        threading.Thread(target=_read, args=(self._process, self._answers), daemon=True).start()

    def ask(self, do: str, **what: object) -> dict[str, Any]:
        """Return the driver's answer. Raises Unplayable when there is none."""
        assert self._process is not None
        assert self._process.stdin is not None
        asked = json.dumps({"do": do, **what}, ensure_ascii=False)
        try:
            self._process.stdin.write(asked + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=ANSWER_S)
        except (OSError, queue.Empty):
            line = None
        try:
            answer = None if line is None else json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            words = self._log.read_text(errors="replace")[-LAST_WORDS:]
            raise Unplayable(f"asked {asked}, the driver answered {line!r}; exit code {self._process.poll()}\n{words}")
        return answer

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):  # What was written and never read by it.
                stream.close()
        self._process = None


def _read(process: "subprocess.Popen[str]", answers: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            answers.put(line)
    except ValueError:
        pass  # It was killed, and its pipe closed.
    answers.put(None)
