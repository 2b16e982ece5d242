"""Connections to the proxy, over real sockets: slow, long, silent and greedy ones."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.formats.allowlist import parse_rules
from lazarus_pit.sandboxes.egress.serve import Client, Limits, lead_through, serve

QUICK = Limits(head=0.3, reach=5.0, idle=0.3)
PATIENCE = 30.0

Origin = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Talk:
    """A client's side of a connection that the proxy serves, and what the proxy said of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.denied: list[tuple[str, int, str]] = []
        self.passed: list[tuple[str, int]] = []
        self.mine, self._its = socket.socketpair()
        self.mine.setblocking(False)
        self._its.setblocking(False)

    def begin(self, limits: Limits) -> asyncio.Task[None]:
        client = Client(
            agent="alice",
            rules=parse_rules([f"127.0.0.1:{self.port}", "a.invalid"]),
            lookups=asyncio.Semaphore(1),
            denied=lambda *what: self.denied.append(what),
            passed=lambda *what: self.passed.append(what),
        )
        return asyncio.ensure_future(serve(self._its, client, limits))

    async def send(self, words: str) -> None:
        await asyncio.get_running_loop().sock_sendall(self.mine, words.encode("latin-1"))

    async def read(self, until: bytes = b"") -> str:
        """Read until some words have come, or to the end."""
        said = b""
        while not until or until not in said:
            more = await asyncio.get_running_loop().sock_recv(self.mine, 65536)
            if not more:
                break
            said += more
        return said.decode("latin-1")


def talk(scenario: Callable[[Talk], Awaitable[Any]], origin: Origin, limits: Limits) -> Talk:
    """Play a scenario against an origin server; the proxy's task must end by itself."""

    async def play() -> Talk:
        server = await asyncio.start_server(origin, "127.0.0.1", 0)
        async with server:
            one = Talk(server.sockets[0].getsockname()[1])
            async with asyncio.timeout(PATIENCE):
                serving = one.begin(limits)
                with one.mine:
                    await scenario(one)
                await serving
        return one

    return asyncio.run(play())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back whatever comes, to its end."""
    while more := await reader.read(65536):
        writer.write(more)
        await writer.drain()
    writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the other side has gone."""
    await reader.read()
    writer.close()


def tunnel(port: int) -> str:
    return f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"


def test_a_head_that_drips_is_cut_off_in_time() -> None:
    async def drip(one: Talk) -> None:
        reading = asyncio.ensure_future(one.read())
        while not reading.done():
            try:
                await one.send("X")
            except OSError:
                break
            await asyncio.wait([reading], timeout=0.02)
        assert (await reading).startswith("HTTP/1.1 408 ")

    talk(drip, echo, QUICK)


def test_nothing_at_all_is_cut_off_too() -> None:
    async def wait(one: Talk) -> None:
        assert (await one.read()).startswith("HTTP/1.1 408 ")

    talk(wait, echo, QUICK)


def test_a_head_without_end_is_refused() -> None:
    async def flood(one: Talk) -> None:
        reading = asyncio.ensure_future(one.read())
        await one.send("GET http://a.invalid/ HTTP/1.1\r\n" + "X: y\r\n" * 4000)
        assert (await reading).startswith("HTTP/1.1 431 ")

    talk(flood, echo, Limits())


@pytest.mark.parametrize("words", ["\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\r\n\r\n"])
def test_what_is_no_request_is_told_so(words: str) -> None:
    async def babble(one: Talk) -> None:
        await one.send(words)
        assert (await one.read()).startswith("HTTP/1.1 400 ")

    assert talk(babble, echo, Limits()).denied == []


def test_a_tunnel_carries_much_in_both_directions_and_ends_with_its_sides() -> None:
    much = "0123456789abcdef" * 65536

    async def carry(one: Talk) -> None:
        await one.send(tunnel(one.port) + "early")
        assert (await one.read(b"early")).endswith("\r\n\r\nearly")
        reading = asyncio.ensure_future(one.read())
        await one.send(much)
        one.mine.shutdown(socket.SHUT_WR)
        assert await reading == much

    done = talk(carry, echo, Limits())
    assert done.passed == [("127.0.0.1", done.port)]


def test_a_silent_tunnel_is_closed_and_a_busy_one_is_not() -> None:
    async def beat_then_rest(one: Talk) -> None:
        await one.send(tunnel(one.port))
        await one.read(b"\r\n\r\n")
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < QUICK.idle * 3:
            await one.send(".")
            assert await one.read(b".") == "."
        assert await one.read() == ""

    talk(beat_then_rest, echo, QUICK)


def test_a_host_that_never_answers_holds_nothing_for_ever() -> None:
    async def ask(one: Talk) -> None:
        await one.send(f"GET http://127.0.0.1:{one.port}/ HTTP/1.1\r\n\r\n")
        assert await one.read() == ""

    talk(ask, silent, QUICK)


def test_only_the_request_that_was_judged_is_passed_on() -> None:
    got: list[str] = []

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        got.append((head + await reader.readexactly(5)).decode())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()
        try:
            async with asyncio.timeout(0.3):
                got.append((await reader.read(100)).decode())
        except TimeoutError:
            pass
        writer.close()

    async def smuggle(one: Talk) -> None:
        place = f"127.0.0.1:{one.port}"
        await one.send(f"POST http://{place}/a HTTP/1.1\r\nContent-Length: 5\r\n\r\nbo")
        await one.send("dy!GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert (await one.read()).startswith("HTTP/1.1 200 ")

    talk(smuggle, origin, Limits())
    assert len(got) == 1
    assert got[0].startswith("POST /a HTTP/1.1\r\n")
    assert got[0].endswith("\r\n\r\nbody!")


def test_a_refusal_names_the_place_and_is_reported() -> None:
    async def ask(one: Talk) -> None:
        await one.send("CONNECT other.example:443 HTTP/1.1\r\n\r\n")
        said = await one.read()
        assert said.startswith("HTTP/1.1 403 Forbidden\r\n")
        assert said.endswith("alice may not reach other.example:443: it is not on the allow-list\n")

    done = talk(ask, echo, Limits())
    assert done.denied == [("other.example", 443, "is not on the allow-list")]
    assert done.passed == []


def test_nobody_at_the_allowed_place_is_a_gateway_error() -> None:
    async def ask(one: Talk) -> None:
        await one.send("CONNECT a.invalid:443 HTTP/1.1\r\n\r\n")
        assert (await one.read()).startswith("HTTP/1.1 502 ")

    assert talk(ask, echo, Limits()).denied == []


def test_a_port_that_is_led_through_carries_everything_and_closes_where_nobody_is() -> None:
    async def play() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        async with server, asyncio.timeout(PATIENCE):
            mine, its = socket.socketpair()
            for one in (mine, its):
                one.setblocking(False)
            serving = asyncio.ensure_future(lead_through(its, port, Limits()))
            await loop.sock_sendall(mine, b"anything")
            assert await loop.sock_recv(mine, 100) == b"anything"
            mine.close()
            await serving
        mine, its = socket.socketpair()
        its.setblocking(False)
        await lead_through(its, port, Limits())
        assert mine.recv(1) == b""
        mine.close()

    asyncio.run(play())


PUBLIC = "192.88.1.1"

OWN_ADDRESS = """
import asyncio, fcntl, socket, struct
from integration.test_egress_connections import PUBLIC, QUICK
from lazarus_pit.formats.allowlist import parse_rules
from lazarus_pit.linux import netns
from lazarus_pit.sandboxes.egress.serve import Client, serve

netns.leave_network()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    address = struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton(PUBLIC))
    fcntl.ioctl(control, 0x8916, address)  # SIOCSIFADDR, netdevice(7)
listener = socket.create_server(("0.0.0.0", 80))
mine, its = socket.socketpair()
its.setblocking(False)
client = Client("alice", parse_rules(["own.test"]), asyncio.Semaphore(1), print, print)
mine.sendall(b"CONNECT own.test:80 HTTP/1.1\\r\\n\\r\\n")
mine.shutdown(socket.SHUT_WR)
asyncio.run(serve(its, client, QUICK))
"""


def test_a_name_that_leads_to_this_hosts_public_address_is_refused(tmp_path: Path) -> None:
    """On a host that has a public address, in a network and with an ``/etc/hosts`` of its own."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{PUBLIC} own.test\n")
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    ways = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *ways, "sh", "-c", script, hosts, sys.executable, "-c", OWN_ADDRESS],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    refused = f"own.test 80 leads to {PUBLIC}, which is this host's own and which no rule names"
    assert done.stdout.strip() == refused, done.stderr
