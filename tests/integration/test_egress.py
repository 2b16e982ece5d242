"""Network mode ``allow``, from inside real cells, through the real proxy, to real servers."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from integration.pit import Pit, processes, send
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.formats.manifest import Network
from lazarus_pit.linux import unix_sockets

ASKING = (Path(__file__).parent / "asking.py").read_text()
PROXY = "lazarus_pit.sandboxes.egress.proxy"


class Page(BaseHTTPRequestHandler):
    """Says which page was asked for, of which host."""

    def do_GET(self) -> None:
        body = f"page {self.path} of {self.headers.get('Host')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def servers() -> Iterator[list[int]]:
    """Ports of three servers on the host's loopback."""
    running = [ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(3)]
    for server in running:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_address[1] for server in running]
    for server in running:
        server.shutdown()
        server.server_close()


class Asker:
    """One agent under network ``allow``, asked from outside."""

    def __init__(self, pit: Pit, name: str, **network: Any) -> None:
        self.pit = pit
        self.name = name
        self.cell: CellPaths = pit.cell()
        words = ("python3", "-c", ASKING)
        rules = {"liveness": "process"}
        pit.spawn(self.cell, name, *words, network=Network.ALLOW, rules=rules, **network)

    def ask(self, *attempts: list[Any]) -> list[str]:
        """Have it try, and return what it got."""
        self.pit.wait(lambda: "asking" in self.log(), f"the beginning of {self.name}")
        answer = self.cell.workspace / "answer"
        answer.unlink(missing_ok=True)
        new = self.cell.workspace / "ask.new"
        new.write_text(json.dumps(attempts))
        new.chmod(0o644)
        new.rename(self.cell.workspace / "ask")
        self.pit.wait(answer.exists, f"answer of {self.name}: {self.log()}")
        found: list[str] = json.loads(answer.read_text())
        return found

    def log(self) -> str:
        file = self.cell.log(self.name)
        return file.read_text() if file.exists() else ""


@pytest.fixture(scope="module")
def pit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pit]:
    pit = Pit(tmp_path_factory.mktemp("pit"))
    pit.start()
    yield pit
    pit.close()
    assert PitPaths(pit.root).egress_log.read_text() == ""  # No fault was let fall.


@pytest.fixture(scope="module")
def alice(pit: Pit, servers: list[int]) -> Asker:
    """May reach the first server by address, and the third by its name only."""
    web, _, third = servers
    allow = (f"127.0.0.1:{web}", f"localhost:{web}", f"localhost:{third}", "*.b.invalid")
    return Asker(pit, "alice", allow=allow, forward=(third,))


@pytest.fixture(scope="module")
def bob(pit: Pit, servers: list[int]) -> Asker:
    return Asker(pit, "bob", allow=(f"127.0.0.1:{servers[1]}",))


def test_what_is_allowed_is_reached(alice: Asker, servers: list[int]) -> None:
    web = servers[0]
    tunnel, page, named = alice.ask(
        ["connect", f"127.0.0.1:{web}"],
        ["get", f"http://127.0.0.1:{web}/a?b=c"],
        ["connect", f"LocalHost.:{web}"],
    )
    assert " 200 " in tunnel
    assert "page /tunnel" in tunnel
    assert page.startswith("HTTP/1.0 200")
    assert f"page /a?b=c of 127.0.0.1:{web}" in page  # and not of the forged host
    assert "page /tunnel" in named


def test_what_is_not_allowed_is_refused_in_a_sentence(alice: Asker, servers: list[int]) -> None:
    other = servers[1]
    places = [
        "evil.example:443",
        f"127.0.0.1:{other}",
        "b.invalid:443",  # the apex of a wildcard
        "xb.invalid:443",
        "a.b.invalid:22",  # another port
        f"[::1]:{servers[0]}",
        "169.254.169.254:80",
    ]
    for place, said in zip(places, alice.ask(*(["connect", p] for p in places)), strict=True):
        assert said.startswith("HTTP/1.1 403 "), (place, said)
        assert f"alice may not reach {place}: it is" in said


def test_below_a_wildcard_is_allowed_though_it_does_not_exist(alice: Asker) -> None:
    for said in alice.ask(["connect", "a.b.invalid:443"], ["get", "http://x.a.b.invalid/"]):
        assert said.startswith("HTTP/1.1 502 ")
        assert "cannot be reached" in said


def test_a_name_that_leads_to_loopback_is_refused(alice: Asker, servers: list[int]) -> None:
    (said,) = alice.ask(["connect", f"localhost:{servers[2]}"])
    assert said.startswith("HTTP/1.1 403 ")
    assert "leads to 127.0.0.1, which is not public" in said


@pytest.mark.parametrize(
    "host",
    ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "0x7f000001", "0", "localhost"],
)
def test_no_spelling_of_loopback_gets_to_another_port(
    alice: Asker, servers: list[int], host: str
) -> None:
    for said in alice.ask(
        ["connect", f"{host}:{servers[1]}"], ["get", f"http://{host}:{servers[1]}/"]
    ):
        assert said.startswith("HTTP/1.1 403 "), said
        assert "page" not in said


def test_ipv4_in_the_clothes_of_ipv6_is_what_it_is(alice: Asker, servers: list[int]) -> None:
    same, other, old = alice.ask(
        ["connect", f"[::ffff:127.0.0.1]:{servers[0]}"],
        ["connect", f"[::ffff:127.0.0.1]:{servers[1]}"],
        ["connect", f"[::127.0.0.1]:{servers[0]}"],
    )
    assert "page /tunnel" in same
    assert " 403 " in other
    assert " 403 " in old


def test_nothing_leaves_but_by_the_proxy(alice: Asker, servers: list[int]) -> None:
    web = servers[0]
    loopback, outside, name, packet, devices = alice.ask(
        ["direct", "127.0.0.1", web],
        ["direct", "192.0.2.1", 80],
        ["dns", "a.b.invalid"],
        ["udp", "192.0.2.1", 53],
        ["interfaces"],
    )
    assert "refused" in loopback
    assert "unreachable" in outside
    assert name.startswith("OSError")
    assert "unreachable" in packet
    assert devices == "lo"


def test_a_forwarded_port_is_the_hosts(alice: Asker, bob: Asker, servers: list[int]) -> None:
    third = servers[2]
    assert "page /direct" in alice.ask(["direct", "127.0.0.1", third])[0]
    assert "refused" in bob.ask(["direct", "127.0.0.1", third])[0]


def test_each_cell_has_its_own_list(alice: Asker, bob: Asker, servers: list[int]) -> None:
    places = [["connect", f"127.0.0.1:{port}"] for port in servers[:2]]
    mine, not_mine = alice.ask(*places)
    assert ("page" in mine, "page" in not_mine) == (True, False)
    not_his, his = bob.ask(*places)
    assert ("page" in not_his, "page" in his) == (False, True)
    assert "bob may not reach" in not_his


def test_refusals_are_journalled_as_lines_that_obey_nobody(pit: Pit, bob: Asker) -> None:
    bob.ask(["connect", "seen.example:8443"], ["connect", "a\u009bb:1"], ["get", "http://x\t/"])
    event = pit.wait_event(bob.cell, "network_denied", "bob", host="seen.example")
    assert event.data["port"] == 8443
    assert event.data["why"] == "is not on the allow-list"
    for line in bob.cell.events.read_text().splitlines():
        assert json.loads(line)
        assert line.isprintable()


def test_a_flood_of_refusals_is_counted_not_told(pit: Pit, servers: list[int]) -> None:
    flood = Asker(pit, "flood", allow=())
    flood.ask(*(["connect", f"h{n}.example:443"] for n in range(150)))
    flood.ask(*(["connect", "again.example:443"] for _ in range(20)))
    pit.wait_event(flood.cell, "network_denied", "flood", host="h0.example")
    told = pit.events(flood.cell, "network_denied")
    assert 20 <= len(told) <= 30


def test_the_environment_names_the_proxy(alice: Asker) -> None:
    for process in processes("ALL_PROXY=http://127.0.0.1:3128"):
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        assert b"http_proxy=http://127.0.0.1:3128" in variables
        assert b"NO_PROXY=localhost,127.0.0.1,::1" in variables
        break
    else:
        raise AssertionError("no agent has the variable")


def test_an_agent_cannot_have_all_connections_of_the_proxy(
    alice: Asker, bob: Asker, servers: list[int]
) -> None:
    (said,) = alice.ask(["hold", 256])
    assert said.startswith("HTTP/1.1 503 ")
    assert "alice has 256 connections open" in said
    assert "page" in bob.ask(["connect", f"127.0.0.1:{servers[1]}"])[0]


def proxy_pid(pit: Pit) -> int:
    """The pid of this pit's proxy: of who listens on its socket."""

    def found() -> int:
        with unix_sockets.connect(str(PitPaths(pit.root).egress), 5) as line:
            pid = unix_sockets.peer(line)[0]
        return pid if pid in processes(PROXY) else 0

    return int(pit.wait(found, "a proxy"))


def test_the_proxy_is_nobody_and_holds_no_port(alice: Asker, pit: Pit) -> None:
    alice.ask(["interfaces"])
    status = Path(f"/proc/{proxy_pid(pit)}/status").read_text()
    wanted = "Uid:\t65534\t65534" if os.geteuid() == 0 else f"Uid:\t{os.geteuid()}\t"
    assert wanted in status
    assert "NoNewPrivs:\t1" in status
    with socket.socket() as visitor, pytest.raises(ConnectionRefusedError):
        visitor.connect(("127.0.0.1", 3128))


def test_killed_it_is_replaced_and_running_agents_regain_their_network(
    pit: Pit, alice: Asker, bob: Asker, servers: list[int]
) -> None:
    alice.ask(["interfaces"])
    bob.ask(["interfaces"])
    before = proxy_pid(pit)
    send(before, signal.SIGKILL)
    pit.wait_event(alice.cell, "network_restored", "alice")
    pit.wait_event(bob.cell, "network_restored", "bob")
    assert proxy_pid(pit) != before
    web, other, third = servers
    yes, no, forwarded = alice.ask(
        ["connect", f"127.0.0.1:{web}"],
        ["connect", f"127.0.0.1:{other}"],
        ["direct", "127.0.0.1", third],
    )
    assert "page" in yes
    assert " 403 " in no
    assert "page" in forwarded
    assert "page" in bob.ask(["connect", f"127.0.0.1:{other}"])[0]


def test_deaf_it_is_replaced(pit: Pit, alice: Asker, servers: list[int]) -> None:
    alice.ask(["interfaces"])
    before = proxy_pid(pit)
    count = len(pit.events(alice.cell, "network_restored")) + 1
    send(before, signal.SIGSTOP)
    pit.wait_event(alice.cell, "network_restored", "alice", count=count)
    assert "page" in alice.ask(["connect", f"127.0.0.1:{servers[0]}"])[0]


def test_with_its_socket_gone_it_is_replaced(pit: Pit, alice: Asker, servers: list[int]) -> None:
    alice.ask(["interfaces"])
    count = len(pit.events(alice.cell, "network_restored")) + 1
    PitPaths(pit.root).egress.unlink()
    pit.wait_event(alice.cell, "network_restored", "alice", count=count)
    assert "page" in alice.ask(["connect", f"127.0.0.1:{servers[0]}"])[0]


def test_the_network_outlives_the_daemon(pit: Pit, bob: Asker, servers: list[int]) -> None:
    bob.ask(["interfaces"])
    before = proxy_pid(pit)
    pit.kill9()
    allowed, refused = bob.ask(
        ["connect", f"127.0.0.1:{servers[1]}"], ["connect", "meanwhile.example:443"]
    )
    assert "page" in allowed
    assert " 403 " in refused
    pit.start()
    pit.wait_event(bob.cell, "network_denied", "bob", host="meanwhile.example")
    assert proxy_pid(pit) == before
    assert "page" in bob.ask(["connect", f"127.0.0.1:{servers[1]}"])[0]


def test_daemon_and_proxy_killed_together_come_back(
    pit: Pit, bob: Asker, servers: list[int]
) -> None:
    bob.ask(["interfaces"])
    count = len(pit.events(bob.cell, "network_restored")) + 1
    before = proxy_pid(pit)
    pit.kill9()
    send(before, signal.SIGKILL)
    # Refused, or reset where the connection was waiting for the proxy as it died.
    assert "OSError" in bob.ask(["connect", f"127.0.0.1:{servers[1]}"])[0]
    pit.start()
    pit.wait_event(bob.cell, "network_restored", "bob", count=count)
    assert "page" in bob.ask(["connect", f"127.0.0.1:{servers[1]}"])[0]


def test_nothing_of_it_is_left_without_lives_and_daemon(tmp_path: Path, servers: list[int]) -> None:
    pit = Pit(tmp_path)
    pit.start()
    try:
        carol = Asker(pit, "carol", allow=())
        carol.ask(["interfaces"])
        pid = proxy_pid(pit)
        fd = os.pidfd_open(pid)
    finally:
        pit.close()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(20_000), "the proxy is still there"
    os.close(fd)


def test_without_walls_it_is_refused(tmp_path: Path) -> None:
    pit = Pit(tmp_path, unsafe=True)
    pit.start()
    try:
        dave = Asker(pit, "dave", allow=("example.com",))
        event = pit.wait_event(dave.cell, "agent_escalated", "dave")
        assert event.data["reason"] == "cannot_start"
        why = pit.events(dave.cell, "agent_start_failed")[0].data["why"]
        assert "network mode allow needs namespaces, and sandbox none has none" in why
    finally:
        pit.close()
