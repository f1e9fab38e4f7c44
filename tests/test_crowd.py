"""A large shop's tills come back at once after a power cut: all are let in, and no ack is lost.

Each shakes hands, hears what is committed of its own, and sends the rest again.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from appliance.access.certificate import own_certificate
from appliance.access.tokens import Tokens, make_token
from appliance.control import ask
from scripts import processes
from tests.box import PASSWORD, Box
from tests.broker.wire import CONNACK, PUBLISH, SUBACK, connect, publish, subscribe
from tests.shop import tag
from tests.waiting import DEADLINE_S, wait_until_async

TILLS = 500
SALES = 3
ROOT = "stock/v1/shop/"

CUT_AT = 400
"""Operations acknowledged when the power goes: some tills have heard everything, some nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the crowd comes in. tls: whom to trust, None for plain MQTT. tokens: of the devices that have one."""

    port: int
    tls: ssl.SSLContext | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)


class Till:
    """One till of the crowd. acked: through which `seq` it was told that its sales are committed."""

    def __init__(self, number: int) -> None:
        self.device = f"till-{number}"
        self.epoch = f"epoch-of-{self.device}-0000"
        self.acked = 0

    async def sell(self, way: Way) -> None:
        """Log in, shake hands, and send what is not acknowledged until all of it is. Raises ConnectionError."""
        async with connected(way) as (reader, writer):
            topic = f"{ROOT}device/{self.device}/"
            state = orjson.dumps({"state": "online", "epoch": self.epoch, "seq": SALES, "pending": SALES - self.acked})
            password = way.tokens.get(self.device, PASSWORD)
            writer.write(connect(user=self.device, client_id=self.device, password=password))
            writer.write(subscribe((f"{topic}ack", 0)))
            writer.write(publish(f"{topic}state", state, retain=True))
            assert (await packet(reader))[:2] == (CONNACK, b"\0\0")
            assert (await packet(reader))[:2] == (SUBACK, b"\0\1\0")
            is_known = False
            while self.acked < SALES:
                kind, body = await packet(reader)
                if kind != PUBLISH:
                    continue
                ack = orjson.loads(body[2 + int.from_bytes(body[:2]) :])
                if ack["epoch"] != self.epoch:
                    continue
                assert ack["seq"] >= self.acked, "what was acknowledged is gone"
                self.acked = ack["seq"]
                if not is_known:
                    is_known = True
                    for seq in range(self.acked + 1, SALES + 1):
                        writer.write(publish(f"{topic}op", self._sale(seq), qos=1, packet_id=seq))

    def _sale(self, seq: int) -> bytes:
        after = {"after": tag(seq - 1)} if seq > 1 else {}
        sale = {"seq": seq, "tag": tag(seq), "type": "move", "sku": "A", "qty": "-1", "reason": "sale"}
        return orjson.dumps({"epoch": self.epoch, **after, "ops": [sale]})


@asynccontextmanager
async def connected(way: Way) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    name = "localhost" if way.tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port, ssl=way.tls, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the kind and the body of the next packet. Raises ConnectionError."""
    try:
        kind = (await reader.readexactly(1))[0] >> 4
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            if byte < 128:
                return kind, await reader.readexactly(length)
            shift += 7
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the box is gone") from error


async def come(tills: list[Till], way: Way) -> list[BaseException]:
    """Have all tills come at once, and sell until each is done or put off. Returns what put them off."""
    async with asyncio.timeout(DEADLINE_S):
        ends = await asyncio.gather(*(till.sell(way) for till in tills), return_exceptions=True)
    return [end for end in ends if end is not None]


def come_back_after_a_cut(box: Box, way: Way) -> None:
    tills = [Till(number) for number in range(TILLS)]

    async def until_the_power_goes() -> None:
        coming = asyncio.create_task(come(tills, way))
        await wait_until_async(lambda: sum(till.acked for till in tills) >= CUT_AT)
        box.kill()
        put_off = await coming
        assert put_off
        assert all(isinstance(one, OSError) for one in put_off), put_off

    asyncio.run(until_the_power_goes())
    assert sum(till.acked for till in tills) < TILLS * SALES
    box.start()
    assert asyncio.run(come(tills, way)) == []
    assert {till.acked for till in tills} == {SALES}
    [row] = ask(box.directory, "balance", sku="A")
    assert row["on_hand"] == f"{-TILLS * SALES}"


def test_five_hundred_tills_come_back_at_once_by_the_shops_password_and_no_ack_is_lost(tmp_path: Path) -> None:
    with Box(tmp_path / "box") as box:
        come_back_after_a_cut(box, Way(box.port))


def test_five_hundred_tills_come_back_at_once_by_tls_and_their_tokens_and_no_ack_is_lost(tmp_path: Path) -> None:
    (directory := tmp_path / "box").mkdir()
    trust = ssl.create_default_context(cadata=own_certificate(directory, ["localhost"]).pem)
    made, tokens = Tokens(directory), {f"till-{number}": make_token() for number in range(TILLS)}
    for device, token in tokens.items():
        made.put(device, token)
    port = processes.free_port()
    with Box(directory, STOCK_BROKER__TLS_PORT=str(port)) as box:
        come_back_after_a_cut(box, Way(port, trust, tokens))
