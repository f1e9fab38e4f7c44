"""A large shop's tills come back at once after a power cut: all are let in, and no ack is lost.

Each shakes hands, hears what is committed of its own, and sends the rest again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from appliance.control import ask
from tests.box import PASSWORD, Box
from tests.broker.wire import CONNACK, PUBLISH, SUBACK, connect, publish, subscribe
from tests.shop import tag
from tests.waiting import DEADLINE_S, wait_until_async

TILLS = 500
SALES = 3
ROOT = "stock/v1/shop/"

CUT_AT = 400
"""Operations acknowledged when the power goes: some tills have heard everything, some nothing."""


class Till:
    """One till of the crowd. acked: through which `seq` it was told that its sales are committed."""

    def __init__(self, number: int) -> None:
        self.device = f"till-{number}"
        self.epoch = f"epoch-of-{self.device}-0000"
        self.acked = 0

    async def sell(self, port: int) -> None:
        """Log in, shake hands, and send what is not acknowledged until all of it is. Raises ConnectionError."""
        async with connected(port) as (reader, writer):
            topic = f"{ROOT}device/{self.device}/"
            state = orjson.dumps({"state": "online", "epoch": self.epoch, "seq": SALES, "pending": SALES - self.acked})
            writer.write(connect(user=self.device, client_id=self.device, password=PASSWORD))
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
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
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


async def come(tills: list[Till], port: int) -> list[BaseException]:
    """Have all tills come at once, and sell until each is done or put off. Returns what put them off."""
    async with asyncio.timeout(DEADLINE_S):
        ends = await asyncio.gather(*(till.sell(port) for till in tills), return_exceptions=True)
    return [end for end in ends if end is not None]


def test_five_hundred_tills_come_back_at_once_and_no_ack_is_lost(tmp_path: Path) -> None:
    tills = [Till(number) for number in range(TILLS)]

    async def until_the_power_goes(box: Box) -> None:
        coming = asyncio.create_task(come(tills, box.port))
        await wait_until_async(lambda: sum(till.acked for till in tills) >= CUT_AT)
        box.kill()
        put_off = await coming
        assert put_off
        assert all(isinstance(one, ConnectionError) for one in put_off), put_off

    with Box(tmp_path / "box") as box:
        asyncio.run(until_the_power_goes(box))
        assert sum(till.acked for till in tills) < TILLS * SALES
        box.start()
        assert asyncio.run(come(tills, box.port)) == []
        assert {till.acked for till in tills} == {SALES}
        [row] = ask(box.directory, "balance", sku="A")
        assert row["on_hand"] == f"{-TILLS * SALES}"
