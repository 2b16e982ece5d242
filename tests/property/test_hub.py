"""Whatever happens in a room, nobody is cheated and nothing grows."""

from collections import deque
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from lazarus_pit.gateway.hub import FRAME_COST, Hub, Room, Seat, gap_notice
from lazarus_pit.gateway.limits import Limits

LIMITS = Limits(
    ring_messages=6, ring_bytes=6 * (FRAME_COST + 8), hub_bytes=9 * (FRAME_COST + 8), batch_bytes=16
)
NOTICES = {gap_notice(dropped): dropped for dropped in range(1, 1000)}
ROOMS = st.sampled_from(["/", "/cell/a", "/cell/b"])


class Listener:
    """One client: what it heard, and what it would have heard had it lost nothing."""

    def __init__(self, join: Callable[[Callable[[bytes], None]], Seat]) -> None:
        self.heard: list[bytes] = []
        self.dropped = 0
        self.due: list[bytes] = []
        self.kept_up = True
        self.seat = join(self.hear)

    def hear(self, data: bytes) -> None:
        assert self.seat.ready, "written to while not ready"
        if data in NOTICES:
            self.dropped += NOTICES[data]
            return
        self.heard += [data[at : at + 8] for at in range(0, len(data), 8)]


class Rooms(RuleBasedStateMachine):
    """Clients come, speak, stop reading, read again and go; the loop takes its turns."""

    listeners = Bundle("listeners")

    def __init__(self) -> None:
        super().__init__()
        self.stirred: deque[Room] = deque()
        self.hub = Hub(LIMITS, self.stirred.append)
        self.present: list[Listener] = []
        self.said = 0

    @rule(target=listeners, room=ROOMS)
    def come(self, room: str) -> Listener:
        listener = Listener(lambda send: self.hub.join(room, send))
        self.present.append(listener)
        return listener

    @rule(listener=consumes(listeners))
    def go(self, listener: Listener) -> None:
        self.present.remove(listener)
        self.hub.leave(listener.seat)

    @rule(speaker=listeners, times=st.integers(1, 9))
    def speak(self, speaker: Listener, times: int) -> None:
        for _ in range(times):
            message = b"%08d" % self.said
            self.said += 1
            for other in self.present:
                if other is not speaker and other.seat.room is speaker.seat.room:
                    other.due.append(message)
            self.hub.publish(speaker.seat, message)

    @rule(listener=listeners)
    def stop_reading(self, listener: Listener) -> None:
        listener.seat.ready = False
        listener.kept_up = False

    @rule(listener=listeners)
    def read_again(self, listener: Listener) -> None:
        listener.seat.ready = True
        self.hub.serve(listener.seat, {})

    @rule()
    def turn(self) -> None:
        while self.stirred:
            self.hub.flush(self.stirred.popleft())

    @invariant()
    def what_is_heard_is_due_and_in_order(self) -> None:
        for listener in self.present:
            due = iter(listener.due)
            assert all(message in due for message in listener.heard)

    @invariant()
    def who_has_everything_heard_or_was_told_of_every_message(self) -> None:
        for listener in self.present:
            if listener.seat.cursor == listener.seat.room.head:
                assert len(listener.heard) + listener.dropped == len(listener.due)

    @invariant()
    def who_always_reads_loses_nothing(self) -> None:
        assert not any(listener.dropped for listener in self.present if listener.kept_up)

    @invariant()
    def nothing_grows(self) -> None:
        rooms = self.hub.rooms.values()
        assert self.hub.size == sum(room.size for room in rooms) <= LIMITS.hub_bytes
        for room in rooms:
            assert len(room.ring) == room.head - room.tail <= LIMITS.ring_messages
            assert room.size <= LIMITS.ring_bytes
            assert room.ring or room.seats


TestRooms = Rooms.TestCase
