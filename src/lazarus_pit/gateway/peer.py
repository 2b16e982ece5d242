"""One client's connection: bytes from its socket to the hub, frames from the hub to its socket.

The protocol itself is the Sans-I/O half of the ``websockets`` package (RFC 6455); this file gives
it a transport and the limits. A client is only written to while the kernel takes what it is given,
so at most one batch of a client ever waits in this process.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import cast

from websockets.exceptions import InvalidMessage
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol

from lazarus_pit.gateway.door import Entry, Refusal, admit
from lazarus_pit.gateway.hub import Seat, encode
from lazarus_pit.gateway.limits import Pace
from lazarus_pit.gateway.shared import Shared

SPARE_CONNECTIONS = 64
"""Connections beyond the limit of clients that are still told why they are turned away."""

NEVER = float("inf")
NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

log = logging.getLogger("lazarus_pit.gateway")
_quiet = logging.getLogger("websockets.server")


class Peer(asyncio.BufferedProtocol):
    """A connection to the WebSocket port, from the accept to the last byte."""

    __slots__ = (
        "address",
        "deadline",
        "heard",
        "held",
        "left",
        "pace",
        "parts",
        "pinged",
        "pong",
        "proto",
        "seat",
        "shared",
        "text",
        "throttled",
        "transport",
        "waiting_since",
        "writable",
    )

    transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        now = shared.loop.time()
        self.shared = shared
        self.proto = ServerProtocol(max_size=shared.limits.message_bytes, logger=_quiet)
        self.pace = Pace(shared.limits, now)
        self.address = ""
        self.seat: Seat | None = None
        self.parts: bytearray | None = None  # The fragments of a message that is not yet whole.
        self.text = False  # Whether those fragments are text.
        self.held = 0  # Bytes of an unfinished message, or of the opening request.
        self.heard = now  # When it last said anything.
        self.pinged = 0.0  # When it was asked whether it is there; 0: nothing is asked.
        self.deadline = now + shared.limits.handshake_seconds
        self.writable = True
        self.waiting_since = 0.0  # Since when nothing has left our buffer for it.
        self.left = 0  # What was in that buffer then.
        self.pong = b""  # The answer owed to its newest ping.
        self.throttled = False

    # ------------------------------------------------------------ the transport speaks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection, unless there are far too many."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=0)
        self.address = str((transport.get_extra_info("peername") or ("?",))[0])
        self.shared.comes(self, self.address)
        if len(self.shared.peers) > self.shared.limits.clients + SPARE_CONNECTIONS:
            self.shared.hub.tally.clients_refused += 1
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; whatever was wrong with it harms nobody else."""
        del exc
        shared = self.shared
        self._vacate()
        shared.goes(self, self.address)
        shared.assembling -= self.held
        broken = self.proto.parser_exc
        if broken is not None and not isinstance(broken, EOFError):
            shared.hub.tally.protocol_errors += 1
            log.info("%s broke the protocol: %s", self.address, broken)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the transport the buffer that all clients share."""
        del sizehint
        return self.shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        self.heard = self.shared.loop.time()
        self.pinged = 0.0
        self.proto.receive_data(bytes(self.shared.buffer[:nbytes]))
        events = self.proto.events_received()
        for event in events:
            if isinstance(event, Frame):
                self._frame(event)
            elif len(events) > 1 or self.proto.reader.buffer:
                self.transport.abort()  # It spoke before it was let in.
                return
            elif isinstance(event, Request):
                self._knock(event)
        self._account(nbytes)
        self._emit()
        wait = self.pace.spend(self.heard, len(events), nbytes)
        if wait and not self.throttled and not self.transport.is_closing():
            self.throttled = True
            self.transport.pause_reading()
            self.shared.loop.call_later(wait, self._unthrottle)

    def eof_received(self) -> None:
        """Let the transport close: a half-open WebSocket is of no use."""
        self.proto.receive_eof()
        self._emit()
        self.deadline = min(self.deadline, self.shared.loop.time() + self._close_seconds)

    def pause_writing(self) -> None:
        """Stop handing out to a client whose kernel buffer is full."""
        self.writable = False
        self.waiting_since = self.shared.loop.time()
        self.left = self.transport.get_write_buffer_size()
        if self.seat is not None:
            self.seat.ready = False

    def resume_writing(self) -> None:
        """Hand out again, beginning with what it missed meanwhile."""
        self.writable = True
        if self.pong:
            self.transport.write(self.pong)
            self.pong = b""
        if self.seat is not None:
            self.seat.ready = self.writable
            self.shared.hub.serve(self.seat, {})

    # ------------------------------------------------------------ the clock speaks

    def sweep(self, now: float) -> None:
        """Once a second: end what takes too long, ask the silent whether they are there."""
        limits, tally = self.shared.limits, self.shared.hub.tally
        if now >= self.deadline:
            self.transport.abort()
        elif not self.writable:
            left = self.transport.get_write_buffer_size()
            if left < self.left:
                self.left, self.waiting_since = left, now
            elif now - self.waiting_since > limits.stuck_seconds:
                tally.clients_cut_slow += 1
                silence = now - self.waiting_since
                log.warning("%s has read nothing for %.0f s; cut", self.address, silence)
                self.transport.abort()
        elif self.seat is None or self.throttled:
            return
        elif self.pinged:
            if now - self.pinged > limits.pong_seconds:
                tally.clients_cut_silent += 1
                log.info("%s has been silent for %.0f s; cut", self.address, now - self.heard)
                self._fail(CloseCode.INTERNAL_ERROR, "no pong in time")
                self._emit()
        elif now - self.heard > limits.ping_seconds:
            self.pinged = now
            self.proto.send_ping(b"")
            self._emit()

    def farewell(self) -> None:
        """Begin to close, because the gateway ends."""
        if self.seat is None or not self.writable:
            self.transport.abort()
            return
        self._vacate()
        self.proto.send_close(CloseCode.GOING_AWAY, "the gateway stops")
        self._emit()

    # ------------------------------------------------------------ the client speaks

    def _knock(self, request: Request) -> None:
        """Let a client in, or tell it why not."""
        shared, proto = self.shared, self.proto
        answer = shared.crowded(self.address) or admit(shared.door, request.path, request.headers)
        if isinstance(answer, Refusal):
            response = proto.reject(answer.status, f"{answer.why}\n")
            if answer.status is HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = "Bearer"
        else:
            response = proto.accept(request)
            if answer.subprotocol:
                response.headers["Sec-WebSocket-Protocol"] = answer.subprotocol
        proto.send_response(response)
        if isinstance(answer, Entry) and proto.state is OPEN:
            self._emit()  # The answer goes before the first message.
            self._take_seat(answer)
        else:
            shared.hub.tally.clients_refused += 1
            log.info("%s refused: %s", self.address, bytes(response.body).decode().strip())

    def _take_seat(self, entry: Entry) -> None:
        self.deadline = NEVER
        self.shared.seated += 1
        self.seat = self.shared.hub.join(
            entry.room, self.transport.write, replay=entry.replay, notices=entry.notices
        )
        self.seat.ready = self.writable

    def _frame(self, frame: Frame) -> None:
        """Gather a message from its frames, and publish it when it is whole."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self.text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._message(bytes(frame.data))
            else:
                self.parts = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self.parts is not None:
            self.parts += frame.data
            if frame.fin:
                whole, self.parts = bytes(self.parts), None
                self._message(whole)

    def _message(self, payload: bytes) -> None:
        if self.seat is None:
            return  # It has failed; what it said after that does not count.
        if self.text:
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                self.proto.parser_exc = error
                self._fail(CloseCode.INVALID_DATA, "text that is not UTF-8")
                return
        opcode = Opcode.TEXT if self.text else Opcode.BINARY
        self.shared.hub.publish(self.seat, encode(opcode, payload))

    # ------------------------------------------------------------ the small print

    @property
    def _close_seconds(self) -> float:
        return self.shared.limits.close_seconds

    def _account(self, nbytes: int) -> None:
        """Keep count of what unfinished messages and opening requests occupy, and bound it."""
        shared, limits, opening = self.shared, self.shared.limits, self.proto.state is CONNECTING
        held = self.held + nbytes if opening else len(self.proto.reader.buffer)
        held += len(self.parts or b"")
        if held == self.held:
            return
        shared.assembling += held - self.held
        self.held = held
        if opening and held > limits.head_bytes:
            self.transport.abort()
        elif not opening and held and shared.assembling > limits.assembly_bytes:
            self._fail(CloseCode.TRY_AGAIN_LATER, "too many unfinished messages")

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._vacate()
        self.parts = None
        self.proto.fail(code, reason)

    def _emit(self) -> None:
        """Write what the protocol itself has to say: answers, pongs, a close."""
        chunks = self.proto.data_to_send()
        if not chunks:
            return
        if isinstance(self.proto.handshake_exc, InvalidMessage) and chunks == [b""]:
            self.transport.write(NOT_HTTP)
        data = b"".join(chunks)
        if not self.writable and self.proto.state is OPEN:
            self.pong = chunks[-1]  # RFC 6455, 5.5.3: only the newest ping needs its answer.
        elif data:
            self.transport.write(data)
        if self.proto.state is not OPEN:
            self._vacate()
            self.deadline = min(self.deadline, self.shared.loop.time() + self._close_seconds)
        if chunks[-1] == b"":
            self.transport.write_eof()

    def _vacate(self) -> None:
        if self.seat is not None:
            self.shared.hub.leave(self.seat)
            self.shared.seated -= 1
            self.seat = None

    def _unthrottle(self) -> None:
        self.throttled = False
        self.heard = self.shared.loop.time()
        if not self.transport.is_closing():
            self.transport.resume_reading()
