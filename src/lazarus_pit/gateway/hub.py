"""Who hears what: a ring of encoded frames a room, a cursor a client. No socket, no clock.

A message is encoded once, whoever hears it. Clients at the same place in a room are handed the
very same bytes, once a turn of the event loop, however many messages those hold. Nothing is kept
for a client but a number: one that stops reading costs nothing, and loses the oldest messages
when the ring moves past its cursor. One that keeps up loses none, since the ring is never moved
over messages that were not yet handed out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import count

from msgspec import Struct
from websockets.frames import Frame, Opcode

from lazarus_pit.gateway.limits import Limits

EVERYBODY = "/"
"""The room of those who ask for no other."""

FRAME_COST = 128
"""Bytes that remembering a frame costs beside the frame itself."""

Batch = tuple[bytes, int, int]
"""Frames in a row as bytes; the cursor after them; how many there are."""


def encode(opcode: Opcode, payload: bytes) -> bytes:
    """Encode a whole message as a server's one frame (RFC 6455, section 5.2)."""
    return Frame(opcode, payload).serialize(mask=False)


def gap_notice(dropped: int) -> bytes:
    """Encode the message that tells a client how many messages it will never see."""
    return encode(Opcode.TEXT, b'{"type":"nexus.gap","dropped":%d}' % dropped)


class Tally(Struct):
    """What has happened since the start; ``/health`` shows it."""

    messages_received: int = 0
    messages_delivered: int = 0
    messages_dropped: int = 0
    """Deliveries that slow clients missed."""
    clients_cut_slow: int = 0
    clients_cut_silent: int = 0
    clients_refused: int = 0
    protocol_errors: int = 0


class Seat:
    """One client's place in a room. Its owner keeps ``ready`` true while ``send`` may be called."""

    __slots__ = ("cursor", "notices", "number", "own_end", "own_lost", "ready", "room", "send")

    def __init__(
        self, number: int, room: Room, send: Callable[[bytes], None], *, notices: bool
    ) -> None:
        self.number = number
        self.room = room
        self.send = send
        self.notices = notices
        self.ready = True
        self.cursor = room.head  # The next message to hand out.
        self.own_end = 0  # The cursor after the newest message of its own.
        self.own_lost = 0  # Of those that the ring has moved past, how many were its own.


class Room:
    """The newest messages of one room, numbered from ``tail`` up to but not including ``head``."""

    __slots__ = ("handed", "head", "name", "ring", "seats", "size", "stirred", "tail")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ring: deque[tuple[bytes, int]] = deque()  # A frame and the number of its sender.
        self.tail = 0
        self.head = 0
        self.handed = 0  # Everything before it was offered to every seat that was ready.
        self.size = 0  # What the ring costs, in bytes.
        self.seats: dict[int, Seat] = {}
        self.stirred = False  # Whether a flush is on its way.

    def batch(self, start: int, but: int, limit: int) -> Batch:
        """Join frames from ``start`` on, without those of sender ``but``, up to ``limit`` bytes."""
        ring, first = self.ring, self.tail
        frames: list[bytes] = []
        size, end = 0, start
        while end < self.head:
            frame, sender = ring[end - first]
            if sender != but:
                size += len(frame)
                if frames and size > limit:
                    break
                frames.append(frame)
            end += 1
        return b"".join(frames), end, len(frames)


class Hub:
    """All rooms. ``wake`` is called with a room that wants ``flush`` soon, once until then."""

    def __init__(self, limits: Limits, wake: Callable[[Room], object]) -> None:
        self.tally = Tally()
        self.rooms: OrderedDict[str, Room] = OrderedDict()  # Least recently spoken in first.
        self.size = 0  # What all rings cost, in bytes.
        self._limits = limits
        self._wake = wake
        self._numbers = count(1)

    def join(
        self, name: str, send: Callable[[bytes], None], *, replay: int = 0, notices: bool = True
    ) -> Seat:
        """Take a seat in a room, its last ``replay`` messages (as far as remembered) before it."""
        room = self.rooms.get(name)
        if room is None:
            if len(self.rooms) >= self._limits.rooms:
                self._forget_a_deserted_room()
            room = self.rooms[name] = Room(name)
        seat = Seat(next(self._numbers), room, send, notices=notices)
        room.seats[seat.number] = seat
        seat.cursor = max(room.tail, room.head - replay)
        if seat.cursor != room.head:
            self._stir(room)
        return seat

    def leave(self, seat: Seat) -> None:
        """Give up a seat; a room with nobody and nothing in it is gone."""
        room = seat.room
        seat.ready = False
        if room.seats.pop(seat.number, None) and not room.seats and not room.ring:
            del self.rooms[room.name]

    def publish(self, seat: Seat, frame: bytes) -> None:
        """Say a frame from a seat to everybody else in its room."""
        room, limits, cost = seat.room, self._limits, len(frame) + FRAME_COST
        room.ring.append((frame, seat.number))
        room.head += 1
        seat.own_end = room.head
        room.size += cost
        self.size += cost
        self.rooms.move_to_end(room.name)
        self.tally.messages_received += 1
        self._stir(room)
        while len(room.ring) > limits.ring_messages or room.size > limits.ring_bytes:
            self._forget_oldest(room)
        while self.size > limits.hub_bytes:
            self._forget_oldest(next(room for room in self.rooms.values() if room.ring))

    def flush(self, room: Room) -> None:
        """Hand out what is new in a room to every seat that is ready."""
        room.stirred = False
        room.handed = room.head
        shared: dict[int, Batch] = {}
        for seat in room.seats.values():
            if seat.ready and seat.cursor != room.head:
                self.serve(seat, shared)

    def serve(self, seat: Seat, shared: dict[int, Batch]) -> None:
        """Hand out to one seat until it has everything or is no longer ready.

        ``shared`` holds the batches that this turn has already made, by their first cursor.
        """
        room, limit = seat.room, self._limits.batch_bytes
        while seat.ready and seat.cursor != room.head:
            if seat.cursor < room.tail:
                self._tell_gap(seat)
                continue
            if seat.cursor < seat.own_end:
                batch = room.batch(seat.cursor, seat.number, limit)
            else:
                known = shared.get(seat.cursor)
                batch = known or room.batch(seat.cursor, 0, limit)
                shared[seat.cursor] = batch
            data, seat.cursor, messages = batch
            self.tally.messages_delivered += messages
            if data:
                seat.send(data)

    def _tell_gap(self, seat: Seat) -> None:
        dropped = seat.room.tail - seat.cursor - seat.own_lost
        seat.cursor = seat.room.tail
        seat.own_lost = 0
        self.tally.messages_dropped += dropped
        if dropped and seat.notices:
            seat.send(gap_notice(dropped))

    def _stir(self, room: Room) -> None:
        if not room.stirred:
            room.stirred = True
            self._wake(room)

    def _forget_oldest(self, room: Room) -> None:
        """Move a room's ring on by one message, never past what was not yet handed out."""
        if room.tail >= room.handed:
            self.flush(room)
        frame, sender = room.ring.popleft()
        seat = room.seats.get(sender)
        if seat is not None and seat.cursor <= room.tail:
            seat.own_lost += 1
        room.tail += 1
        room.size -= len(frame) + FRAME_COST
        self.size -= len(frame) + FRAME_COST
        if not room.ring and not room.seats:
            del self.rooms[room.name]

    def _forget_a_deserted_room(self) -> None:
        room = next((room for room in self.rooms.values() if not room.seats), None)
        while room is not None and room.ring:
            self._forget_oldest(room)
