"""Who hears what, without a socket."""

from collections import deque

import pytest
from msgspec import structs
from websockets.frames import Opcode

from lazarus_pit.gateway.hub import FRAME_COST, Hub, Room, Seat, encode, gap_notice
from lazarus_pit.gateway.limits import Limits

LIMITS = Limits(ring_messages=4, ring_bytes=4000, hub_bytes=6000, batch_bytes=100, rooms=3)


class Stage:
    """A hub whose turns of the loop we take ourselves."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.stirred: deque[Room] = deque()
        self.hub = Hub(limits, self.stirred.append)

    def turn(self) -> None:
        while self.stirred:
            self.hub.flush(self.stirred.popleft())

    def join(self, room: str = "/", replay: int = 0, *, notices: bool = True) -> "Listener":
        heard: list[bytes] = []
        seat = self.hub.join(room, heard.append, replay=replay, notices=notices)
        return Listener(seat, heard)


class Listener:
    def __init__(self, seat: Seat, heard: list[bytes]) -> None:
        self.seat = seat
        self.heard = heard


def test_6_1_a_message_reaches_everybody_but_its_sender() -> None:
    stage = Stage()
    ann, bob, cid = stage.join(), stage.join(), stage.join()
    stage.hub.publish(ann.seat, b"one")
    stage.hub.publish(bob.seat, b"two")
    stage.turn()
    assert [b"".join(who.heard) for who in (ann, bob, cid)] == [b"two", b"one", b"onetwo"]


def test_those_at_the_same_place_are_handed_the_very_same_bytes() -> None:
    stage = Stage()
    ann, bob, cid = stage.join(), stage.join(), stage.join()
    stage.hub.publish(ann.seat, b"one")
    stage.hub.publish(ann.seat, b"two")
    stage.turn()
    assert bob.heard == [b"onetwo"]
    assert bob.heard[0] is cid.heard[0]


def test_a_batch_ends_before_it_is_too_long_unless_it_is_one_message() -> None:
    stage = Stage()
    ann, bob = stage.join(), stage.join()
    for message in (b"a" * 60, b"b" * 60, b"c" * 200):
        stage.hub.publish(ann.seat, message)
    stage.turn()
    assert [len(batch) for batch in bob.heard] == [60, 60, 200]


def test_who_does_not_read_loses_the_oldest_and_is_told_how_many() -> None:
    stage = Stage()
    ann, bob, cid = stage.join(), stage.join(), stage.join()
    bob.seat.ready = False
    for number in range(10):
        stage.hub.publish(ann.seat, b"%d" % number)
        stage.turn()
    bob.seat.ready = True
    stage.hub.serve(bob.seat, {})
    assert b"".join(cid.heard) == b"0123456789"
    assert bob.heard == [gap_notice(6), b"6789"]
    assert stage.hub.tally.messages_dropped == 6


def test_who_wants_no_notices_gets_none() -> None:
    stage = Stage()
    ann, bob = stage.join(), stage.join(notices=False)
    bob.seat.ready = False
    for number in range(6):
        stage.hub.publish(ann.seat, b"%d" % number)
    bob.seat.ready = True
    stage.hub.serve(bob.seat, {})
    assert bob.heard == [b"2345"]


def test_a_burst_longer_than_the_ring_costs_those_who_read_nothing() -> None:
    stage = Stage()
    ann, bob = stage.join(), stage.join()
    for number in range(10):
        stage.hub.publish(ann.seat, b"%d" % number)
    stage.turn()
    assert b"".join(bob.heard) == b"0123456789"


def test_the_own_messages_of_a_slow_client_are_no_loss_to_it() -> None:
    stage = Stage()
    ann, bob = stage.join(), stage.join()
    bob.seat.ready = False
    for number in range(4):
        stage.hub.publish(bob.seat, b"own")
        stage.hub.publish(ann.seat, b"%d" % number)
    bob.seat.ready = True
    stage.hub.serve(bob.seat, {})
    assert bob.heard == [gap_notice(2), b"23"]


def test_rooms_do_not_hear_each_other() -> None:
    stage = Stage()
    ann, bob, cid = stage.join("/cell/a"), stage.join("/cell/a"), stage.join()
    stage.hub.publish(ann.seat, b"secret")
    stage.turn()
    assert (bob.heard, cid.heard) == ([b"secret"], [])


@pytest.mark.parametrize(("asked", "heard"), [(0, b""), (2, b"45"), (4, b"2345"), (99, b"2345")])
def test_replay_gives_the_last_messages_as_far_as_remembered(asked: int, heard: bytes) -> None:
    stage = Stage()
    ann = stage.join()
    for number in range(6):
        stage.hub.publish(ann.seat, b"%d" % number)
    stage.hub.leave(ann.seat)
    late = stage.join(replay=asked)
    stage.turn()
    assert b"".join(late.heard) == heard


def test_a_room_with_nobody_and_nothing_in_it_is_gone() -> None:
    stage = Stage()
    ann = stage.join("/cell/a")
    stage.hub.leave(ann.seat)
    stage.hub.leave(ann.seat)
    assert not stage.hub.rooms


def test_the_room_that_was_silent_longest_is_forgotten_first() -> None:
    stage = Stage()
    for name in ("/cell/a", "/cell/b", "/cell/c"):
        speaker = stage.join(name)
        stage.hub.publish(speaker.seat, b"x")
        stage.hub.leave(speaker.seat)
    stage.join("/cell/d")
    assert list(stage.hub.rooms) == ["/cell/b", "/cell/c", "/cell/d"]
    assert stage.hub.size == 2 * (1 + FRAME_COST)


def test_all_rooms_together_are_bounded() -> None:
    stage = Stage(structs.replace(LIMITS, rooms=100))
    for number in range(50):
        speaker = stage.join(f"/cell/{number}")
        stage.hub.publish(speaker.seat, b"x" * 500)
        stage.hub.leave(speaker.seat)
        assert stage.hub.size <= LIMITS.hub_bytes
    assert stage.hub.size == sum(room.size for room in stage.hub.rooms.values())
    assert "/cell/49" in stage.hub.rooms


def test_a_message_is_encoded_as_one_unmasked_frame() -> None:
    assert encode(Opcode.TEXT, b"hi") == b"\x81\x02hi"
    assert encode(Opcode.BINARY, b"x" * 300)[:4] == b"\x82\x7e\x01\x2c"
