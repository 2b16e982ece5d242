"""``lazarus top`` on a real pit: what it shows is what happens, and its keys do what verbs do."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import PATIENCE, Pit, send
from integration.typing_it import Typist
from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli.place import Place
from lazarus_pit.cli.top.app import Top
from lazarus_pit.core.model import CellStatus
from lazarus_pit.formats.envelope import MailName
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records

BEATING = (
    "i=0; while :; do i=$((i+1)); printf 'turn %s \\033]0;owned\\007\\n' $i; "
    'lazarus beat --cycle $i --status "turn $i"; sleep 0.2; done'
)
SMALL = (80, 24)
ESCAPE = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[=>]")
COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;]*m")


@pytest.fixture(scope="module")
def pit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pit]:
    pit = Pit(tmp_path_factory.mktemp("top"), resurrect_after=20.0, heartbeat_stale_threshold=10.0)
    pit.root.mkdir()
    pit.start()
    yield pit
    pit.close()


@pytest.fixture(scope="module")
def pond(pit: Pit) -> CellPaths:
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "sh", "-c", BEATING)
    pit.spawn(cell, "broken", "sh", "-c", "exit 78")
    pit.wait_event(cell, "agent_ready", "scribe")
    pit.wait_event(cell, "agent_escalated", "broken")
    return cell


class Eyes:
    """Somebody at the keyboard, who reads the whole screen."""

    def __init__(self, app: Top, pilot: Any) -> None:
        self.app = app
        self._pilot = pilot

    def screen(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return [strip.text for strip in strips]

    async def until(self, *words: str, gone: str = "\0") -> list[str]:
        """Return the screen as soon as each of these stands on one line of it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            seen = [word for word in words if any(re.search(word, line) for line in screen)]
            if len(seen) == len(words) and not any(gone in line for line in screen):
                return screen
            missing = set(words) - set(seen)
            assert time.monotonic() < deadline, "\n".join([f"never seen: {missing}", *screen])
            await self._pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def select(self, name: str) -> None:
        """Go to an agent by the filter, as one would among a thousand."""
        await self.press("slash", *name, "enter")
        await self.until(rf"with '{name}'", rf"^pond/{name}:")


def watch(
    pit: Pit, scenario: Callable[[Eyes], Awaitable[None]], size: tuple[int, int] = SMALL
) -> None:
    async def run() -> None:
        app = Top(Place(config=pit.config).settings())
        async with app.run_test(size=size) as pilot:
            await scenario(Eyes(app, pilot))

    asyncio.run(run())


def line(screen: list[str], *words: str) -> str:
    return next(text for text in screen if all(word in text for word in words))


def test_the_smallest_terminal_shows_everything(pit: Pit, pond: CellPaths) -> None:
    async def look(eyes: Eyes) -> None:
        running = r"pond +scribe +● running +healthy .*turn"
        screen = await eyes.until(running, r"^pond/broken: escalated")
        assert len(screen) == 24
        assert all(len(text) == 80 for text in screen)
        assert f"● pit up, pid {pit.process.pid if pit.process else 0}" in screen[0]
        assert "1 cell, 2 agents   ✕ 1 escalated  ● 1 running" in screen[1]
        assert screen[2].startswith("NEEDS YOU 1  ✕ pond/broken escalated: its exit code says")
        assert " ".join(screen[3].split()) == "CELL AGENT STATE VERDICT BEAT GEN LEFT SAYS"
        assert screen[4].startswith("pond       broken      ✕ escalated: no_ret…")
        scribe = line(screen, "pond", "scribe", "turn").split()
        assert scribe[2:5] == ["●", "running", "healthy"]
        assert scribe[6:9] == ["s", "1", "1000"]
        assert "worst first" in line(screen, "───")
        assert line(screen, "broken died: its process ended (exit 78")
        for word in ("revive", "start", "stop", "freeze", "thaw", "checkpoint", "find", "quit"):
            assert word in screen[-1]
        await eyes.press("down")
        screen = await eyes.until("^pond/scribe: running", "^log .*turn", "scribe is ready")
        assert r"\u001b]0;owned\u0007" in line(screen, "log")
        assert not any(ord(letter) < 32 for text in screen for letter in text)

    watch(pit, look)


def test_a_death_and_the_revive_are_seen(pit: Pit, pond: CellPaths) -> None:
    async def look(eyes: Eyes) -> None:
        await eyes.select("scribe")
        before = pit.health(pond)["scribe"]
        assert before.pid is not None
        send(before.pid, signal.SIGKILL)
        again = before.generation + 1
        await eyes.until(
            rf"^pond +scribe +● running +healthy +\d+ s +{again} ",
            r"scribe died: .*signal 9",
            rf"scribe .*generation {again}",
        )

    watch(pit, look, size=(100, 40))


def test_keys_do_what_the_verbs_do_and_ask_where_work_could_be_lost(
    pit: Pit, pond: CellPaths
) -> None:
    async def look(eyes: Eyes) -> None:
        await eyes.select("scribe")
        generation = pit.health(pond)["scribe"].generation
        await eyes.press("x")
        await eyes.until(r"stop pond/scribe\?", rf"Generation {generation} \(pid \d+\) is ended")
        await eyes.press("enter")
        await eyes.until(r"pond +scribe +● running", gone="stop pond/scribe?")
        await eyes.press("s")
        await eyes.until("✕ start pond/scribe: scribe runs already")

        await eyes.press("f")
        await eyes.until("✓ freeze pond: cell pond is frozen", r"pond +scribe +❄ frozen")
        await eyes.press("c")
        await eyes.until("✓ checkpoint pond: checkpoint 20")
        await eyes.press("t")
        await eyes.until("✓ thaw pond: cell pond is active", r"pond +scribe +● running")

        await eyes.press("x", "y")
        await eyes.until("✓ stop pond/scribe: scribe is stopped", r"pond +scribe +■ stopped")
        await eyes.press("s")
        await eyes.until("✓ start pond/scribe: .*ready", r"pond +scribe +● running")
        await eyes.press("r", "y")
        await eyes.until(
            "✓ revive pond/scribe: ", rf"pond +scribe +● running +healthy +\d+ s +{generation + 2} "
        )

    watch(pit, look, size=(120, 40))


def test_help_and_filter_and_order(pit: Pit, pond: CellPaths) -> None:
    async def look(eyes: Eyes) -> None:
        await eyes.until("pond +scribe")
        await eyes.press("question_mark")
        screen = await eyes.until("LEFT: revives left")
        assert all(len(text) == 80 for text in screen)
        assert line(screen, "x   stop", "it stays stopped")
        await eyes.press("escape")
        await eyes.until("pond +scribe", gone="LEFT: revives left")
        await eyes.press("slash", *"nobody")
        await eyes.until("0 with 'nobody'", "no line matches")
        await eyes.press("x")  # Typed into the filter; a key stops nobody while words are typed.
        await eyes.until("0 with 'nobodyx'")
        await eyes.press("escape")
        screen = await eyes.until("pond +broken", "pond +scribe", gone="with 'nobody")
        await eyes.press("o")
        await eyes.until("by name")
        assert pit.health(pond)["scribe"].phase == "running"

    watch(pit, look)


def test_cells_come_and_go_and_a_torn_one_is_named(pit: Pit, pond: CellPaths) -> None:
    async def look(eyes: Eyes) -> None:
        await eyes.until("1 cell, 2 agents")
        reef = pit.cell(name="reef")
        await eyes.until("2 cells, 2 agents", "reef +- +○ no agents")
        whole = reef.manifest.read_bytes()
        reef.manifest.write_bytes(b'{"torn')
        await eyes.until(rf"NEEDS YOU 2 +✕ {reef.uuid[:8]} unreadable: ")
        reef.manifest.write_bytes(whole)
        await eyes.until("reef +- +○ no agents", "NEEDS YOU 1")
        provision.move_cell(reef, CellStatus.ARCHIVED)
        await eyes.until("1 cell, 2 agents", gone="reef")

    watch(pit, look)


@pytest.fixture
def down(tmp_path: Path) -> Pit:
    pit = Pit(tmp_path)
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "sleep", "60")
    return pit


def test_it_works_while_the_daemon_is_down(down: Pit) -> None:
    async def look(eyes: Eyes) -> None:
        await eyes.until("✕ pit DOWN", r"pond +scribe +… waiting", "It starts at `lazarus up`")
        await eyes.press("f")
        await eyes.until("✓ freeze pond: .*the daemon is not running")
        assert b'"frozen"' in down.cells()[0].manifest.read_bytes()

    watch(down, look)


class Terminal:
    """A terminal of 80x24 that ``lazarus top`` is started in."""

    def __init__(self, pit: Pit, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(self.ours)
        self.printed = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lazarus_pit", "top", "--config", str(pit.config)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, *words: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while missing := [word for word in words if word not in self.text()]:
            assert time.monotonic() < deadline, (missing, self.text())
            self._read(0.5)

    def text(self) -> str:
        return ESCAPE.sub(b"", self.printed).decode("utf-8", "replace")

    def end(self) -> int:
        """Read to the end, so that nobody waits for us, and return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text()
            self._read(0.1)
        self._read(0.1)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        if select.select([self.ours], [], [], seconds)[0]:
            try:
                self.printed += os.read(self.ours, 65536)
            except OSError:  # The other side is closed.
                self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)


@pytest.mark.parametrize("leave", [b"q", b"\x03", signal.SIGTERM])
def test_in_a_real_terminal_it_draws_and_leaves_it_as_it_was(
    down: Pit, leave: bytes | signal.Signals
) -> None:
    terminal = Terminal(down, NO_COLOR="1")
    try:
        terminal.until("pit DOWN", "pond", "scribe", "… waiting", "q quit")
        if isinstance(leave, bytes):
            os.write(terminal.ours, leave)
        else:
            send(terminal.process.pid, leave)
        assert terminal.end() == 0
        assert b"\x1b[?1049l" in terminal.printed.rpartition(b"\x1b[?1049h")[2]
        assert termios.tcgetattr(terminal.ours) == terminal.modes
        assert not COLOUR.findall(terminal.printed)
    finally:
        terminal.close()


def test_where_nothing_can_be_watched_it_says_what_was_expected(down: Pit, tmp_path: Path) -> None:
    typist = Typist(tmp_path / "nowhere")
    assert "found nothing, expected the directory" in typist.fails(2, "top")
    (tmp_path / "file").write_text("")
    assert "found a file, expected" in Typist(tmp_path / "file").fails(2, "top")
    assert "is no terminal" in Typist(down.root, down.config).fails(2, "top")


def test_answers_what_is_asked(pit: Pit) -> None:
    reef = pit.cell(name="reef")
    dies = "[ -e died ] || { touch died; exit 3; }; exec sleep 600"
    rules = {"revive_policy": "ask", "liveness": "process"}
    pit.spawn(reef, "dier", "sh", "-c", dies, rules=rules)
    pit.wait_event(reef, "approval_requested", "dier")
    now = time.time()
    with opened_records(PitPaths(pit.root).records) as db:
        facts = {"died": now - 90, "probes": {"tcp": "refused"}}
        approvals.open_request(db, "pool/far", 1, facts, expires=now + 600, now=now)

    async def look(eyes: Eyes) -> None:
        await eyes.until(r"\? pool/far awaiting: dead for .* a approves, d denies")
        await eyes.press("slash", *"dier", "enter")
        await eyes.until(r"^reef/dier: awaiting", r"^a approve d deny")
        mail = MailName(time.time_ns(), 1, 0, "ada", "12345678")
        (reef.inbox("dier") / mail.file()).write_text("{}")
        await eyes.press("a")
        await eyes.until("✓ approve reef/dier: .*approved", r"reef +dier +● running")
        await eyes.until(r"1 mail not acknowledged \(`lazarus mail log --cell reef`\)")
        await eyes.press("a")
        await eyes.until("✕ approve reef/dier: nobody is asked about it")
        await eyes.press("slash", *["backspace"] * 4, *"pool/far", "enter")
        await eyes.until(r"^pool/far: outside every cell", "tcp: refused")
        await eyes.press("r")
        await eyes.until("✕ revive pool/far: it is outside every cell")
        await eyes.press("d")
        await eyes.until("✓ deny pool/far: pool/far: denied", "no line matches")

    watch(pit, look, size=(120, 40))
    assert pit.events(reef, "approval_granted", "dier")
