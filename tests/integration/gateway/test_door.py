"""Who is let in and who is not, over real sockets."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from nexus import DEADLINE, TEXT, Gateway, Raw, eventually, frame, running

WORD = "a-token-of-some-length"


def status_of(error: pytest.ExceptionInfo[InvalidStatus]) -> int:
    return error.value.response.status_code


def test_a_page_of_another_site_is_refused(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(gateway.url, origin=Origin("https://evil.example"))
    assert status_of(caught) == 403
    assert b"--origin" in (caught.value.response.body or b"")


def test_a_page_of_our_own_is_not(gateway: Gateway) -> None:
    with connect(gateway.url, origin=Origin(f"http://127.0.0.1:{gateway.port}")) as client:
        assert client.protocol.state.name == "OPEN"


def test_a_rebound_name_is_refused(gateway: Gateway) -> None:
    with Raw(gateway.port) as raw:
        assert raw.open(Host="evil.example").startswith("HTTP/1.1 421")


def test_refusals_are_counted(gateway: Gateway) -> None:
    before = gateway.health()["clients_refused"]
    with Raw(gateway.port) as raw:
        raw.open("/cell/nowhere")
    assert gateway.health()["clients_refused"] == before + 1


def test_beyond_loopback_a_token_opens_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(WORD)
    path.chmod(0o600)
    with running("--host", "0.0.0.0", "--token-file", str(path)) as gateway:
        with pytest.raises(InvalidStatus) as caught:
            connect(gateway.url)
        assert status_of(caught) == 401
        assert caught.value.response.headers["WWW-Authenticate"] == "Bearer"
        header = {"Authorization": f"Bearer {WORD}"}
        offered = [Subprotocol("nexus.v1"), Subprotocol(f"bearer.{WORD}")]
        with (
            connect(gateway.url, additional_headers=header) as ann,
            connect(gateway.url, subprotocols=offered) as bob,
        ):
            assert bob.subprotocol == "nexus.v1"
            ann.send("hi")
            assert bob.recv(DEADLINE) == "hi"


def test_a_token_of_the_environment_is_asked_for_on_loopback_too() -> None:
    with (
        running(environment={"NEXUS_TOKEN": WORD}) as gateway,
        pytest.raises(InvalidStatus) as caught,
    ):
        connect(gateway.url)
    assert status_of(caught) == 401


def test_clients_beyond_the_limit_are_told_so_and_may_come_later() -> None:
    with running("--max-clients", "3") as gateway:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(connect(gateway.url))
            with pytest.raises(InvalidStatus) as caught:
                connect(gateway.url)
            assert status_of(caught) == 503
        eventually(lambda: gateway.health()["connected_clients"] == 0)
        with connect(gateway.url):
            assert gateway.health()["connected_clients"] == 1


def test_where_open_files_are_few_fewer_clients_are_accepted() -> None:
    before = ("sh", "-c", 'ulimit -n 390; exec "$@"', "sh")
    with running(before=before) as gateway, ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(connect(gateway.url))
        with pytest.raises(InvalidStatus) as caught:
            connect(gateway.url)
        assert status_of(caught) == 503
        assert gateway.health()["connected_clients"] == 6


def test_a_message_that_is_too_long_ends_its_sender_alone() -> None:
    with (
        running("--max-message-bytes", "1000") as gateway,
        connect(gateway.url) as ann,
        connect(gateway.url) as bob,
    ):
        ann.send("x" * 1000)
        ann.send("x" * 1001)
        with pytest.raises(ConnectionClosedError) as caught:
            ann.recv(DEADLINE)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        assert bob.recv(DEADLINE) == "x" * 1000


def test_a_client_that_floods_is_slowed_down_and_nobody_else() -> None:
    flood = frame(TEXT, b"flood") * 8000
    with (
        running("--messages-per-second", "4000") as gateway,
        Raw(gateway.port) as listener,
        Raw(gateway.port) as calm,
        Raw(gateway.port) as flooder,
    ):
        for client in (listener, calm, flooder):
            client.open()
        began = time.monotonic()
        flooding = threading.Thread(target=flooder.send, args=(flood,))
        flooding.start()
        assert calm.frame() == (TEXT, b"flood")
        calm.send(frame(TEXT, b"calm"))
        heard = [listener.frame()[1] for _ in range(8001)]
        flooding.join(DEADLINE)
        assert heard.index(b"calm") < 8000
        assert time.monotonic() - began > 1, "1,000 at once, one read in debt, the rest is paid"
        assert gateway.health()["messages_dropped"] == 0


def test_who_does_not_answer_a_ping_is_cut() -> None:
    with (
        running("--ping-seconds", "0.2", "--pong-seconds", "0.2") as gateway,
        connect(gateway.url) as alive,
        Raw(gateway.port) as dead,
    ):
        dead.open()
        assert dead.closing() == 1011
        alive.send("hi")
        assert gateway.health()["clients_cut_silent"] == 1
        assert gateway.health()["connected_clients"] == 1
