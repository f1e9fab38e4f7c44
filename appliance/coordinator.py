"""The coordinator: take, reconcile, commit, announce.

It stands in the middle of a sale's way and knows neither SQL nor MQTT nor bytes on a wire:

    link ──Delivery──▶ take ──▶ turn: reconcile ──▶ store (one commit) ──▶ announce ──▶ link, spools
                       └─────▶ questions ────────────────────────────────────────────▶ link

`turn` is a plain function and a thread only calls it; a simulation calls it itself. Two invariants are kept here:
nothing is announced or settled that is not on the disk, and what is announced is what was committed.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from threading import Event

from appliance.contract import messages, paper
from appliance.contract.delivery import Channel, Delivery
from appliance.contract.limits import HEAD_BYTES, OPERATIONS_MAX, PAYLOAD_MAX
from appliance.contract.messages import Alert, Covered, Refusal, Row
from appliance.contract.operations import (
    Head,
    Message,
    Unreadable,
    identify,
    is_again,
    is_history_gap,
    read_message,
    read_operation,
    read_parents,
)
from appliance.contract.paper import Installed, Job, JobState, Look, PaperChange, Printer, Said, Sheet
from appliance.contract.topics import SHOP_DEVICE, Topics
from appliance.inbox import Inbox, Waiting
from appliance.ports import Changed, Clock, Hand, Link, Pages, Printing, Projection, Store, Turn
from appliance.questions import Questions
from appliance.stock import alerts
from appliance.stock.alerts import Cleared, Raised
from appliance.stock.errors import Rejected
from appliance.stock.operation import Count, Operation, PrintCopy, Receipt, Status
from appliance.stock.order import Fact
from appliance.stock.reconcile import reconcile
from appliance.stock.sequence import Place, place, place_message
from appliance.stock.stamps import When, when
from appliance.work import TURN_BYTES, TURN_MAX_MS, TURN_MS, Change, Order, Reply, Rest, Room, Work

log = logging.getLogger(__name__)

EXPIRY_LOOK_MS = 60_000
"""How often open receipts are looked through; a reservation lasts for hours."""

ROOM_MIN_BYTES = 256 * 1024 * 1024
"""Room on the disk below which a person is told: a receipt of ten lines took 1,966 bytes, so a month of 5,000 a day."""

STUCK_MS = 60_000
"""A queue that does not move for so long needs a person: the longest sheet prints in seconds."""

ORDER_BYTES = 256
"""What an operation that a person has commanded counts for in a turn: it costs what a sale does; an import has many."""

COVERED_BYTES = 256
"""What one epoch that a backup covers counts for in a turn: it costs about what a sale does."""


class Coordinator:
    """One shop's coordinator, for one run of the process."""

    def __init__(
        self,
        *,
        topics: Topics,
        speaker: messages.Coordinator,
        store: Store,
        pages: Pages,
        projection: Projection,
        link: Link,
        clock: Clock,
        hand: Hand,
        printing: Printing,
        reserve_ms: int,
    ) -> None:
        """reserve_ms: shop time for which an open receipt reserves."""
        self._topics = topics
        self._speaker = speaker
        self._store = store
        self._projection = projection
        self._link = link
        self._clock = clock
        self._hand = hand
        self._printing = printing
        self._inbox: Inbox[Work] = Inbox()
        self._reserve_ms = reserve_ms
        self._expired_ms = clock.shop_ms()
        self._rev = store.last_rev
        self._commit_ms = 0
        """How long the last commit took."""
        self.questions = Questions(
            topics=topics, speaker=speaker, pages=pages, link=link, hand=hand, notice=self.notice
        )
        self._has_room: bool | None = None
        self._disk_fault: Alert | None = None
        self.has_inbox = Event()
        """Set when there is something for `turn`. Whoever waits clears it, and only then calls."""
        self.has_jobs = {printer: Event() for printer in printing.printers}
        """For each printer: its queue has got something new."""
        self.resent = 0
        """Operations of this run that had come before, and changed nothing."""
        if store.is_gap_unknown and not clock.is_synchronised():
            self.notice(alerts.clock())

    # --- take ---------------------------------------------------------------------------------------------------------

    def take(self, delivery: Delivery) -> None:
        """Accept one message of a device. Never blocks; may be called from any thread."""
        if delivery.channel is not Channel.QUERY or delivery.size > PAYLOAD_MAX:
            self._put(delivery.device, delivery, len(delivery.payload))
        else:
            self.questions.take(delivery)

    def order(self, operation: dict[str, object], done: Callable[[Rejected | None], None]) -> None:
        """Have an operation of the coordinator's own device committed, which a person has commanded.

        operation: as on the wire, without `seq` and `tag`. done: is told, in the turn's thread, that it is on the disk,
        or why it was rejected. May be called from any thread.
        """
        self._put(SHOP_DEVICE, Order(operation, done), ORDER_BYTES)

    def change_paper(self, change: PaperChange, done: Callable[[str], None]) -> None:
        """Have a print job moved on, or a printer known.

        done: is told, in the turn's thread, why that was not done, or "" when it is on the disk. May be called from any
        thread.
        """
        self._put(SHOP_DEVICE, Change(change, done), 0)

    def install_printers(self) -> None:
        """Have it written down which printers there are in this run. To be called once."""
        self.change_paper(Installed(tuple(self.has_jobs)), lambda verdict: None)

    def look_at_printers(self) -> None:
        """Have it told how long sheets have waited, and a person called when they wait too long."""
        if self.has_jobs:
            self.change_paper(Look(), lambda verdict: None)

    def cover(self, covered: Covered) -> None:
        """Have a device told, in its next acks, how far the kept backups cover an epoch. Called from any thread."""
        self._put(SHOP_DEVICE, covered, COVERED_BYTES)

    def notice(self, alert: Raised | Cleared) -> None:
        """Have an alert raised or cleared that no operation causes. May be called from any thread."""
        self._put(SHOP_DEVICE, alert, 0)

    def _put(self, sender: str, work: Work, size: int) -> None:
        self._inbox.put(sender, work, size)
        self.has_inbox.set()

    # --- reconcile and commit -----------------------------------------------------------------------------------------

    def turn(self) -> int:
        """Commit what waits with one fsync, announce it, and settle it; return how much that was.

        When the store raises, nothing has changed, nothing is settled, and all of it waits for the next turn.
        """
        size_max = 1 if self._hand.is_careful else TURN_BYTES
        batch = self._inbox.take(size_max)
        if self._inbox:
            self.has_inbox.set()
        is_expiry_due = self._clock.shop_ms() - self._expired_ms >= EXPIRY_LOOK_MS
        if not (batch or is_expiry_due):
            return 0
        replies: dict[tuple[str, str | None], Reply] = {}
        finished: list[Waiting[Work]] = []
        unfinished: list[Waiting[Work]] = []
        try:
            with self._store.turn(self._clock.shop_ms(), self._clock.wall_ms()) as turn:
                turn_ms = min(max(TURN_MS, self._commit_ms), TURN_MAX_MS)
                room = Room(size_max, self._clock.shop_ms() + turn_ms, self._clock)
                for waiting in batch:
                    if unfinished or (finished and room.is_over()):
                        unfinished.append(waiting)
                    elif (rest := self._reconcile(turn, waiting.work, replies, room)) is None:
                        finished.append(waiting)
                    else:
                        unfinished.append(replace(waiting, work=rest, size=rest.size))
                    room.size -= waiting.size
                if is_expiry_due and not (batch and self._hand.is_careful):
                    self._expire(turn)
                judged_ms = self._clock.shop_ms()
                self._hand.judged()
                if any(isinstance(waiting.work, Change) for waiting in batch):
                    self._watch_printers(turn)
        except BaseException:
            self._inbox.put_back(batch)
            raise
        self._commit_ms = self._clock.shop_ms() - judged_ms
        self._announce(turn.committed(), replies)
        for waiting in finished:
            match waiting.work:
                case (Delivery() as delivery) | Rest(delivery):
                    delivery.settled()
                case Order() as order:
                    order.done(order.verdict)
                case Change() as change:
                    change.done(change.verdict)
        if unfinished:
            self._inbox.put_back(unfinished)
            self.has_inbox.set()
        self._hand.done()
        self._store.checkpoint()
        return len(batch)

    def _reconcile(
        self, turn: Turn, work: Work, replies: dict[tuple[str, str | None], Reply], room: Room
    ) -> Rest | None:
        """Deal with a piece of work, as far as there is room in this turn. Returns what is left of it for another."""
        match work:
            case Order():
                work.verdict = self._commit_own(turn, work.operation)
            case Change():
                work.verdict = turn.change_paper(work.change)
            case Covered():
                turn.cover(work)
            case Raised() | Cleared():
                turn.put_alert(work)
            case Delivery(size=size) if size > PAYLOAD_MAX:
                self._quarantine(turn, work, f"{size} bytes: at most {PAYLOAD_MAX} are allowed")
            case Delivery(channel=Channel.STATE):
                state = messages.read_state(work.payload)
                if state.is_online:
                    replies.setdefault((work.device, state.epoch), Reply()).is_handshake = True
            case Delivery(payload=payload) if payload:  # Without one somebody cleared a retained operation.
                return self._take_delivery(turn, work, replies, room)
            case Rest():
                return self._take_rest(turn, work, replies, room)
        return None

    def _expire(self, turn: Turn) -> None:
        """Release what open receipts have reserved for too long."""
        expiring = turn.expiring(turn.now_ms - self._reserve_ms)
        released = False
        for receipt, edit in expiring:
            if self._commit_own(turn, {"type": "expire", "receipt": receipt, "edit": edit}) is None:
                log.info("expired receipt=%s edit=%d", receipt, edit)
                released = True
                if self._hand.is_careful:
                    break
        if released:
            self.has_inbox.set()  # One turn takes some; the next one looks for more.
        else:
            self._expired_ms = turn.now_ms

    def _commit_own(self, turn: Turn, operation: dict[str, object]) -> Rejected | None:
        """Record an operation of the coordinator's own device, in the epoch that bears the ledger's name.

        One that was twice the end of this program is not recorded, for it would come again: an expiry each minute, a
        command whenever it is given.
        """
        name = f"{SHOP_DEVICE} {hashlib.blake2b(repr(operation).encode(), digest_size=16).hexdigest()}"
        self._hand.take(name)
        if self._hand.is_poison(name):
            turn.put_alert(alerts.internal_again(SHOP_DEVICE, f"the operation {operation}"))
            return Rejected("internal", "the coordinator failed at it twice: a fault of its own")
        epoch = self._speaker.ledger
        seq = turn.epoch(SHOP_DEVICE, epoch).seq + 1
        tag = f"{seq:016x}"
        return self._commit(
            turn, SHOP_DEVICE, epoch, Head(seq, tag, {"seq": seq, "tag": tag, **operation}), is_linked=True
        )

    def _take_delivery(
        self, turn: Turn, delivery: Delivery, replies: dict[tuple[str, str | None], Reply], room: Room
    ) -> Rest | None:
        name = f"{delivery.device} {hashlib.blake2b(delivery.payload, digest_size=16).hexdigest()}"
        self._hand.take(name)
        if self._hand.is_poison(name):
            turn.quarantine(delivery.device, "internal", delivery.size, delivery.payload[:HEAD_BYTES])
            turn.put_alert(alerts.internal(delivery.device, f"a message of {delivery.size} bytes"))
            return None
        try:
            message = read_message(delivery.payload)
        except Unreadable as error:
            self._quarantine(turn, delivery, str(error))
            return None
        return self._take_rest(turn, Rest(delivery, message, 0), replies, room)

    def _take_rest(
        self, turn: Turn, rest: Rest, replies: dict[tuple[str, str | None], Reply], room: Room
    ) -> Rest | None:
        reply = replies.setdefault((rest.delivery.device, rest.message.epoch), Reply())
        try:
            begun = self._take_operations(turn, rest, reply, room)
        except Unreadable as error:
            self._quarantine(turn, rest.delivery, str(error))
            return None
        return None if begun is None else replace(rest, begun=begun)

    def _quarantine(self, turn: Turn, delivery: Delivery, why: str) -> None:
        """Keep what names no operation, and tell a person."""
        log.warning("quarantined device=%s bytes=%d reason=%r", delivery.device, delivery.size, why)
        turn.quarantine(delivery.device, why, delivery.size, delivery.payload[:HEAD_BYTES])
        turn.put_alert(alerts.quarantine(delivery.device, why, delivery.size))

    def _take_operations(self, turn: Turn, rest: Rest, reply: Reply, room: Room) -> int | None:
        """Judge a message's operations in order, and commit as many as this turn has room for.

        Returns how many are dealt with, or None when nothing is left to do. Raises Unreadable at one that has no name.
        """
        device, message = rest.delivery.device, rest.message
        operations = message.operations[:OPERATIONS_MAX]
        left_bytes = float(room.size)
        for n, raw in islice(enumerate(operations), rest.begun, None):
            try:
                head = identify(raw)
            except Unreadable:
                reply.gap = True  # What stands behind it cannot be in order: the device is asked for it again.
                raise
            match self._place(turn, device, message, head, is_first=n == 0):
                case Place.NEXT:
                    name = f"{device} {message.epoch} {head.seq} {head.tag}"
                    self._hand.take(name)
                    if self._hand.is_poison(name):
                        self._set_aside(turn, device, message.epoch, head)
                    else:
                        is_linked = message.after is not None or head.seq == n + 1
                        self._commit(turn, device, message.epoch, head, is_linked=is_linked)
                    reply.committed += 1
                    left_bytes -= rest.each_bytes
                    if (left_bytes <= 0 or room.is_over()) and n + 1 < len(operations):
                        return n + 1
                case Place.RESENT:
                    reply.resent += 1
                case Place.GAP:
                    reply.gap = True
                    return None
                case Place.REUSED | Place.CLOSED as verdict:
                    log.warning("refused device=%s seq=%d code=%s", device, head.seq, verdict.value)
                    reply.refused.append(Refusal(head.seq, head.tag, verdict.value))
                    return None
        reply.gap = reply.gap or len(message.operations) > OPERATIONS_MAX
        return None

    def _place(self, turn: Turn, device: str, message: Message, head: Head, *, is_first: bool) -> Place:
        epoch = turn.epoch(device, message.epoch)
        if is_first:
            tag_at = partial(turn.tag_at, device, message.epoch)
            if (verdict := place_message(head.seq, message.after, epoch, tag_at)) is not Place.NEXT:
                return verdict
        return place(head.seq, epoch, partial(turn.is_committed_at, device, message.epoch, head))

    def _commit(self, turn: Turn, device: str, epoch: str, head: Head, *, is_linked: bool) -> Rejected | None:
        """Record the next operation of an epoch: applied, rejected, or known from before a fork."""
        try:
            self._fork(turn, device, epoch, head)
            if self._is_repeated(turn, device, epoch, head):
                return None
            operation = read_operation(head, is_linked=is_linked, is_own=device == SHOP_DEVICE)
            run = turn.run(operation.stamp.run) if operation.stamp else None
            happened = when(operation.stamp, operation.seen, turn.now_ms, run)
            outcome = reconcile(operation.body, _fact(device, epoch, head, operation, happened, turn), turn)
            shown = turn.sheet(operation.body.receipt) if isinstance(operation.body, Receipt | PrintCopy) else None
            if isinstance(operation.body, PrintCopy) and shown is None:
                raise Rejected("nothing-to-print", f"receipt {operation.body.receipt}: its text is no longer kept")
            rev = turn.apply(device, epoch, head, operation, happened, outcome)
            stale_at_ms = self._printing.stale_at_ms(
                happened.shop_ms, turn.now_ms, is_known=operation.stamp is None or (run is not None and run.is_whole)
            )
            match operation.body:
                case Receipt(status=Status.CANCELLED, receipt=receipt) if outcome.receipt is not None:
                    turn.cancel_jobs(receipt, "the receipt was cancelled", is_cooked=False)
                case Receipt() as body if outcome.receipt is not None:
                    if body.status is Status.PAID and shown is not None and shown.operation["status"] == Status.OPEN:
                        # Nobody is asked to pay what is paid; but in the kitchen the order still waits to be made.
                        turn.cancel_jobs(body.receipt, "the receipt was paid", is_cooked=True)
                    self._print(turn, device, Said(body, Sheet(rev, head.raw)), stale_at_ms)
                case PrintCopy() as body if shown is not None:
                    self._print(turn, device, Said(body, shown), stale_at_ms)
        except Rejected as error:
            log.warning("rejected device=%s seq=%d code=%s detail=%r", device, head.seq, error.code, error.detail)
            turn.reject(device, epoch, head, error)
            turn.put_alert(alerts.rejected(device, epoch, head.seq, error.code, error.detail))
            return error
        return None

    def _is_repeated(self, turn: Turn, device: str, epoch: str, head: Head) -> bool:
        """Record an operation that is known from before a fork as that one, and say whether it was."""
        same_as = turn.committed_before(device, head.tag) if is_again(head) else None
        if same_as is not None:
            turn.repeat(device, epoch, head, same_as)
        return same_as is not None

    def _fork(self, turn: Turn, device: str, epoch: str, head: Head) -> None:
        """Close the epochs that a fork's first operation comes from. Raises Rejected when they cannot be read."""
        if parents := read_parents(head):
            log.warning("fork device=%s epoch=%s parents=%s", device, epoch, ",".join(parents))
            turn.fork(device, epoch, parents)
            turn.put_alert(alerts.fork(device, epoch, parents))
            if is_history_gap(head):
                turn.put_alert(alerts.history_gap(device, epoch))

    def _set_aside(self, turn: Turn, device: str, epoch: str, head: Head) -> None:
        """Record an operation as rejected without looking into it: twice that was the end of this program."""
        with suppress(Rejected):  # A fork holds whatever else is wrong: what comes late in a parent would count twice.
            self._fork(turn, device, epoch, head)
        # After a restore it may have come in again under an earlier name; a person must not be told to enter it anew.
        if self._is_repeated(turn, device, epoch, head):
            return
        log.error("set aside device=%s epoch=%s seq=%d", device, epoch, head.seq)
        turn.reject(device, epoch, head, Rejected("internal", "the coordinator failed at it twice: a fault of its own"))
        encoded = head.encoded()
        turn.quarantine(device, "internal", len(encoded), encoded[:HEAD_BYTES])
        turn.put_alert(alerts.internal(device, f"operation {head.seq} of epoch {epoch}"))

    def _print(self, turn: Turn, device: str, said: Said, stale_at_ms: int) -> None:
        receipt = said.body.receipt
        for wanted in self._printing.wanted(said, turn.group, partial(turn.shown, receipt)):
            turn.queue(wanted, receipt, device, stale_at_ms)
        for alert in self._printing.groups_told(said, turn.group):
            turn.put_alert(alert)

    def _watch_printers(self, turn: Turn) -> None:
        """Call a person to a printer whose queue does not move, and say when it does."""
        for one in turn.printers():
            is_stuck = one.queued and turn.now_ms - one.moved_ms >= STUCK_MS
            stuck = alerts.printer_stuck(one.printer, one.state, one.reason)
            turn.put_alert(stuck if is_stuck else Cleared(stuck.kind, stuck.subject))

    # --- announce -----------------------------------------------------------------------------------------------------

    def _announce(self, changed: Changed, replies: dict[tuple[str, str | None], Reply]) -> None:
        """Say what is on the disk now, and nothing else: balances first, so that an ack never outruns its balance."""
        self._rev = changed.through
        rows = [Row(balance.rev, messages.balance(balance)) for balance in changed.balances]
        for balance, row in zip(changed.balances, rows, strict=True):
            self._link.publish(self._topics.balance(balance.sku), row.encoded, retain=True)
        for sku, rev, details in changed.items:
            self._link.publish(self._topics.item(sku), messages.item(sku, rev, details), retain=True)
        for alert in changed.alerts:
            self._say_alert(alert)
        for job in changed.jobs:
            self._say_job(job)
        for printer in changed.printers:
            self._say_printer(printer)
        for part in messages.changes(self._speaker.run, changed.since, changed.through, rows):
            self._link.publish(self._topics.changes, part, retain=False)
        for (device, epoch), reply in replies.items():
            self._reply(device, epoch, reply)

    def _say_alert(self, alert: Alert) -> None:
        payload = messages.alert(alert) if alert.status == "active" else b""
        self._link.publish(self._topics.alert(alert.alert), payload, retain=True)

    def _say_job(self, job: Job) -> None:
        if job.receipt is not None:
            log.info("print job=%d printer=%s state=%s reason=%r", job.id, job.printer, job.state, job.reason)
            self._link.publish(self._topics.device(job.device, "print"), paper.print_job(job), retain=False)
        if job.state is JobState.QUEUED and job.printer in self.has_jobs:
            self.has_jobs[job.printer].set()

    def _say_printer(self, printer: Printer) -> None:
        self._link.publish(self._topics.printer(printer.printer), paper.printer(printer), retain=True)

    def _reply(self, device: str, epoch: str | None, reply: Reply) -> None:
        """Send a device its ack. Retained is that of the epoch which committed last, as the ledger has it."""
        self.resent += reply.resent
        if epoch is not None:
            ack = self._store.ack(device, epoch)
            topic = self._topics.device(device, "ack")
            if reply.committed:
                log.info("committed device=%s seq=%d operations=%d rev=%d", device, ack.seq, reply.committed, self._rev)
            if reply.committed or not (reply.gap or reply.refused):
                self._link.publish(topic, messages.ack(ack), retain=reply.committed > 0)
            if reply.gap:
                self._link.publish(topic, messages.ack(ack, gap=True), retain=False)
            for refused in reply.refused:  # Clones hear one topic: each must find the refusal of its own operation.
                self._link.publish(topic, messages.ack(ack, refused=refused), retain=False)
        if reply.is_handshake:
            self.tick()

    # --- the disk -----------------------------------------------------------------------------------------------------

    def disk_fails(self, reason: str) -> None:
        """Tell that nothing can be committed, and go on telling it to whoever asks until `disk_works`.

        That alert alone is in no ledger, and may be told although it is not on the disk: it says nothing of the stock,
        and a box that dies has lost no more than the news that it could write nothing down. Call it between turns.
        """
        raised = alerts.disk_fails(reason)
        before = self._disk_fault
        since_ms = before.since_ms if before else self._clock.wall_ms()
        self._disk_fault = messages.first_alert(raised, since_ms, self._rev)
        if self._disk_fault != before:
            self._say_alert(self._disk_fault)

    def disk_works(self) -> None:
        """Tell that the disk has taken something again. Call it between turns."""
        if self._disk_fault is not None:
            gone = replace(self._disk_fault, status="cleared")
            self._disk_fault = None
            self._say_alert(gone)

    def standing_alerts(self) -> list[Alert]:
        """Return the alerts that stand and are in no ledger. May be called from any thread."""
        fault = self._disk_fault
        return [fault] if fault else []

    def look_at_disk(self) -> None:
        """Have a person told when the disk fills up, while there is still room to write that down."""
        # Once told it needs more to go, so that it does not come and go at the bound.
        wanted_bytes = 2 * ROOM_MIN_BYTES if self._has_room is False else ROOM_MIN_BYTES
        has_room = self._store.free_bytes() >= wanted_bytes
        if has_room != self._has_room:
            self._has_room = has_room
            self.notice(alerts.DISK_HAS_ROOM if has_room else alerts.disk_fills(ROOM_MIN_BYTES))

    # --- said without being asked -------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Tell the shop's time, which devices stamp their operations with, and how far it can be trusted.

        While the disk fails nothing is told that a power cut could make untrue: devices then stamp uncertainly.
        """
        now_ms = self._clock.shop_ms()
        if not self._store.may_announce(now_ms):
            return
        clock = "synchronised" if self._clock.is_synchronised() else "estimated"
        if clock != self._speaker.clock:
            self._speaker = replace(self._speaker, clock=clock)
            self.say_online()
            if clock == "synchronised":
                self.notice(alerts.CLOCK_SET)
        tick = messages.tick(self._speaker, now_ms, self._rev)
        self._link.publish(self._topics.tick, tick, retain=False)

    def rewrite(self, retained: Iterable[str]) -> None:
        """Make a broker's retained topics the ledger's: write all that it knows, clear what it doesn't, say `online`.

        retained: the topics of ours that the broker holds. Call it between turns, so that no older balance follows a
        newer one. The embedded broker asks the ledger instead, and only wants to hear `online`.
        """
        unknown = set(retained)
        for topic, payload in self._projection.everything():
            self._link.publish(topic, payload, retain=True)
            unknown.discard(topic)
        for printer in self._store.printers(self._clock.shop_ms()):
            self._say_printer(printer)
            unknown.discard(self._topics.printer(printer.printer))
        for topic in sorted(unknown):
            self._link.publish(topic, b"", retain=True)
        self.say_online()

    def say_online(self) -> None:
        self._link.publish(self._topics.coordinator, messages.online(self._speaker, self._rev), retain=True)

    def say_offline(self) -> None:
        self._link.publish(self._topics.coordinator, messages.offline(self._speaker), retain=True)


def _fact(device: str, epoch: str, head: Head, operation: Operation, happened: When, turn: Turn) -> Fact:
    """Where an operation that is about to be committed stands."""
    body = operation.body
    return Fact(
        device,
        epoch,
        head.seq,
        turn.next_rev,
        happened.shop_ms,
        happened.seen,
        happened.is_uncertain,
        body.took_ms if isinstance(body, Count) else 0,
        turn.wall_ms(happened.shop_ms),
        body.receipt if isinstance(body, Receipt) else None,
    )
