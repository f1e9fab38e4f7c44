"""A scene: one till, its tap and a box, and what is told of the till by what happens.

    scene.sell(); scene.drained("counted-once"); scene.judge("counted-once", on_hand == "-1", seen)

A rule is told kept or broken with the bytes that show it; what no scene tells is not shown. A condition is waited for
until a deadline, so a broken rule that is an absence costs the `patience_s` of its pace, and a forbidden thing that
does not happen costs its `hold_s`.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import orjson

from appliance.contract.topics import Topics
from appliance.control import ask
from tests.box import PASSWORD, Box
from tests.broker import wire
from tests.broker.wire import Packet
from tests.tills.driver import Driver
from tests.tills.rules import BY_NAME
from tests.tills.said import Operation, heard, leaf, operations, read, states
from tests.tills.tap import Seen, Tap, through

SHOP = "shop"
TOPICS = Topics(SHOP)

PATIENCE_S = 90.0
"""A till may wait a minute between two connections, and half a minute for an ack."""

_POLL_S = 0.02

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a scene waits: at most for what must happen, and for what must not."""

    patience_s: float = PATIENCE_S
    hold_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a scene has told of a rule. seen: the bytes, or words where there are none."""

    rule: str
    is_kept: bool
    seen: str
    scene: str


class Over(Exception):
    """A rule is broken, so that the scene cannot go on."""


@dataclass
class Shop:
    """The box of a scene, which may be several scenes' at once. A scene that harms it has one of its own."""

    box: Box

    def on_hand(self, sku: str) -> str | None:
        """Return what the ledger has of a SKU; None when nobody named it."""
        return next((str(row["on_hand"]) for row in ask(self.box.directory, "balance") if row["sku"] == sku), None)

    def say(self, device: str, *operations: dict[str, object], epoch: str | None = None, after: object = None) -> None:
        """Publish one message as any device, and return when the box has dealt with it."""
        said = {"epoch": epoch or token_hex(16), **({"after": after} if after else {}), "ops": list(operations)}
        with wire.Client(self.box.address) as client:
            client.log_in(user=device, password=PASSWORD, client_id=f"beside-{token_hex(4)}")
            client.send(wire.publish(TOPICS.device(device, "op"), orjson.dumps(said), qos=1))
            client.expect(wire.PUBACK)

    def receive(self, *goods: tuple[str, str]) -> None:
        """Let another till take in goods: SKU and quantity. One operation for each."""
        for sku, qty in goods:
            self.say("neighbour", {"seq": 1, "type": "move", "sku": sku, "qty": qty, "reason": "receive"})


@dataclass
class Scene:
    """home: a new directory of this scene."""

    name: str
    shop: Shop
    command: Sequence[str]
    home: Path
    pace: Pace
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = f"T-{token_hex(3)}"
        self.sku = f"goods-{token_hex(3)}"
        self.tap = Tap(self.shop.box.port)
        self.kept = self.home / "till"
        self.kept.mkdir()
        settings = {
            "TILL_HOST": "127.0.0.1",
            "TILL_PORT": str(self.tap.port),
            "TILL_SHOP": SHOP,
            "TILL_DEVICE": self.device,
            "TILL_PASSWORD": PASSWORD,
            "TILL_DIRECTORY": str(self.kept),
        }
        self.till = Driver(self.command, settings, self.home / "till.log")

    def close(self) -> None:
        self.till.kill()
        self.tap.close()

    # --- what is done -------------------------------------------------------------------------------------------------

    def restart(self, **settings: str) -> None:
        """Kill the till and start it again."""
        self.till.kill()
        self.till.start(**settings)

    def sell(self, qty: str = "1", sku: str | None = None) -> None:
        """Let a person sell; the till says that it is done. Raises Over when it does not sell."""
        answer = self.till.ask("sell", sku=sku or self.sku, qty=qty)
        if not answer.get("done"):
            self.judge("sells-offline", False, f"sell {sku or self.sku} {qty}: {answer}")

    def on_ops(self, to_op: Callable[[Packet], Sequence[Packet] | None]) -> None:
        """Do something to each `op` that the till says; the rest goes through."""
        self._fault_of("op", True, to_op)

    def on_acks(self, to_ack: Callable[[Packet], Sequence[Packet] | None]) -> None:
        """Do something to each ack that the till would hear; the rest goes through."""
        self._fault_of("ack", False, to_ack)

    def heal(self) -> None:
        self.tap.fault = through

    def _fault_of(self, name: str, of_till: bool, to_it: Callable[[Packet], Sequence[Packet] | None]) -> None:
        def fault(packet: Packet, is_said: bool) -> Sequence[Packet] | None:
            is_meant = is_said is of_till and packet.kind == wire.PUBLISH and packet.topic.endswith(f"/{name}")
            return to_it(packet) if is_meant else (packet,)

        self.tap.fault = fault

    # --- what is seen -------------------------------------------------------------------------------------------------

    @property
    def log(self) -> list[Seen]:
        return list(self.tap.log)

    def operations(self) -> list[Operation]:
        return operations(self.log)

    def heard(self, name: str) -> list[dict[str, Any]]:
        return heard(self.log, name)

    @property
    def epoch(self) -> str:
        """The epoch that the till named last."""
        named = [state["epoch"] for state in states(self.log) if isinstance(state.get("epoch"), str)]
        assert named, "a till that has said its state"
        return str(named[-1])

    def pending(self) -> int:
        return int(self.till.ask("pending").get("pending", -1))

    def balance(self, sku: str | None = None) -> str | None:
        """Return what the till shows of a SKU; None when it shows nothing."""
        on_hand = self.till.ask("balance", sku=sku or self.sku).get("on_hand")
        return None if on_hand is None else format(Decimal(str(on_hand)).normalize(), "f")

    def has_greeted(self) -> bool:
        """Whether the till has heard the ack of its epoch on its newest connection."""
        log = self.log
        said = [(at, seen) for at, seen in enumerate(log) if seen.is_said and leaf(seen) == "state"]
        if not said:
            return False
        at, state = said[-1]
        epoch = read(state.packet.payload).get("epoch")
        return any(
            leaf(seen) == "ack" and not seen.is_said and read(seen.packet.payload).get("epoch") == epoch
            for seen in log[at:]
        )

    # --- what is told -------------------------------------------------------------------------------------------------

    def judge(self, rule: str, holds: object, seen: object) -> None:
        """Tell whether a rule holds. Raises Over when it does not."""
        assert rule in BY_NAME, f"{rule} is no rule"
        self.findings.append(Finding(rule, bool(holds), str(seen), self.name))
        if not holds:
            raise Over

    def waited(self, rule: str, condition: Callable[[], T], missing: str, *, patience_s: float | None = None) -> T:
        """Wait for what a rule demands, and return it. missing: what is not there otherwise."""
        patience_s = patience_s or self.pace.patience_s
        ends_s = time.monotonic() + patience_s
        while not (found := condition()):
            if time.monotonic() > ends_s:
                self.judge(rule, False, f"{missing} within {patience_s:g} s; {self.last_word()}")
            time.sleep(_POLL_S)
        return found

    def held(self, rule: str, happens: Callable[[], object], although: str) -> None:
        """Wait for what a rule forbids; it is kept when nothing of it happens. happens: what of it was seen, if any."""
        ends_s = time.monotonic() + self.pace.hold_s
        while time.monotonic() < ends_s:
            if found := happens():
                self.judge(rule, False, f"{found}, although {although}")
            time.sleep(_POLL_S)
        self.judge(rule, True, f"nothing for {self.pace.hold_s:g} s although {although}")

    def no_operation(self, rule: str, although: str, *, since: int = 0) -> None:
        """Nothing is sent, neither what is new nor a resend. since: the length of the log before what provokes it."""
        self.held(rule, lambda: [one.bytes for one in operations(self.log[since:])], although)

    def greeted(self) -> None:
        missing = "no state that the box has answered"
        self.waited("state-first", self.has_greeted, missing, patience_s=PATIENCE_S)  # However slow the machine is.

    def drained(self, rule: str) -> None:
        """Wait until the till says that everything is acked."""
        self.waited(rule, lambda: self.pending() == 0, "pending does not become 0")

    def sold(self, qty: str = "1") -> None:
        """Sell and wait for the ack."""
        self.sell(qty)
        self.drained("only-ack-confirms")

    def counts(self, rule: str, on_hand: str, sku: str | None = None) -> None:
        """The ledger has this of a SKU."""
        found = self.shop.on_hand(sku or self.sku)
        self.judge(rule, found == on_hand, f"the ledger has {found} of {sku or self.sku}, and it should be {on_hand}")

    def shows(self, rule: str, sku: str | None = None) -> None:
        """The till comes to show what the ledger has of a SKU, if it shows balances at all."""
        if self.till.ask("balance", sku=sku or self.sku).get("unknown"):
            return
        has = self.shop.on_hand(sku or self.sku)
        self.waited(rule, lambda: self.balance(sku) == has, f"{sku or self.sku}: the box has {has}, not shown")
        self.judge(rule, True, f"{sku or self.sku}: {has}")

    def last_word(self) -> str:
        said = [seen.packet for seen in self.log if seen.is_said and seen.packet.kind == wire.PUBLISH]
        return f"the till said last: {said[-1].payload.decode(errors='replace')}" if said else "the till said nothing"


def swallow(_packet: Packet) -> Sequence[Packet] | None:
    return ()


def copy_of(box: Box, to: Path) -> None:
    """Keep a stopped box's data as they are."""
    shutil.copytree(box.directory, to)


def put_back(box: Box, kept: Path) -> None:
    """Restore a stopped box to what `copy_of` kept."""
    shutil.rmtree(box.directory)
    shutil.copytree(kept, box.directory)
