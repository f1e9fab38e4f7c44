"""One connection to a printer: what is written to it, and what it has said on it and nobody has used yet.

It stands between the transport and the driver. Nothing heard on one connection is ever used on another. The only
waiting is in `listen`, so the driver's clock may be any clock that the transport's waiting advances.
"""

from collections.abc import Callable

from appliance.printing.status import (
    CAUSE,
    FAULT,
    PAPER,
    PRINTER,
    Answered,
    Automatic,
    Marked,
    PrinterStatus,
    RealTime,
    StatusReader,
    asking,
    status_of,
    status_of_automatic,
)
from appliance.printing.transport.port import Transport


class Conversation:
    """answer_s: how long a real-time answer may take. quiet_s: within this time come all that were late.

    former: the connection before this one, where it was ended with nothing of it under way any more.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float],
        answer_s: float,
        quiet_s: float,
        former: "Conversation | None" = None,
    ) -> None:
        self.transport = transport
        self.marked: list[bytes] = []
        """Markers that came, oldest first, until the driver takes them."""
        self.answered = 0
        """Answers to fences that came since the driver set this to 0."""
        self.automatic: PrinterStatus | None = None
        """The newest status that came unasked, since the last one that was asked for."""
        self.fence_s: float | None = None
        """When the fence was sent whose answer shows that none of an older one can come."""
        self.is_in_step: bool = former is not None and former.is_in_step
        """Whether it is known that no answer to an older connection's fence can come any more."""
        self._clock = clock
        self._answer_s = answer_s
        self._quiet_s = quiet_s
        self._reader = StatusReader()
        self._real_time: list[RealTime] = []
        self._owes = False
        self.nuls: int = 0 if former is None else former.nuls
        """How much of the past is ended (`end_the_past`)."""

    def listen(self, timeout_s: float, *, to_write: bool = False) -> bool:
        """Hear what comes until something came or there is room for writing (where asked), for at most `timeout_s`.

        Returns whether there is room. Raises Lost, after what came before it was heard.
        """
        has_room = self.transport.wait(timeout_s, to_write=to_write)
        for reply in self._reader.feed(self.transport.read()):
            match reply:
                case Marked(marker):
                    self.marked.append(marker)
                case Answered():
                    self.answered += 1
                case RealTime():
                    self._real_time.append(reply)
                case Automatic():
                    self.automatic = status_of_automatic(reply)
                case _:
                    pass  # its name was not asked for here, and the kernel obeys XOFF where `flow` says so
        return has_room

    def has_room(self) -> bool:
        """Say whether the printer takes data, within the time for an answer. Raises Lost."""
        ends_s = self._clock() + self._answer_s
        while not (has_room := self.listen(max(0.0, ends_s - self._clock()), to_write=True)) and self._clock() < ends_s:
            pass  # an answer came and no room yet
        return has_room

    def linger(self, seconds: float) -> None:
        """Hear all that comes for so long. Raises Lost."""
        ends_s = self._clock() + seconds
        while (left_s := ends_s - self._clock()) > 0:
            self.listen(left_s)

    def end_the_past(self, size: int) -> None:
        """End the command that an older connection was cut off in, or the printer takes what comes now for its rest.

        Between two commands a printer ignores NULs; in a picture they are white dots, elsewhere parameters or nothing.
        Sends `size` of them on the whole. Raises Lost.
        """
        if self.nuls < size and self.say(bytes(size - self.nuls)):
            self.nuls = size

    def status(self) -> PrinterStatus | None:
        """Ask for the status; None when the printer is silent. Raises Lost."""
        answers = {}
        for subject in (PRINTER, PAPER, CAUSE, FAULT):
            answer = self._ask(subject)
            if answer is None and subject == PRINTER:
                return None
            if answer is not None:
                answers[subject] = answer
        self.automatic = None  # a printer that was reset since then does not tell any more what has changed
        return status_of(answers)

    def say(self, data: bytes) -> bool:
        """Write a short command whole, within the time for an answer; say whether it was taken. Raises Lost."""
        ends_s = self._clock() + self._answer_s
        while (taken := self.transport.write(data)) < len(data):
            data = data[taken:]
            if (left_s := ends_s - self._clock()) <= 0:
                return False
            self.listen(left_s, to_write=True)
        return True

    def _ask(self, subject: int) -> RealTime | None:
        self.listen(0)
        self._real_time.clear()
        if not self.say(asking(subject)):
            return None
        ends_s = self._clock() + self._answer_s
        while not self._real_time and (left_s := ends_s - self._clock()) > 0:
            self.listen(left_s)
        if not self._real_time:
            self._owes = True
            return None
        answer = self._real_time[0]
        if self._owes:
            # The answers do not say to which question they belong, and those owed all come now.
            self.linger(self._quiet_s)
            self._owes = False
        return answer
