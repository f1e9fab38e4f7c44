"""One printer: sends it a job, and knows how that ended.

    spool ──job──▶ Driver ──▶ Conversation ──▶ transport ──▶ paper
      ▲              │
      └── Printed, NotReady (nothing was sent), Doubtful (something was, and nobody knows what came out)

The invariants: CONFIRMED and FENCED are said only because of an answer on the connection that carried the job; a
printer that is silent is never taken for one that is ready; whatever happens after the first byte and before that
answer is doubt, and it is never resolved by sending the job again. Every wait has an end.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from appliance.printing.commands import COMMAND_BYTES_MAX, HEADER_BYTES_MAX
from appliance.printing.conversation import Conversation
from appliance.printing.proof import BufferLost, Fences, Markers, Probes, Proof
from appliance.printing.status import FENCE, PrinterState, PrinterStatus
from appliance.printing.transport.address import parse_url
from appliance.printing.transport.opening import open_transport
from appliance.printing.transport.port import CannotOpen, Lost, Transport


class Level(StrEnum):
    """How far it is known that a job was printed."""

    CONFIRMED = "confirmed"
    """The printer said that everything is printed."""
    FENCED = "fenced"
    """The printer has dealt with everything, as it answered what was sent behind it."""
    DELIVERED = "delivered"
    """The bytes have left this machine; no more is known."""


@dataclass(frozen=True, slots=True)
class Printed:
    level: Level


class NotReady(Exception):
    """Nothing of this job was sent: wait, and try it again."""

    def __init__(self, status: PrinterStatus) -> None:
        super().__init__(f"{status.state}: {status.reason}")
        self.status = status


class Doubtful(Exception):
    """Something of this job was sent, and nobody knows what came out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this unit can do, as `printer setup` found out with a person looking at the paper.

    codepage: the Python codec of its jobs' text.
    """

    has_marker: bool = False
    has_fence: bool = False
    has_status: bool = False
    codepage: str = "cp866"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes; a test passes small ones."""

    # A printer in the shop's own network accepts within milliseconds; three lost packets take 3 s.
    connect_s: float = 3.0
    # A status answer takes 1 to 50 ms; python-escpos allows a second, which 9,600 baud have never needed.
    answer_s: float = 1.0
    # A printer that was silent and goes on answers all that it was asked meanwhile within one read.
    quiet_s: float = 0.5
    # A checkpoint is 50 mm of paper, a second at 50 mm/s; a logo is two. A connection's first job waits so long.
    step_s: float = 3.0
    # Feeding, cutting and a logo keep a full printer from taking bytes for 2 to 3 s; a person needs longer to notice.
    stall_s: float = 30.0
    # The longest pre-check of 60 lines prints in 4 s at 100 mm/s. Later than this it is asked what is the matter.
    print_s: float = 10.0
    # How long a printer that says it is ready may take to prove it, after it was asked what is the matter.
    proof_s: float = 60.0
    # A switched-off printer on a serial line is only silent; the shop's morning must not wait longer for its copy.
    silent_s: float = 60.0
    # Without paper the job waits in the printer; longer than a day no guest waits for it.
    offline_s: float = 24 * 3600.0
    # How often a printer that is waited for is asked.
    watch_s: float = 2.0
    # How long a printer that others may wait for stays ours behind a job: the next one often comes within a minute.
    idle_s: float = 60.0
    # How often it is visited then, to see how it is: each time it is ours for some ten milliseconds.
    visit_s: float = 60.0
    # How soon `close` is noticed.
    look_s: float = 0.25
    # What a power cut can take out of a job's middle without a missing checkpoint: about eight lines.
    checkpoint_bytes: int = 512


class Driver:
    """Opens its printer when it is first needed, and again whenever it was lost.

    url: of one printer; raises BadUrl. changed: is told each status that differs from the one before, also while
    `send` waits; it must not call the driver. `close` may be called from any thread, and ends a `send` in doubt.
    """

    def __init__(
        self,
        url: str,
        *,
        capabilities: Capabilities,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        changed: Callable[[PrinterStatus], None] = lambda status: None,
        opener: Callable[[], Transport] | None = None,
        entropy: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._limits = limits or Limits()
        self._open = opener or _opener(url, capabilities.codepage, self._limits.connect_s)
        self._able = capabilities
        self._clock = clock
        self._changed = changed
        self._probes = Probes(entropy)
        self._lock = threading.Lock()
        self._is_closed = False
        self._conversation: Conversation | None = None
        self._former: Conversation | None = None
        self._used_s = self._visited_s = clock()
        self._told: PrinterStatus | None = None
        self._stalled: PrinterStatus | None = None

    def status(self) -> PrinterStatus:
        """Ask the printer now. A silent one is UNKNOWN, or STALLED when it stopped taking a job.

        Waits while `send` is under way in another thread; `changed` is told what happens meanwhile. A printer that
        others may wait for is given way to, and then asked once in `visit_s`.
        """
        with self._lock:
            is_visited = self._former is not None and self._clock() - self._visited_s < self._limits.visit_s
            if is_visited and self._told is not None:
                return self._told
            status = self._status()
            if _may_print(status):
                self._give_way()
            return status

    def send(self, job: bytes, marker: bytes, *, began: Callable[[], None]) -> Printed:
        """Send one job, and return how far it is known that it was printed.

        job: whole, from its reset to its cut. marker: four letters or digits of ASCII, not used for this printer for
        a long time. began: is called right before the first byte leaves; what it raises is passed on, and nothing was
        sent. Raises NotReady or Doubtful.
        """
        with self._lock:
            conversation = self._prepared()
            proof = self._proof(conversation, marker)
            if proof is not None:
                job = proof.woven(job, self._limits.checkpoint_bytes)
            began()
            try:
                self._write(conversation, job, proof)
                if proof is None:
                    self._await_departure(conversation, len(job))
                else:
                    self._await_proof(conversation, proof)
            except Lost as error:
                reason = self._tell(self._lost(error)).reason
                raise Doubtful(f"the connection was lost in the middle of the job: {reason}") from error
            except BufferLost as error:
                raise self._doubt(str(error)) from error
            if self._told is not None and self._told.state != PrinterState.READY:
                self._status()  # what was the matter with it is over
            self._used_s = self._clock()
            return Printed(self._level(conversation))

    def close(self) -> None:
        self._is_closed = True
        self.release()

    def release(self) -> None:
        """Let go of the printer, after the job that is under way, until it is needed again."""
        with self._lock:
            self._drop()
            self._former = None

    # --- before the first byte ----------------------------------------------------------------------------------------

    def _prepared(self) -> Conversation:
        """Return a connection to a printer that can take a job now, or raise NotReady."""
        status = self._status()
        if not _may_print(status):
            raise NotReady(status)
        conversation = self._conversation
        assert conversation is not None, "a printer that may be ready has a connection"
        try:
            has_room = conversation.has_room()
        except Lost as error:
            raise NotReady(self._tell(self._lost(error))) from error
        if not has_room:
            raise NotReady(PrinterStatus(PrinterState.STALLED, "it takes no data: switch it off and on"))
        return conversation

    def _status(self) -> PrinterStatus:
        return self._tell(self._current())

    def _current(self) -> PrinterStatus:
        """Return the status of a printer that has no job now, with a connection to it where there can be one."""
        if self._is_closed:
            return PrinterStatus(PrinterState.OFFLINE, "the service stops")
        was_open = self._conversation is not None
        try:
            return self._look(self._connected())
        except CannotOpen as error:
            return PrinterStatus(PrinterState.OFFLINE, str(error))
        except Lost as error:
            status = self._lost(error)
            # A network printer ends a connection that was idle for minutes; nothing is the matter with it.
            return self._current() if was_open else status

    def _connected(self) -> Conversation:
        if self._conversation is None:
            limits, former = self._limits, self._former
            self._conversation = Conversation(self._open(), self._clock, limits.answer_s, limits.quiet_s, former)
            self._former = None
        return self._conversation

    def _look(self, conversation: Conversation) -> PrinterStatus:
        if not conversation.transport.answers:
            return PrinterStatus(PrinterState.READY, "")
        # Before the first question, which a command that was cut off would take for its length: 1,040 bytes.
        conversation.end_the_past(HEADER_BYTES_MAX)
        status = self._asked(conversation)
        if status is None:  # Inside a picture that was cut off, some printers take a question for dots.
            conversation.end_the_past(COMMAND_BYTES_MAX)
            status = self._asked(conversation)
        if status is None:
            self._drop()  # a connection that says nothing is begun anew
            return self._stalled or _SILENT
        self._stalled = None
        if not _may_print(status):
            return status
        conversation.end_the_past(COMMAND_BYTES_MAX)
        return status if self._is_in_step(conversation) else _BEHIND

    def _asked(self, conversation: Conversation) -> PrinterStatus | None:
        """Return what the printer says of itself, None when it is silent."""
        if self._able.has_status:
            return conversation.status()
        conversation.listen(0)
        return conversation.automatic or _MUTE

    def _is_in_step(self, conversation: Conversation) -> bool:
        """Say whether the next answer to a fence can only belong to the next fence.

        A printer may still hold the fences of a connection that was lost. Ours stands behind them, so when one was
        answered and then none for longer than a checkpoint takes to print, none is left. Ours may be lost as well, with
        the printer's power: after `proof_s` it is sent again.
        """
        if self._level(conversation) != Level.FENCED or conversation.is_in_step:
            return True
        conversation.listen(0)
        is_due = conversation.fence_s is None or self._clock() - conversation.fence_s >= self._limits.proof_s
        if is_due and not conversation.answered and conversation.say(FENCE):
            conversation.fence_s = self._clock()
        ends_s = self._clock() + self._limits.answer_s
        while not conversation.answered and (left_s := ends_s - self._clock()) > 0:
            conversation.listen(left_s)
        answered = conversation.answered
        if answered:
            conversation.linger(self._limits.step_s)
        conversation.is_in_step = 0 < answered == conversation.answered
        return conversation.is_in_step

    def _proof(self, conversation: Conversation, marker: bytes) -> Proof | None:
        match self._level(conversation):
            case Level.CONFIRMED:
                return Markers(conversation, marker, self._probes)
            case Level.FENCED:
                return Fences(conversation)
            case Level.DELIVERED:
                return None

    def _level(self, conversation: Conversation) -> Level:
        if conversation.transport.answers and self._able.has_marker:
            return Level.CONFIRMED
        if conversation.transport.answers and self._able.has_fence:
            return Level.FENCED
        return Level.DELIVERED

    # --- from the first byte on ---------------------------------------------------------------------------------------

    def _write(self, conversation: Conversation, job: bytes, proof: Proof | None) -> None:
        sent = 0
        patience = _Patience(self._clock, self._limits)
        while sent < len(job):
            taken = conversation.transport.write(job[sent : sent + _WRITE_BYTES])
            sent += taken
            if taken:
                patience.begin()
                conversation.listen(0)
            else:
                self._check(patience, conversation, f"it took {sent} of {len(job)} bytes, and then nothing")
                conversation.listen(self._limits.look_s, to_write=True)
            if proof is not None:
                proof.is_given()  # a lost buffer ends the job here

    def _await_departure(self, conversation: Conversation, size: int) -> None:
        patience = _Patience(self._clock, self._limits)
        left = size
        while (now_left := conversation.transport.unsent()) > 0:
            if now_left < left:
                left = now_left
                patience.begin()
            self._check(patience, conversation, f"it took {size - left} of {size} bytes, and then nothing")
            conversation.listen(self._limits.look_s)

    def _check(self, patience: "_Patience", conversation: Conversation, what: str) -> None:
        """Raise Doubtful when a printer has taken nothing for too long. A full one cannot be asked why."""
        said = conversation.automatic
        if self._is_closed:
            raise self._doubt("the service stopped before the whole job was sent")
        if said is not None and said.state != PrinterState.READY:
            self._tell(said)
            if patience.is_over_waiting():
                raise self._doubt(f"it waited too long: {said.reason}")
        elif patience.is_over():
            self._stalled = self._tell(PrinterStatus(PrinterState.STALLED, f"{what}: switch it off and on"))
            raise self._doubt(what)

    def _await_proof(self, conversation: Conversation, proof: Proof) -> None:
        """Return when the printer has shown that it printed the job; ask it what is the matter when it does not.

        A printer that waits for paper is waited for: it prints what it holds when the paper is in.
        """
        limits = self._limits
        heard_s = moved_s = looked_s = began_s = self._clock()
        is_probed = False
        while not proof.is_given():
            conversation.listen(limits.look_s)
            now_s = self._clock()
            if self._is_closed:
                raise self._doubt("the service stopped before the printer said that it had printed")
            if proof.has_moved():
                heard_s = moved_s = now_s
            if now_s - looked_s < limits.watch_s:
                continue
            status = self._watch(conversation, is_moving=now_s - moved_s < limits.print_s)
            looked_s = self._clock()
            if status is None:
                if looked_s - heard_s >= limits.silent_s:
                    raise self._doubt("it fell silent before it said that it had printed")
                continue
            heard_s = looked_s
            if not _may_print(status):
                moved_s, is_probed = heard_s, False
                if heard_s - began_s >= limits.offline_s:
                    raise self._doubt(f"it waited too long: {status.reason}")
            elif not is_probed and heard_s - moved_s >= limits.print_s:
                is_probed = proof.probe()
            elif is_probed and heard_s - moved_s >= limits.print_s + limits.proof_s:
                raise self._doubt("it is ready again, but never said that it had printed")

    def _watch(self, conversation: Conversation, *, is_moving: bool) -> PrinterStatus | None:
        """Return the status of a printer that has a job now, None when it is silent.

        While the paper moves, silence is not told: a full printer takes the question when it has room for it.
        """
        if not self._able.has_status:
            return conversation.automatic or _MUTE
        status = conversation.status()
        if status is not None or not is_moving:
            self._tell(status or _SILENT)
        return status

    # --- what everything uses -----------------------------------------------------------------------------------------

    def _tell(self, status: PrinterStatus) -> PrinterStatus:
        if status != self._told:
            self._told = status
            self._changed(status)
        return status

    def _lost(self, error: Lost) -> PrinterStatus:
        self._drop()
        return PrinterStatus(PrinterState.OFFLINE, str(error))

    def _doubt(self, reason: str) -> Doubtful:
        """End the connection, so that nothing that still comes can be taken for an answer about another job."""
        self._drop()
        return Doubtful(reason)

    def _give_way(self) -> None:
        """End a connection that nothing is under way on, where others may wait for the printer."""
        conversation, now_s = self._conversation, self._clock()
        if (
            conversation is not None
            and conversation.transport.is_shared
            and now_s - self._used_s >= self._limits.idle_s
        ):
            self._drop()
            self._former, self._visited_s = conversation, now_s

    def _drop(self) -> None:
        if self._conversation is not None:
            self._conversation.transport.close()
            self._conversation = None


class _Patience:
    """How long a printer may take no data: without a reason `stall_s`, with one `offline_s`."""

    def __init__(self, clock: Callable[[], float], limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self.begin()

    def begin(self) -> None:
        self._began_s = self._excused_s = self._clock()

    def is_over(self) -> bool:
        return self._clock() - self._excused_s >= self._limits.stall_s

    def is_over_waiting(self) -> bool:
        self._excused_s = self._clock()
        return self._excused_s - self._began_s >= self._limits.offline_s


def _opener(url: str, codepage: str, connect_s: float) -> Callable[[], Transport]:
    address = parse_url(url)
    if address is None:
        raise ValueError("an empty printer URL means that there is no printer, so it has no driver")
    return lambda: open_transport(address, codepage=codepage, connect_s=connect_s)


def _may_print(status: PrinterStatus) -> bool:
    return status.state == PrinterState.READY or status == _MUTE


_WRITE_BYTES = 4096
"""What a terminal's queue in the kernel takes at once."""

_SILENT = PrinterStatus(PrinterState.UNKNOWN, "it does not answer: is it switched on, and is its cable in?")
_BEHIND = PrinterStatus(
    PrinterState.UNKNOWN,
    "it still prints what it was sent before; if it does not, switch it off and on",
)
_MUTE = PrinterStatus(PrinterState.UNKNOWN, "this printer cannot tell its state")
