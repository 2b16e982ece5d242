"""RFC 6455 to the letter: whatever one client says, another hears whole messages or nothing."""

import struct

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nexus import (
    BINARY,
    CLOSE,
    CONT,
    MASK,
    PING,
    PONG,
    TEXT,
    Gateway,
    Raw,
    eventually,
    frame,
    opening,
    running,
)

MIB = 1024 * 1024
UNMASKED = b"\x81\x02hi"
HUGE = b"\x82\xff" + struct.pack("!Q", 1 << 32) + MASK
NEGATIVE = b"\x82\xff" + struct.pack("!Q", 1 << 63) + MASK


def code(number: int, reason: bytes = b"") -> bytes:
    return struct.pack("!H", number) + reason


@pytest.mark.parametrize(
    ("said", "close_code"),
    [
        (UNMASKED, 1002),
        (frame(TEXT, b"x", rsv=1), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(3, b"x"), 1002),
        (frame(11, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, code(1005)), 1002),
        (frame(CLOSE, code(999)), 1002),
        (frame(CLOSE, code(1000, b"\xff")), 1007),
        (frame(CONT, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(CLOSE, code(1000)), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"\xce", fin=False) + frame(CONT, b"x"), 1007),
        (HUGE, 1009),
        (NEGATIVE, 1009),
        (frame(BINARY, b"x" * (MIB + 1)), 1009),
        (frame(BINARY, b"x" * MIB, fin=False) + frame(CONT, b"x"), 1009),
    ],
)
def test_what_is_wrong_ends_the_client_that_said_it(
    gateway: Gateway, said: bytes, close_code: int
) -> None:
    with Raw(gateway.port) as listener, Raw(gateway.port) as speaker:
        listener.open()
        speaker.open()
        before = gateway.health()["protocol_errors"]
        speaker.send(frame(TEXT, b"before") + said + frame(TEXT, b"after"))
        assert speaker.closing() == close_code
        speaker.socket.close()
        eventually(lambda: gateway.health()["protocol_errors"] == before + 1)
        with Raw(gateway.port) as other:
            other.open()
            other.send(frame(TEXT, b"end"))
            assert [listener.frame(), listener.frame()] == [(TEXT, b"before"), (TEXT, b"end")]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONT, b"b"), (TEXT, b"ab")),
        (frame(TEXT, b"\xce", fin=False) + frame(CONT, b"\xba"), (TEXT, "κ".encode())),
        (
            frame(BINARY, fin=False) + frame(CONT, fin=False) * 50 + frame(CONT, b"x"),
            (BINARY, b"x"),
        ),
        (frame(PONG, b"unasked") + frame(TEXT, b"x"), (TEXT, b"x")),
        (frame(TEXT, b"x") + frame(CLOSE, code(1000)), (TEXT, b"x")),
        (frame(BINARY, b"x" * 126), (BINARY, b"x" * 126)),
        (frame(BINARY, b"x" * 65536), (BINARY, b"x" * 65536)),
        (frame(BINARY, b"x" * MIB), (BINARY, b"x" * MIB)),
    ],
)
def test_what_is_right_is_heard_as_one_message(
    gateway: Gateway, said: bytes, heard: tuple[int, bytes]
) -> None:
    with Raw(gateway.port) as listener, Raw(gateway.port) as speaker:
        listener.open()
        speaker.open()
        speaker.send(said)
        assert listener.frame() == heard


def test_a_message_may_arrive_byte_by_byte(gateway: Gateway) -> None:
    with Raw(gateway.port) as listener, Raw(gateway.port) as speaker:
        listener.open()
        for byte in opening():
            speaker.send(bytes([byte]))
        speaker.head()
        for byte in frame(TEXT, b"slowly"):
            speaker.send(bytes([byte]))
        assert listener.frame() == (TEXT, b"slowly")


def test_pings_are_answered_and_closes_echoed(gateway: Gateway) -> None:
    with Raw(gateway.port) as raw:
        raw.open()
        raw.send(frame(PING, b"one") + frame(PING, b"two"))
        assert [raw.frame(), raw.frame()] == [(PONG, b"one"), (PONG, b"two")]
        raw.send(frame(CLOSE, code(4000, b"bye")))
        assert raw.frame() == (CLOSE, code(4000, b"bye"))
        assert raw.ended()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (opening(Upgrade=""), 426),
        (opening(Connection="close"), 426),
        (opening(Sec_WebSocket_Key=""), 400),
        (opening(Sec_WebSocket_Key="short"), 400),
        (opening(Sec_WebSocket_Version="12"), 400),
        (opening(Host=""), 400),
        (opening().replace(b"GET", b"PUT"), 405),
        (opening(Content_Length="5") + b"hello", 400),
        (opening(Transfer_Encoding="chunked"), 400),
        (opening("/" + "x" * 9000), 414),
        (opening(X_Long="x" * 9000), 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
        (b"SSH-2.0-OpenSSH\r\n", 400),
    ],
)
def test_a_wrong_opening_is_told_so(gateway: Gateway, request_bytes: bytes, status: int) -> None:
    with Raw(gateway.port) as raw:
        raw.send(request_bytes)
        assert raw.head().startswith(f"HTTP/1.1 {status} ")


def test_an_opening_without_end_is_cut_however_patient_we_are() -> None:
    with running("--handshake-seconds", "60") as gateway, Raw(gateway.port) as raw:
        raw.send(opening()[:-2] + b"X-More: 1\r\n" * 100 + (b"Y: " + b"y" * 8000 + b"\r\n") * 2)
        assert raw.ended()


def test_who_speaks_before_being_let_in_is_cut(gateway: Gateway) -> None:
    with Raw(gateway.port) as raw:
        raw.send(opening() + frame(TEXT, b"impatient"))
        assert raw.ended()


def test_who_does_not_finish_its_opening_is_cut_in_time() -> None:
    with running("--handshake-seconds", "0.5") as gateway, Raw(gateway.port) as raw:
        raw.send(opening()[:40])
        assert raw.ended()
        assert gateway.health()["uptime_seconds"] > 0.5


frames = st.builds(
    frame,
    st.sampled_from([CONT, TEXT, BINARY, CLOSE, PING, PONG, 3, 15]),
    st.binary(max_size=130),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
)
noise = st.lists(st.one_of(frames, frames, frames, st.binary(max_size=20)), max_size=8)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(noise=noise, opened=st.booleans(), cuts=st.lists(st.integers(1, 400), max_size=4))
@example(noise=[frame(CLOSE)], opened=True, cuts=[])
def test_noise_harms_nobody_else(
    gateway: Gateway, noise: list[bytes], cuts: list[int], *, opened: bool
) -> None:
    data = b"".join(noise)
    with Raw(gateway.port) as listener, Raw(gateway.port) as noisy, Raw(gateway.port) as calm:
        for client in (listener, calm, *[noisy] * opened):
            client.open()
        try:
            for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
                noisy.send(data[start:end])
        except ConnectionError:
            pass  # It was cut before it had said everything.
        calm.send(frame(TEXT, b"calm"))
        while (heard := listener.frame()) != (TEXT, b"calm"):
            assert heard[0] in (TEXT, BINARY)
            if heard[0] == TEXT:
                heard[1].decode()
