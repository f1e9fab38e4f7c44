"""What makes it known that a job was printed: markers that the printer says back, or fences that it answers.

Both are sent in the job's own stream, so their answers come in its order. They stand at a job's beginning and inside it
too, as checkpoints: with one at its end only, what a power cut takes out would be confirmed with the rest. A marker
has a name, so when a later one comes and an earlier one did not, the buffer was lost between them, and a probe behind
the job finds out. A fence has no name: one answer too few never says which, and only time tells that it will not come.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from appliance.printing.commands import Splitter
from appliance.printing.conversation import Conversation
from appliance.printing.status import FENCE, MARKER_BYTES, marking


class BufferLost(Exception):
    """The printer answered what was sent later and not what was sent before it."""


class Proof(Protocol):
    def woven(self, job: bytes, every_bytes: int) -> bytes:
        """Return the job with a checkpoint before it, after the line that fills each `every_bytes`, and behind it."""

    def is_given(self) -> bool:
        """Say whether the job is printed, by what was heard up to now. Raises BufferLost."""

    def has_moved(self) -> bool:
        """Say whether anything of the job was printed since this was last asked."""

    def probe(self) -> bool:
        """Send what a printer answers that has lost the job; say whether it was taken. Raises Lost."""


class Probes:
    """Markers of our own: no job's begins with `?`. The first is random, so that a restart repeats none soon."""

    def __init__(self, entropy: Callable[[int], int]) -> None:
        self._next = entropy(_PROBES)

    def fresh(self) -> bytes:
        number = self._next
        self._next = (number + 1) % _PROBES
        return _PREFIX + b"%03X" % number


class Markers:
    def __init__(self, conversation: Conversation, marker: bytes, probes: Probes) -> None:
        if marker.startswith(_PREFIX):
            raise ValueError(f"a job's marker begins with a letter or a digit, not as {marker!r} does")
        self._conversation = conversation
        self._marker = marker
        self._probes = probes
        self._expected: deque[bytes] = deque()
        self._is_given = self._has_moved = False

    def woven(self, job: bytes, every_bytes: int) -> bytes:
        checkpoints = _with_checkpoints(job, every_bytes, lambda: self._expect(self._probes.fresh()))
        return checkpoints + self._expect(self._marker)

    def is_given(self) -> bool:
        heard, self._conversation.marked = self._conversation.marked, []
        for marker in heard:
            if marker not in self._expected:
                continue  # of an older connection
            if marker != self._expected.popleft():
                raise BufferLost("it lost what it had not printed yet: was it switched off and on?")
            self._has_moved = True
            self._is_given = self._is_given or marker == self._marker
        return self._is_given

    def has_moved(self) -> bool:
        has_moved, self._has_moved = self._has_moved, False
        return has_moved

    def probe(self) -> bool:
        return self._conversation.say(self._expect(self._probes.fresh()))

    def _expect(self, marker: bytes) -> bytes:
        self._expected.append(marker)
        return marking(marker)


class Fences:
    """Must begin on a connection that is in step: no answer to an older fence can come."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._sent = self._seen = 0
        conversation.answered = 0

    def woven(self, job: bytes, every_bytes: int) -> bytes:
        return _with_checkpoints(job, every_bytes, self._fence) + self._fence()

    def is_given(self) -> bool:
        return self._conversation.answered >= self._sent

    def has_moved(self) -> bool:
        seen, self._seen = self._seen, self._conversation.answered
        return self._seen > seen

    def probe(self) -> bool:
        return True  # its answer could be taken for the job's

    def _fence(self) -> bytes:
        self._sent += 1
        return FENCE


def _with_checkpoints(job: bytes, every_bytes: int, checkpoint: Callable[[], bytes]) -> bytes:
    # The printer may have been switched off since it was asked, and be back in the middle of the first line.
    out = bytearray(checkpoint())
    read = since = 0
    for command in Splitter().feed(job):
        out += command
        read += len(command)
        since += len(command)
        if since >= every_bytes and command == b"\n":
            out += checkpoint()
            since = 0
    return bytes(out) + job[read:]


_PREFIX = b"?"
_PROBES = 16 ** (MARKER_BYTES - 1)
