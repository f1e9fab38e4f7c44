"""What the box dies of, an operation or a question, is set aside at its third coming; nobody else is blamed."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from appliance.app import crashes as crashes_module
from appliance.app.crashes import TURNS_PART, Crashes
from appliance.coordinator import EXPIRY_LOOK_MS
from appliance.ledger.verify import verify
from appliance.stock.operation import Expire
from appliance.stock.reconcile import reconcile
from scripts.processes import START_S
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.shop import RESERVE_MS, Shop, message, operation, rows, tag

CHECKOUT = Path(__file__).parent.parent.parent

FAULTS = {
    "raise": "    raise ZeroDivisionError\n",
    "segmentation fault": "    import ctypes; ctypes.string_at(0)\n",
    "hang": "    import os, signal, threading\n"  # Until a watchdog has enough of it.
    "    os.kill(os.getpid(), signal.SIGABRT)\n    threading.Event().wait()\n",
}
"""How the box dies of a SKU named `poison`."""

IN_THE_RULES = """
from appliance import coordinator
real = coordinator.reconcile
def reconcile(body, *rest):
    if getattr(body, "sku", "") == "poison":
        die()
    return real(body, *rest)
coordinator.reconcile = reconcile
"""

IN_THE_COMMIT = """
from appliance.ledger import turn
real = turn.Turn.write
def write(self):
    if "poison" in self._shelf._skus:
        die()
    return real(self)
turn.Turn.write = write
"""

IN_THE_READING = """
from appliance import coordinator
real = coordinator.read_message
def read_message(payload):
    if b"poison" in payload:
        die()
    return real(payload)
coordinator.read_message = read_message
"""

IN_THE_ANSWER = """
from appliance import questions
real = questions.Questions._page
def _page(self, device, query):
    if query.sku == "poison":
        die()
    return real(self, device, query)
questions.Questions._page = _page
"""

ROOT = "stock/v1/shop/"


@pytest.fixture
def poisoned(tmp_path: Path) -> Iterator[Any]:
    """Make a box that dies `how` it is told, `where` it is told."""
    boxes: list[Box] = []

    def make(how: str, where: str) -> Box:
        patch = tmp_path / "patch"
        patch.mkdir()
        (patch / "sitecustomize.py").write_text(f"def die():\n{FAULTS[how]}{where}")
        boxes.append(Box(tmp_path / "data", PYTHONPATH=f"{patch}:{CHECKOUT}"))
        return boxes[0]

    yield make
    for box in boxes:
        if box.process is not None:
            box.kill()


def _till(box: Box, device: str) -> wire.Client:
    till = wire.Client(box.address).log_in(user=device, password=PASSWORD, client_id=device)
    till.subscribe((f"{ROOT}device/{device}/ack", 0))
    return till


def _send(till: wire.Client, device: str, *operations: dict[str, Any]) -> None:
    payload = orjson.dumps(message(*operations, epoch=f"epoch-of-device-{device}"))
    till.send(wire.publish(f"{ROOT}device/{device}/op", payload, qos=1, packet_id=1))


def _acked(till: wire.Client, seq: int) -> Any:
    """Return the ack that reaches this far."""
    while (packet := till.read()) is not None:
        if packet.kind == wire.PUBLISH and (ack := orjson.loads(packet.payload))["seq"] >= seq:
            return ack
    raise AssertionError("the box has hung up")


def _dies(box: Box, *operations: dict[str, Any]) -> int:
    """Send a batch, and return the exit code of the box that died of it."""
    box.start()
    with _till(box, "A1") as till:
        _send(till, "A1", *operations)
        assert box.process is not None
        code = box.process.wait(START_S)
    box.kill()
    return code


BATCH = (operation(1), operation(2, sku="poison"), operation(3, sku="B"))


@pytest.mark.parametrize(
    ("how", "code"),
    [("raise", 1), ("segmentation fault", -signal.SIGSEGV), ("hang", -signal.SIGABRT)],
)
def test_operation_that_killed_the_box_twice_is_rejected_and_the_others_sell_on(
    poisoned: Any, how: str, code: int
) -> None:
    box = poisoned(how, IN_THE_RULES)
    for _ in range(2):
        assert _dies(box, *BATCH) == code
    box.start()
    with _till(box, "A1") as till, _till(box, "A2") as other:
        _send(other, "A2", operation(1, sku="C"))
        _send(till, "A1", *BATCH)
        assert _acked(other, 1)["rejected_total"] == 0
        ack = _acked(till, 3)
        assert [(one["seq"], one["tag"], one["code"]) for one in ack["rejected"]] == [(2, tag(2), "internal")]
    assert '"kind":"internal"' in box.command("alert", "list", "--json").stdout
    assert box.stop() == 0
    assert rows(box.directory, "SELECT code, on_hand_milli FROM sku ORDER BY code") == [
        ("A", -1000),
        ("B", -1000),
        ("C", -1000),
    ]
    [(kept,)] = rows(box.directory, "SELECT head FROM quarantine")
    assert orjson.loads(kept) == BATCH[1]
    verify(box.directory)


def test_operation_of_which_the_commit_dies_is_found_by_one_more_crash(poisoned: Any) -> None:
    """Where a batch fails as a whole nobody is blamed yet; the next run takes one operation at a time."""
    box = poisoned("raise", IN_THE_COMMIT)
    for _ in range(3):
        _dies(box, *BATCH)
    box.start()
    with _till(box, "A1") as till:
        _send(till, "A1", *BATCH)
        ack = _acked(till, 3)
        assert [(one["seq"], one["code"]) for one in ack["rejected"]] == [(2, "internal")]
    assert box.stop() == 0
    verify(box.directory)


def test_message_that_kills_the_box_before_it_is_read_is_quarantined(poisoned: Any) -> None:
    box = poisoned("raise", IN_THE_READING)
    for _ in range(2):
        _dies(box, *BATCH)
    box.start()
    with _till(box, "A1") as till:
        _send(till, "A1", *BATCH)
        _send(till, "A1", BATCH[0])
        assert _acked(till, 1)["rejected_total"] == 0
    assert box.stop() == 0
    assert rows(box.directory, "SELECT reason, instr(head, 'poison') > 0 FROM quarantine") == [("internal", 1)]


@pytest.mark.parametrize(("how", "code"), [("raise", 1), ("segmentation fault", -signal.SIGSEGV)])
def test_question_that_killed_the_box_twice_is_refused_and_others_are_answered(
    poisoned: Any, how: str, code: int
) -> None:
    box = poisoned(how, IN_THE_ANSWER)
    for n in range(2):
        box.start()
        with _till(box, "A1") as till:
            _query(till, id=f"{n}", what="history", sku="poison", since=n)
            assert box.process.wait(START_S) == code
        box.kill()
    box.start()
    with _till(box, "A1") as till:
        till.subscribe((f"{ROOT}device/A1/answer", 0))
        _send(till, "A1", *BATCH)
        assert _acked(till, 3)["rejected_total"] == 0
        _query(till, id="third", what="history", sku="poison")
        assert _answer(till) == {"id": "third", "code": "internal"}
        _query(till, id="other", what="history", sku="A")
        assert _answer(till) == {"id": "other", "code": None}
    assert '"kind":"internal"' in box.command("alert", "list", "--json").stdout
    assert box.stop() == 0


def _query(till: wire.Client, **fields: Any) -> None:
    till.send(wire.publish(f"{ROOT}device/A1/query", orjson.dumps(fields), qos=0))


def _answer(till: wire.Client) -> dict[str, Any]:
    """Return whom the next answer is for, and the code of what is wrong."""
    while (packet := till.read()) is not None:
        if packet.kind == wire.PUBLISH and packet.topic.endswith("/answer"):
            said = orjson.loads(packet.payload)
            return {"id": said["id"], "code": said.get("code")}
    raise AssertionError("the box has hung up")


def test_expiry_at_which_the_box_dies_each_time_is_left_and_the_others_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was nobody's: the box died of it a minute after each start, for ever."""
    shop = Shop(tmp_path)
    for seq, receipt in enumerate(("one", "poison", "three"), 1):
        lines = [{"sku": "A", "qty": "1"}]
        opened = {"type": "receipt", "receipt": receipt, "kind": "sale", "status": "open", "lines": lines}
        shop.say("A1", message(operation(seq, **dict.fromkeys(("sku", "qty", "reason"), ...) | opened)))

    def dying(body: Any, *rest: Any) -> Any:
        if isinstance(body, Expire) and body.receipt == "poison":
            raise ZeroDivisionError
        return reconcile(body, *rest)

    monkeypatch.setattr("appliance.coordinator.reconcile", dying)
    shop.clock.now_ms += RESERVE_MS + EXPIRY_LOOK_MS

    def live() -> None:
        """Until nothing is left to be done, and a minute more."""
        for _ in range(2):
            shop.clock.now_ms += EXPIRY_LOOK_MS
            while shop.coordinator.turn() or shop.coordinator.has_inbox.is_set():
                shop.coordinator.has_inbox.clear()

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            live()
        shop.crashes.died(TURNS_PART, ZeroDivisionError())
        shop.restart()
    live()
    assert rows(tmp_path, "SELECT receipt, state FROM receipt ORDER BY receipt") == [
        ("one", "expired"),
        ("poison", "open"),
        ("three", "expired"),
    ]
    [told] = [alert for alert in shop.reader.alerts() if alert.kind == "internal"]
    assert told.times == 1, "it comes again each minute, and is told once"
    shop.stop()
    verify(tmp_path)


# --- nobody else is blamed --------------------------------------------------------------------------------------------


def test_fork_whose_first_operation_is_poison_is_a_fork_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent once stayed open, so that what a broker delivered late there counted twice."""
    shop = Shop(tmp_path)
    sale = operation(2, sku="B")
    parent, fork = message(sale), "epoch-of-the-test-0002"
    shop.say("A1", message(operation(1)))
    poison = operation(1, tag=tag(3), sku="poison", parents=["epoch-of-the-test-0001"], again=True)
    forked = message(poison, operation(2, sku="B", again=True), epoch=fork)

    def dying(body: Any, *rest: Any) -> Any:
        if getattr(body, "sku", "") == "poison":
            raise ZeroDivisionError
        return reconcile(body, *rest)

    monkeypatch.setattr("appliance.coordinator.reconcile", dying)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as death:
            shop.say("A1", forked)
        shop.crashes.died(TURNS_PART, death.value)
        shop.restart()
    shop.say("A1", forked)
    shop.coordinator.turn()
    assert shop.on_hand("B") == "-1"
    assert {"fork", "internal"} <= shop.alerts()
    assert shop.say("A1", parent)["refused"]["code"] == "epoch-closed"
    assert shop.on_hand("B") == "-1"
    shop.stop()


def _crash(directory: Path, name: str, part: str = TURNS_PART, error: BaseException | None = None) -> None:
    crashes = Crashes(directory)
    crashes.take(name)
    crashes.died(part, error or ZeroDivisionError())
    crashes.close()


def _start(directory: Path, name: str) -> tuple[bool, bool]:
    """Whether the next run is careful, and takes this for poison."""
    crashes = Crashes(directory)
    try:
        return crashes.is_careful, crashes.is_poison(name)
    finally:
        crashes.close()


def test_what_has_come_in_under_an_earlier_name_meanwhile_is_not_set_aside(tmp_path: Path) -> None:
    """A person would be told to enter anew what is entered: the restore of a copy brings it in again, seed 6633."""
    fork = "epoch-of-the-test-0002"
    for _ in range(2):
        _crash(tmp_path, f"A1 {fork} 1 {tag(1)}")
    shop = Shop(tmp_path)
    shop.say("A1", message(operation(1)))
    again = operation(1, tag=tag(1), parents=["epoch-of-the-test-0001"], again=True)
    ack = shop.say("A1", message(again, epoch=fork))
    assert (ack["seq"], ack["rejected"], shop.on_hand()) == (1, [], "-1")
    assert "internal" not in shop.alerts()
    shop.stop()


def test_only_two_crashes_in_a_row_at_the_same_operation_make_it_poison(tmp_path: Path) -> None:
    for name in ("x", "y", "x"):
        _crash(tmp_path, name)
    assert _start(tmp_path, "x") == (True, False)
    _crash(tmp_path, "x")
    assert _start(tmp_path, "x") == (True, True)
    assert _start(tmp_path, "x") == (False, True)


def test_kill_or_a_power_cut_blames_nobody_however_often(tmp_path: Path) -> None:
    for _ in range(5):
        crashes = Crashes(tmp_path)
        crashes.take("x")
        crashes.close()
    assert _start(tmp_path, "x") == (False, False)


@pytest.mark.parametrize(
    ("part", "error"), [("answers", ZeroDivisionError()), (TURNS_PART, apsw.IOError("EIO"))], ids=["query", "disk"]
)
def test_what_another_part_or_the_disk_died_of_is_not_blamed_on_the_turns(
    tmp_path: Path, part: str, error: BaseException
) -> None:
    for _ in range(3):
        _crash(tmp_path, "x", part, error)
    assert not _start(tmp_path, "x")[1]


def test_careful_box_commits_a_batch_one_by_one_and_then_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes_module, "CAREFUL_TURNS", 7)
    _crash(tmp_path, "")
    shop = Shop(tmp_path)
    batch = [operation(seq) for seq in range(1, 6)]
    shop.hand("A1", orjson.dumps(message(*batch)))
    for seq in range(1, 6):
        assert shop.settled == 0
        shop.coordinator.turn()
        assert shop.retained("device/A1/ack")["seq"] == seq
    assert shop.settled == 1
    for seq in (6, 7):
        assert shop.crashes.is_careful
        shop.say("A1", message(operation(seq)))
    shop.say("A1", message(operation(8), operation(9)))
    assert shop.settled == 4
    shop.stop()
    verify(tmp_path)
