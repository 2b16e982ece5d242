"""Notices reach a real HTTP sink and a real mail server, each of what happened, none lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.channels import apprise
from lazarus_pit.channels.apprise import Target, keep, urls_of
from lazarus_pit.errors import ConfigError
from lazarus_pit.formats.channel_settings import Apprise as Settings
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.records import carried
from lazarus_pit.records.database import opened_records
from postbox import in_loop

PATIENCE = 20.0
UUID = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11"

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""One of the services that Apprise loads imports it."""


class Sink:
    """Takes what is posted; says no while it is down."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refused = 0
        self.down = False
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if sink.down:
                    sink.refused += 1
                else:
                    sink.taken.append(json.loads(body))
                self.send_response(503 if sink.down else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_address[1]}/?retry=0"


@pytest.fixture(name="sink")
def _sink() -> Iterator[Sink]:
    sink = Sink()
    thread = threading.Thread(target=sink.server.serve_forever, args=(0.01,))
    thread.start()
    yield sink
    sink.server.shutdown()
    sink.server.server_close()
    thread.join()


@pytest.fixture(name="pit")
def _pit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PitPaths:
    for name, value in {"GATHER": 0.05, "PAUSE": 0.2, "FIRST": 0.05}.items():
        monkeypatch.setattr(apprise, f"{name}_SECONDS", value)
    pit = PitPaths(tmp_path)
    CellPaths(tmp_path, UUID).logs.mkdir(parents=True)
    return pit


def happens(pit: PitPaths, *agents: str, event: str = "agent_died") -> None:
    now = to_rfc3339(time.time(), 3)
    lines = [{"ts": now, "event": event, "agent": one, "exit": "exit 3"} for one in agents]
    with pit.cell(UUID).events.open("a", encoding="utf-8") as journal:
        journal.write("".join(json.dumps(line) + "\n" for line in lines))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.01)


@asynccontextmanager
async def kept(pit: PitPaths, *urls: str, **more: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(keep(pit, Settings(urls=urls, **more)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def has_read_all(pit: PitPaths) -> bool:
    with opened_records(pit.records) as db:
        rows = db.execute("SELECT value FROM channel_notes WHERE key = 'cursors'").fetchall()
    return any(f'"{pit.cell(UUID).events.stat().st_size}"' in value for (value,) in rows)


def error(pit: PitPaths) -> str:
    with opened_records(pit.records) as db:
        return carried.recall(db, apprise.NAME).get("telling 1", "none yet")


@in_loop
async def test_what_happens_is_told_once_whoever_restarts(pit: PitPaths, sink: Sink) -> None:
    happens(pit, "ada")
    async with kept(pit, sink.url):
        await until(lambda: len(sink.taken) == 1)
        happens(pit, "bob", event="approval_requested")
        await until(lambda: len(sink.taken) == 2 and has_read_all(pit))
    happens(pit, "cid")  # While nobody tells.
    async with kept(pit, sink.url):
        await until(lambda: len(sink.taken) == 3)
    assert [one["title"] for one in sink.taken] == [
        f"{UUID}/ada died",
        f"{UUID}/bob waits for a word",
        f"{UUID}/cid died",
    ]
    assert [one["type"] for one in sink.taken] == ["failure", "warning", "failure"]


@in_loop
async def test_a_mass_death_is_one_message(pit: PitPaths, sink: Sink) -> None:
    async with kept(pit, sink.url):
        happens(pit, *(f"agent-{number}" for number in range(1000)))
        await until(lambda: len(sink.taken) == 1)
        happens(pit, "ada")
        happens(pit, "bob")
        await until(lambda: len(sink.taken) == 2)
    assert sink.taken[0]["title"] == "1000 agents: 1000 died"
    assert sink.taken[1]["title"] == "2 agents: 2 died"


@in_loop
async def test_one_that_is_down_is_told_later_and_holds_up_nobody(
    pit: PitPaths, sink: Sink, smtp: tuple[str, list[Envelope]]
) -> None:
    address, letters = smtp
    sink.down = True
    async with kept(pit, sink.url, address):
        happens(pit, "ada")
        await until(lambda: len(letters) == 1 and sink.refused > 1)
        assert error(pit) == "number 1 (json) does not take a message"
        sink.down = False
        await until(lambda: len(sink.taken) == 1)
        await until(lambda: error(pit) == "")
    content = letters[0].content
    assert isinstance(content, bytes)
    assert b"ada died" in content
    assert len(letters) == 1


@pytest.fixture(name="dripping")
def _dripping() -> Iterator[str]:
    """A service whose answer never ends, a byte at a time: no wait for the next byte is long."""
    ends = threading.Event()
    held: list[socket.socket] = []

    def drip(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                held.append(server.accept()[0])
                held[-1].sendall(b"HTTP/1.1 200 OK\r\nX: ")

    def drip_on() -> None:
        while not ends.wait(0.02):
            for one in held:
                with contextlib.suppress(OSError):
                    one.send(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threads = [threading.Thread(target=drip, args=(server,)), threading.Thread(target=drip_on)]
        for thread in threads:
            thread.start()
        yield f"json://127.0.0.1:{server.getsockname()[1]}/"
        ends.set()
        server.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
    for one in held:
        one.close()


@in_loop
async def test_a_service_that_never_ends_its_answer_holds_up_nobody(
    pit: PitPaths, sink: Sink, dripping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apprise, "SEND_SECONDS", 3600.0)
    async with kept(pit, dripping, sink.url):
        happens(pit, "ada")
        await until(lambda: len(sink.taken) == 1)
        happens(pit, "bob")
        await until(lambda: len(sink.taken) == 2)
    monkeypatch.setattr(apprise, "SEND_SECONDS", 0.5)
    async with kept(pit, dripping):
        await until(lambda: error(pit) == "number 1 (json) has not taken a message in 0.5 s")


@in_loop
async def test_what_is_no_address_is_named_and_not_shown(
    pit: PitPaths, sink: Sink, tmp_path: Path
) -> None:
    file = tmp_path / "urls"
    file.write_text(f"# ours\n{sink.url}\n\nhush://hush\n")
    assert urls_of(Settings(urls_file=str(file))) == [sink.url, "hush://hush"]
    with pytest.raises(ConfigError, match="number 2: Apprise knows no such service") as caught:
        Target(pit, "hush://hush", 2)
    assert "hush" not in str(caught.value)
    async with kept(pit, "hush://hush", sink.url):  # The others are told all the same.
        await until(lambda: "number 1" in error(pit))
        happens(pit, "ada")
        await until(lambda: len(sink.taken) == 1)
    async with kept(pit):  # Nothing is said any more of an address that is not there any more.
        await until(lambda: error(pit) == "")


class _Letters:
    def __init__(self) -> None:
        self.letters: list[Envelope] = []

    async def handle_DATA(  # noqa: N802 - the name is the library's
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.letters.append(envelope)
        return "250 OK"


@pytest.fixture(name="smtp")
def _smtp() -> Iterator[tuple[str, list[Envelope]]]:
    letters = _Letters()
    with socket.create_server(("127.0.0.1", 0)) as free:  # The controller must know its port.
        port = free.getsockname()[1]
    controller = Controller(letters, hostname="127.0.0.1", port=port)
    controller.start()
    yield (
        f"mailto://127.0.0.1:{port}/?from=pit@example.org&to=ada@example.org&mode=insecure",
        letters.letters,
    )
    controller.stop()
