"""MQTT inside a WebSocket, so that a till can be a web page.

    TLS ──frames──▶ WebSocket ──MQTT──▶ the stream that everybody else reads
     ▲                  │  ▲
     └──────frames──────┘  └───MQTT──── what that stream writes

Between a listener's TLS and `framing`; the frames are the work of `websockets`, without its I/O. The invariants: flow
control goes through in both directions, until its CONNECT is answered a peer makes us hold `control_bytes_max`, and
whoever fills what it sends with frames has no more than its turn.
"""

import asyncio
import errno
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from appliance.broker.embedded.framing import Malformed
from appliance.broker.embedded.limits import Limits

_MQTT = Subprotocol("mqtt")
"""What a client offers and the server selects (MQTT 3.1.1, section 6)."""

_SWITCHING_PROTOCOLS = 101

_PIECE_BYTES = 1024
"""What is taken apart between two looks at the clock: 170 of the smallest frames. `websockets` stops for nobody."""

_chatter = logging.getLogger(__name__)
_chatter.setLevel(logging.ERROR)  # It tells of every connection, as the broker does.


class BrokenFrames(ConnectionAbortedError):
    """The peer broke the WebSocket after it was open. strerror: how."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ECONNABORTED, reason)


class WebSocket(asyncio.Protocol, asyncio.Transport):
    """One connection: the protocol of the TLS beneath it, and the transport of the MQTT inside.

    reader, inside: the stream of the MQTT, and its protocol.
    """

    def __init__(self, reader: asyncio.StreamReader, inside: asyncio.StreamReaderProtocol, limits: Limits) -> None:
        super().__init__()
        self._reader = reader
        self._inside = inside
        self._limits = limits
        self._frames = ServerProtocol(subprotocols=[_MQTT], max_size=limits.control_bytes_max, logger=_chatter)
        self._asked_bytes = 0
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()
        self._next_turn: asyncio.Handle | None = None
        self._idle_frames_left: float = limits.idle_frames_max
        self._is_held = False  # By the stream, which has enough.
        self._last_words: list[Callable[[], object]] = []
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._below: asyncio.Transport | None = None

    async def open(self, below: asyncio.Transport) -> None:
        """Return once the peer has opened it. Raises Malformed, or another error when the peer is gone."""
        self._below = below
        self._inside.connection_made(self)
        self._flush()  # Its request may have come together with the end of the TLS handshake.
        await self._opened

    # --- what TLS calls -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._next_turn is None:
            self._take_turn()

    def eof_received(self) -> None:
        self._last_words.append(self._inside.eof_received)
        self._speak_when_all_is_read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._last_words.append(partial(self._lose, exc))
        self._speak_when_all_is_read()

    def pause_writing(self) -> None:
        self._inside.pause_writing()

    def resume_writing(self) -> None:
        self._inside.resume_writing()

    # --- what the stream calls ----------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        # The answer to its CONNECT is the first that a peer is sent: from here on it is a device, or refused.
        self._frames.max_size = self._limits.websocket_message_bytes_max
        self._idle_frames_left = math.inf
        if self._frames.state is State.OPEN:
            self._frames.send_binary(bytes(data))
            self._flush()

    def close(self) -> None:
        if self._frames.state is State.OPEN:
            self._frames.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        self._is_over = True
        self._transport.close()

    def abort(self) -> None:
        self._is_over = True
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._is_held = True
        self._read_or_not()

    def resume_reading(self) -> None:
        self._is_held = False
        self._read_or_not()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _transport(self) -> asyncio.Transport:
        assert self._below is not None, "nobody writes before `open`"
        return self._below

    def _take_turn(self) -> None:
        """Take apart what has come, and go on after the others when that takes longer than a turn."""
        self._next_turn = None
        ends_s = self._loop.time() + self._limits.turn_s
        while self._unread:
            self._take_piece()
            if self._loop.time() > ends_s:
                break
        if self._unread:
            self._next_turn = self._loop.call_soon(self._take_turn)
        self._read_or_not()
        self._speak_when_all_is_read()

    def _speak_when_all_is_read(self) -> None:
        """Tell the stream that its peer is gone, behind what that has said."""
        while self._last_words and self._next_turn is None:
            self._last_words.pop(0)()

    def _lose(self, error: Exception | None) -> None:
        self._end_opening(error or ConnectionResetError("closed before it was a WebSocket"))
        self._inside.connection_lost(error)

    def _read_or_not(self) -> None:
        if self._below is not None and not self._below.is_closing():
            if self._is_held or self._unread:
                self._below.pause_reading()
            else:
                self._below.resume_reading()

    def _take_piece(self) -> None:
        if self._is_over:
            self._unread.clear()
            return
        data = bytes(self._unread[:_PIECE_BYTES])
        del self._unread[:_PIECE_BYTES]
        if not self._opened.done():
            # A request may have 128 headers of 8 KiB, by the limits of `websockets`.
            self._asked_bytes += len(data)
            if self._asked_bytes > self._limits.control_bytes_max:
                self._fail(f"a request of {self._asked_bytes} bytes")
                return
            # `websockets` cannot put into words what it refuses of another one.
            if not data.isascii():
                self._fail("a request that is no ASCII")
                return
        self._frames.receive_data(data)
        # It has given up already, and answers no request any more.
        if self._frames.parser_exc is None:
            for event in self._frames.events_received():
                if isinstance(event, Request):
                    self._answer(event)
                elif isinstance(event, Frame):
                    self._take(event)
        if (error := self._frames.parser_exc or self._frames.handshake_exc) is not None:
            self._fail(str(error))
        self._flush()

    def _answer(self, request: Request) -> None:
        response = self._frames.accept(request)
        self._frames.send_response(response)
        if response.status_code == _SWITCHING_PROTOCOLS and not self._opened.done():
            self._opened.set_result(None)

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.PING, Opcode.PONG) or not frame.data:
            self._idle_frames_left -= 1
            if self._idle_frames_left < 0:
                self._frames.fail(CloseCode.POLICY_VIOLATION, "say who you are")
                self._fail("frames without MQTT before its log-in")
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._inside.data_received(bytes(frame.data))
        elif frame.opcode is Opcode.TEXT:
            self._frames.fail(CloseCode.UNSUPPORTED_DATA, "MQTT is binary")
            self._fail("it sent text, and MQTT is binary")

    def _fail(self, reason: str) -> None:
        """Have whoever waits for this peer know why it is over."""
        self._is_over = True
        self._end_opening(Malformed(reason))
        self._reader.set_exception(BrokenFrames(reason))

    def _end_opening(self, error: Exception) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
            # Nobody waits for it any more when its time was over, and asyncio would call that a fault of ours.
            self._opened.exception()

    def _flush(self) -> None:
        if self._below is None or self._below.is_closing():
            return  # What is closed takes no more, and TLS would raise.
        to_send = self._frames.data_to_send()
        # In one go: a record of TLS and a system call for each of a thousand PONGs were most of what these cost.
        if data := b"".join(to_send):
            self._below.write(data)
        if SEND_EOF in to_send:  # TLS cannot be closed by half.
            self._is_over = True
            self._below.close()
        elif self._below.get_write_buffer_size() > self._limits.outgoing_bytes_max:
            # Who sends one PING after another and takes no answer.
            self._below.abort()
