"""A script as a person starts it: a process of its own, ended in order whatever becomes of the test."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DEADLINE_S = 60.0
"""For a script to end once it should; only a failing test waits so long."""


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python …` with its output piped, for as long as the block lasts."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # Not killed: it has a coordinator to end.
                process.communicate(timeout=DEADLINE_S)


def run(*arguments: str) -> tuple[int, str, str]:
    """Run `python …` to its end. Returns the exit code, standard output and standard error."""
    with started(*arguments) as process:
        output, errors = process.communicate(timeout=DEADLINE_S)
        return process.returncode, output, errors
