"""What is done to the box. Each attack is a function that returns when it is over and the box has refused what it must.

Each runs in a process of its own, beside a till that sells as `A1` from the same address. An attack that needs a
device's place is let in by the shop's password, as anybody who knows it is: what it then must not get is the matter.
"""

import random
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from websockets.frames import CloseCode, Frame, Opcode

from tests.attacks.scene import DEVICE, SKU, Target
from tests.broker.rubbish import sentence
from tests.broker.running import ROOT
from tests.broker.websocket import WebSocketClient
from tests.broker.wire import (
    CONNACK,
    PING,
    PINGRESP,
    PUBACK,
    PUBLISH,
    UNSUBACK,
    Client,
    connect,
    publish,
    subscribe,
    text,
    unsubscribe,
)

SEED = 20261124

_MIB = 1024 * 1024

_PACKETS = 5
"""Packets of a sentence of rubbish, its log-in included, on average."""

_HANDSHAKES = 300
"""At once, and half of what the box waits for at once."""

_FRAMES = 1000
"""More than a stranger may send before its log-in."""

_READERS = 200
"""Slow ones: together they could hold more than all connections may."""


@dataclass(frozen=True, slots=True)
class Attack:
    """whole: how many times in the table; share: in the suite, where every second counts."""

    title: str
    make: Callable[[Target, int], None]
    whole: int
    share: int


def log_in(target: Target, device: str, **options: object) -> Client:
    return Client(target.address).log_in(user=device, client_id=device, password=target.password, **options)


def foreign_topics(target: Target, count: int) -> None:
    """Publish in another device's name, and in nobody's."""
    leaves = [f"device/{DEVICE}/{leaf}" for leaf in ("op", "state", "query")]
    leaves += ["device/B1/op", "device/_shop/op", "device/E1/op/more", "device/e1/op", "elsewhere"]
    with log_in(target, "screen") as screen:
        screen.subscribe((f"{ROOT}device/+/state", 0))
        shown = [one.payload for one in screen.until_ping()]
        for _ in range(count):
            for leaf in leaves:
                with log_in(target, "E1") as evil:
                    evil.send(publish(ROOT + leaf, b'{"state":"offline"}', qos=1, retain=True))
                    assert evil.is_closed()
        assert [one.payload for one in screen.until_ping()] == [], shown


def everything(target: Target, count: int) -> None:
    """Read what is meant for others, by every wildcard that could match it."""
    filters = [
        "#",
        "+/#",
        "stock/#",
        "stock/v1/#",
        f"{ROOT}#",
        f"{ROOT}+/+/ack",
        f"{ROOT}device/#",
        f"{ROOT}device/+/#",
    ]
    filters += [
        f"{ROOT}device/{device}/{leaf}" for device in ("+", DEVICE) for leaf in ("op", "ack", "answer", "query")
    ]
    filters += ["$SYS/#", "$share/evil/#", f"$share/evil/{ROOT}device/+/ack"]
    with log_in(target, "E1") as evil:
        for _ in range(count):
            assert evil.subscribe(*((one, 1) for one in filters)) == b"\x80" * len(filters)
        # Acks of the till that sells are published all the time.
        assert evil.until_ping() == []


def forgeries(target: Target, count: int) -> None:
    """Say what only the coordinator says."""
    leaves = [f"device/{DEVICE}/ack", f"device/{DEVICE}/answer", "device/E1/ack", "device/E1/print", f"balance/{SKU}"]
    leaves += ["item/A", "coordinator", "tick", "changes", "alert/oversell-1", "printer/main"]
    with log_in(target, "screen") as screen:
        screen.subscribe(*((f"{ROOT}{leaf}", 0) for leaf in ("balance/+", "coordinator", "tick", "changes", "alert/+")))
        for _ in range(count):
            for leaf in leaves:
                with log_in(target, "E1") as evil:
                    evil.send(publish(ROOT + leaf, b'{"forged":true}', qos=1, retain=True))
                    assert evil.is_closed()
        assert not [one for one in screen.until_ping() if one.kind == PUBLISH and b"forged" in one.payload]


def wrong_passwords(target: Target, count: int) -> None:
    """Guess at the name of a till that is in, and of one that comes back; neither is kept out."""
    with log_in(target, "B1"):
        pass
    codes = set()
    for at in range(count):
        with Client(target.address) as guesser:
            guesser.send(connect(user=(DEVICE, "B1")[at % 2], client_id="guesser", password=f"guess {at}"))
            codes.add(guesser.expect(CONNACK).body[1])
            assert guesser.is_closed()
    assert codes == {4, 3}
    with log_in(target, "B1") as back:
        assert back.answers()


def failed_log_ins(target: Target, count: int) -> None:
    """Fail to log in, each time under another name, with a connection of its own."""
    codes = []
    for at in range(count):
        with Client(target.address) as guesser:
            guesser.send(connect(user=f"E{at}", client_id=f"{at}", password="guess"))
            codes.append(guesser.expect(CONNACK).body[1])
    assert codes.count(4) <= 30, codes.count(4)
    assert set(codes) == {3, 4}


def silent_sockets(target: Target, count: int) -> None:
    """Connect and say nothing; whoever has something to say is let in."""
    with ExitStack() as sockets:
        silent = [sockets.enter_context(Client(target.address)) for _ in range(count)]
        for source in ("127.0.0.1", "127.0.0.2"):
            with Client(target.address, source=source) as till:
                assert till.log_in(user="B1", client_id="B1", password=target.password).answers()
        for one in silent:
            assert one.is_closed()


def handshakes(target: Target, count: int) -> None:
    """Begin the handshake of TLS and say no more; a till that comes by TLS meanwhile is let in."""
    hello = ssl.MemoryBIO()
    trusting = _trusting()
    with suppress(ssl.SSLWantReadError):
        trusting.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    said = hello.read()
    for _ in range(count // _HANDSHAKES):
        with ExitStack() as sockets:
            for _ in range(_HANDSHAKES):
                sockets.enter_context(Client(target.tls_address)).send(said)
            with Client(target.tls_address, source="127.0.0.2", tls=trusting) as till:
                assert till.log_in(user="B1", client_id="B1", password=target.password).answers()


def idle_frames(target: Target, count: int) -> None:
    """Send frames of a WebSocket that say nothing, never log in, and come again when cut off."""
    trusting = _trusting()
    idle = Frame(Opcode.PING, b"").serialize(mask=True)
    flood = idle * _FRAMES
    for _ in range(count // _FRAMES):
        with WebSocketClient(target.websocket_address, trusting) as stranger:
            stranger.frames.beneath.sendall(flood)
            assert stranger.is_closed()
            farewell = stranger.frames.protocol.close_rcvd
            assert farewell is not None  # and not only when its time to log in is over
            assert farewell.code == CloseCode.POLICY_VIOLATION
    with WebSocketClient(target.websocket_address, trusting) as till:
        assert till.log_in(user="B1", client_id="B1", password=target.password).answers()


def _trusting() -> ssl.SSLContext:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE  # Whose certificate it is does not matter here.
    return trusting


def guesses_from_everywhere(target: Target, count: int) -> None:
    """Guess from so many addresses at once; who knows the password is let in by it meanwhile."""
    with ThreadPoolExecutor(count) as guessers:
        guessing = [guessers.submit(_guess, target, f"127.2.{at // 250}.{at % 250 + 1}") for at in range(count)]
        for at in range(10):
            with Client(target.address, source="127.0.0.2") as till:
                till.log_in(user="B1", client_id=f"new {at}", password=target.password)
        for one in guessing:
            one.result()


def _guess(target: Target, source: str) -> None:
    for at in range(5):
        with Client(target.address, source=source) as guesser:
            guesser.send(connect(user="B1", client_id=source, password=f"{source} {at}"))
            # Its turn comes within 30 s, or it is told to come back.
            answer = guesser.read(60)
            assert answer is not None
            assert answer.body[1] in {3, 4}


def pings(target: Target, count: int) -> None:
    """Ask for an answer as fast as they come."""
    with log_in(target, "E1") as evil, ThreadPoolExecutor(1) as sender:
        sent = sender.submit(evil.send, PING * count)
        for _ in range(count):
            evil.expect(PINGRESP)
        sent.result()


def filters(target: Target, count: int) -> None:
    """Have so many connections with as many filters as they may have, and give these up one after the other."""
    with ExitStack() as clients:
        owners = [clients.enter_context(log_in(target, f"E{at}")) for at in range(count)]
        leaves = [f"{ROOT}+/{number}" for number in range(64)]
        for at, evil in enumerate(owners):
            assert evil.subscribe(*((f"{leaf}-{at}", 0) for leaf in leaves)) == bytes(64)
        for leaf in leaves:
            for at, evil in enumerate(owners):
                evil.send(unsubscribe(f"{leaf}-{at}"))
                evil.expect(UNSUBACK)


def huge_packets(target: Target, count: int) -> None:
    """Send packets of so many MiB, before and after the log-in; the box buffers none of them."""
    payload, topic = bytes(_MIB), f"{ROOT}device/E1/op"
    length = count * _MIB
    with Client(target.address) as stranger, suppress(ConnectionError):
        stranger.send(_head(0x10, length))
        assert stranger.is_closed()
    with log_in(target, "E1") as evil, suppress(ConnectionError):
        evil.send(_head(0x32, len(text("elsewhere")) + 2 + length) + text("elsewhere") + b"\0\1")
        assert evil.is_closed()
    with log_in(target, "E1") as evil, suppress(ConnectionError):
        evil.send(_head(0x82, length))
        assert evil.is_closed()
    with log_in(target, "E1") as evil:
        # On a device's own topic it is skipped by its length, and its head is quarantined.
        evil.send(_head(0x32, len(text(topic)) + 2 + length) + text(topic) + b"\0\1")
        for _ in range(count):
            evil.send(payload)
        assert evil.expect(PUBACK).packet_id == 1


def malformed_packets(target: Target, count: int) -> None:
    """Send rubbish, so many packets of it; seeded, so that a failure can be repeated."""
    dice = random.Random(SEED)
    for at in range(count // _PACKETS):
        # From a new address now and then: rubbish in a password is a guess, and one that guesses is not read any more.
        said = sentence(dice, device="E1", password=target.password)
        source = f"127.1.{at // 5000}.{at // 20 % 250 + 1}"
        with Client(target.address, source=source) as client, suppress(ConnectionError):
            client.send(said)
            if dice.random() < 0.1:
                client.is_closed(0.01)
    with log_in(target, "B1") as till:
        assert till.answers()


def slow_readers(target: Target, count: int) -> None:
    """Subscribe to everything and take nothing, while so many operations are announced."""
    with ExitStack() as clients:
        for at in range(_READERS):
            reader = clients.enter_context(Client(target.address, receive_buffer_bytes=4096))
            reader.log_in(user=f"slow-{at}", client_id="slow", password=target.password)
            reader.send(subscribe(*((ROOT + leaf, at % 2) for leaf in ("changes", "balance/+", "item/+"))))
        busy = clients.enter_context(log_in(target, "busy"))
        epoch, name = f"{random.getrandbits(64):016x}", "a name that makes a message long " * 4
        for seq in range(1, count + 1):
            after = f'"after":"{seq - 1:016x}",' if seq > 1 else ""
            said = (
                f'{{"epoch":"{epoch}",{after}"seq":{seq},"tag":"{seq:016x}","type":"item","sku":"slow-{seq % 100}",'
                f'"name":"{name}{seq}","unit":"pcs"}}'
            )
            busy.send(publish(f"{ROOT}device/busy/op", said.encode(), qos=1, packet_id=seq % 65535 + 1))
            if seq > 64:
                busy.expect(PUBACK)
        assert busy.answers(60)


def replays(target: Target, count: int) -> None:
    """Send again what a till once sent: as it was, and in another's name."""
    epoch, topic = f"{random.getrandbits(64):016x}", f"{ROOT}device/B1/op"
    sale = f'{{"epoch":"{epoch}","seq":1,"type":"move","sku":"replayed","qty":"-1","reason":"sale"}}'.encode()
    captured = [connect(user="B1", client_id="B1", password=target.password), publish(topic, sale, qos=1)]
    for _ in range(count):
        with Client(target.address) as again:
            again.send(*captured)
            again.expect(CONNACK)
            again.expect(PUBACK)
    with log_in(target, "screen") as screen:
        screen.subscribe((f"{ROOT}balance/replayed", 0))
        assert b'"on_hand":"-1"' in screen.expect(PUBLISH).payload
        with log_in(target, "E1") as evil:
            evil.send(captured[1])
            assert evil.is_closed()
        assert screen.until_ping() == []


def _head(first: int, length: int) -> bytes:
    """A fixed header of a packet whose body is not at hand."""
    encoded = bytearray()
    while length:
        length, low = divmod(length, 128)
        encoded.append(low | 0x80 if length else low)
    return bytes([first]) + bytes(encoded)


ATTACKS = (
    Attack("times publishing on other devices' topics", foreign_topics, 100, 5),
    Attack("times subscribing to everything", everything, 100, 5),
    Attack("times forged acks and balances", forgeries, 100, 5),
    Attack("wrong passwords at a live till's id", wrong_passwords, 1000, 100),
    Attack("failed log-ins", failed_log_ins, 1000, 200),
    Attack("silent sockets", silent_sockets, 300, 300),
    Attack("handshakes by TLS that are begun and left", handshakes, 3000, 300),
    Attack("frames of a WebSocket that say nothing", idle_frames, 500_000, 5000),
    Attack("addresses that guess at once", guesses_from_everywhere, 250, 40),
    Attack("pings as fast as they are answered", pings, 1_000_000, 20_000),
    Attack("connections with 64 filters each", filters, 400, 40),
    Attack("MiB in one packet", huge_packets, 200, 20),
    Attack("malformed packets", malformed_packets, 100_000, 2000),
    Attack(f"operations that {_READERS} readers do not take", slow_readers, 20_000, 2000),
    Attack("replays of captured packets", replays, 1000, 50),
)
