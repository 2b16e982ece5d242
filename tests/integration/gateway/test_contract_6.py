"""The rows of the operator contract about the Nexus gateway, one by one."""

import http.client
import re
import signal
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from nexus import DEADLINE, GATEWAY, Gateway, Raw, eventually, running

FLAGS = ("--port", "0", "--health-port", "0")


def test_6_1_the_hub_is_on_port_8765_unless_told_otherwise() -> None:
    said = subprocess.run([*GATEWAY, "--help"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"--port PORT\s+WebSocket port \(8765\)", said)
    assert "example:" in said


@pytest.mark.parametrize("message", ["héllo", "", b"\x00\xff", b"", "x" * 70_000])
def test_6_1_a_message_reaches_every_other_client_and_not_its_sender(
    gateway: Gateway, message: str | bytes
) -> None:
    with ExitStack() as stack:
        ann, bob, cid = (stack.enter_context(connect(gateway.url)) for _ in range(3))
        ann.send(message)
        assert bob.recv(DEADLINE) == message
        bob.send("after")
        assert ann.recv(DEADLINE) == "after"
        assert [cid.recv(DEADLINE), cid.recv(DEADLINE)] == [message, "after"]


def test_6_1_fragments_arrive_as_one_message(gateway: Gateway) -> None:
    with connect(gateway.url) as ann, connect(gateway.url) as bob:
        ann.send(iter(["to", "geth", "er"]))
        assert bob.recv(DEADLINE) == "together"


def test_6_1_whatever_the_path_it_is_the_same_hub(gateway: Gateway) -> None:
    with connect(gateway.url + "ws") as ann, connect(gateway.url) as bob:
        ann.send("hi")
        assert bob.recv(DEADLINE) == "hi"


def test_6_1_a_client_that_leaves_or_breaks_harms_nobody_else(gateway: Gateway) -> None:
    with connect(gateway.url) as ann, connect(gateway.url) as bob:
        with connect(gateway.url) as leaving:
            leaving.send("bye")
        with Raw(gateway.port) as breaking:
            breaking.open()
            breaking.send(b"\xff" * 100)
            breaking.closing()
        with Raw(gateway.port) as vanishing:
            vanishing.open()
            vanishing.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        ann.send("still here")
        assert [bob.recv(DEADLINE), bob.recv(DEADLINE)] == ["bye", "still here"]
        eventually(lambda: gateway.health()["connected_clients"] == 2)


def test_rooms_of_cells_are_apart_and_remember(gateway: Gateway) -> None:
    cell = gateway.url + "cell/0b9f0f3e-6c1f-4b6e-9a55-1b1f6f0c2d3e"
    with connect(cell) as ann, connect(gateway.url) as outside:
        for number in range(5):
            ann.send(str(number))
        with connect(gateway.url) as other:
            other.send("outside")
        assert outside.recv(DEADLINE) == "outside"
        ann.ping().wait(DEADLINE)
    with connect(cell + "?replay=2") as late:
        assert [late.recv(DEADLINE), late.recv(DEADLINE)] == ["3", "4"]


def test_6_2_health_says_how_it_is(gateway: Gateway) -> None:
    with connect(gateway.url), connect(gateway.url):
        eventually(lambda: gateway.health()["connected_clients"] == 2)
        facts = gateway.health()
    assert facts["status"] == "ok"
    assert facts["service"] == "nexus-gateway"
    assert facts["ws_port"] == gateway.port
    assert 0 <= facts["uptime_seconds"] < 1000
    assert abs(facts["ts"] - time.time()) < 60


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/health?x=1", 200),
        ("HEAD", "/health", 200),
        ("POST", "/health", 405),
        ("GET", "/", 404),
        ("GET", "/healthz", 404),
        ("GET", "/health/x", 404),
        ("HEAD", "/", 404),
    ],
)
def test_6_2_any_other_path_is_404(gateway: Gateway, method: str, path: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.health_port, timeout=DEADLINE)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == status
    assert response.headers["Content-Type"] == "application/json"
    assert bool(body) == (method != "HEAD")


@pytest.mark.parametrize("request_bytes", [b"hello\r\n\r\n", b"\xff\xfe\r\n\r\n", b"x" * 9000])
def test_6_2_what_is_no_request_is_told_so(gateway: Gateway, request_bytes: bytes) -> None:
    with Raw(gateway.health_port) as raw:
        raw.send(request_bytes)
        assert raw.head().startswith("HTTP/1.1 4")


def test_6_2_the_environment_says_where() -> None:
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    environment = {"NEXUS_HEALTH_HOST": "127.0.0.2", "NEXUS_HEALTH_PORT": str(port)}
    with running(environment=environment, health=()) as gateway:
        assert f"http://127.0.0.2:{port}/health" in gateway.first_line
        with Raw(port, host="127.0.0.2") as raw:
            raw.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert raw.head().startswith("HTTP/1.1 200 OK")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_6_3_a_signal_closes_it_cleanly(number: signal.Signals) -> None:
    with running() as gateway, connect(gateway.url) as ann, Raw(gateway.port) as silent:
        silent.open()
        began = time.monotonic()
        gateway.process.send_signal(number)
        with pytest.raises(ConnectionClosedOK) as caught:
            ann.recv(DEADLINE)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        assert gateway.process.wait(DEADLINE) == 0
        assert time.monotonic() - began < 5
        assert silent.closing() == 1001


def test_a_port_that_is_taken_is_named_with_its_holder(gateway: Gateway) -> None:
    flags = ("--port", str(gateway.port), "--health-port", "0")
    done = subprocess.run([*GATEWAY, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        f"port {gateway.port} on 127.0.0.1 is taken by pid {gateway.process.pid} (" in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--host", "0.0.0.0"), "a token is required there"),
        (("--host", "192.0.2.1"), "--host 192.0.2.1 is not an address of this machine"),
        (("--host", "no such host"), "--host 'no such host' has no address"),
        (("--port", "x"), "argument --port: 'x'"),
        (("--health-host", "192.0.2.1"), "--health-host 192.0.2.1 is not an address"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(flags: tuple[str, ...], said: str) -> None:
    done = subprocess.run([*GATEWAY, *FLAGS, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
