"""The verbs at a daemon that runs: they wait for what they asked for and say what happened."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit, processes
from integration.typing_it import PATIENCE, Typist, type_pit
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cli.endings import lives_of
from lazarus_pit.cli.place import Place
from lazarus_pit.formats.state import Health

BEATING = (
    "i=0; while :; do i=$((i+1)); echo turn $i; "
    'lazarus beat --cycle $i --status "turn $i"; sleep 0.1; done'
)


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    pit.root.mkdir()
    pit.start()
    yield pit
    pit.close()


@pytest.fixture
def lazarus(pit: Pit) -> Typist:
    return Typist(pit.root, pit.config)


def create(lazarus: Typist) -> CellPaths:
    said = lazarus("cell", "create", "--name", "pond", "--mission", "Count the limpets")
    return CellPaths(lazarus.root, said.out.strip())


def health(pit: Pit, cell: CellPaths, name: str, phase: str, generation: int = 0) -> Health:
    """The agent's health as soon as the daemon's state file shows it in this phase."""

    def shown() -> Health | None:
        found = pit.health(cell).get(name)
        right = found and found.phase == phase and found.generation >= generation
        return found if right else None

    found: Health = pit.wait(shown, f"{name} {phase}")
    return found


def test_an_agents_days_as_its_operator_sees_them(pit: Pit, lazarus: Typist) -> None:
    cell = create(lazarus)
    said = lazarus("spawn", "pond", "scribe", "--", "sh", "-c", BEATING)
    assert said.code == 0
    assert "scribe started as pid " in said.out
    assert "scribe is ready (generation 1" in said.out
    health(pit, cell, "scribe", "running", 1)
    agent = lazarus("status", "--json").json()["cells"][0]["agents"][0]
    assert (agent["state"], agent["verdict"], agent["generation"]) == ("running", "healthy", 1)
    assert agent["heartbeat_age"] < PATIENCE
    assert agent["sandbox"] == "bubblewrap"
    assert f"pid {pit.process.pid if pit.process else 0}" in lazarus("status").out
    assert "Without a beat" in lazarus("why", "scribe").out
    assert "runs already" in lazarus("start", "scribe").out

    said = lazarus("revive", "pond/scribe")
    assert said.code == 0
    assert "generation 2" in said.out
    health(pit, cell, "scribe", "running", 2)

    said = lazarus("freeze", "pond")
    assert (said.code, "scribe stands still" in said.out) == (0, True)
    assert lazarus("status", "--json").json()["cells"][0]["agents"][0]["state"] == "frozen"
    said = lazarus("thaw", "pond")
    assert (said.code, "scribe moves again" in said.out) == (0, True)

    said = lazarus("stop", "scribe")
    assert (said.code, "scribe is stopped" in said.out) == (0, True)
    health(pit, cell, "scribe", "stopped")
    assert "was not running" in lazarus("stop", "scribe").out
    assert "lazarus start pond/scribe" in lazarus("why", "scribe").out
    assert lazarus("start", "scribe").code == 0
    health(pit, cell, "scribe", "running", 3)

    assert "archive" in lazarus.fails(1, "cell", "destroy", "pond")
    said = lazarus("cell", "archive", "pond")
    assert (said.code, "scribe is stopped" in said.out) == (0, True)
    assert lazarus("cell", "destroy", "pond").code == 0
    assert not cell.cell.exists()
    assert "turn" not in "".join(map(str, processes(cell.uuid)))


def test_a_death_is_told_with_its_reason_and_the_way_out(pit: Pit, lazarus: Typist) -> None:
    cell = create(lazarus)
    said = lazarus("spawn", "pond", "worker", "--policy", "never", "--", "sh", "-c", "echo; exit 3")
    assert said.code in (0, 1)  # Its first output may be seen before its end.
    health(pit, cell, "worker", "escalated")
    shown = lazarus("why", "worker").out
    assert "worker died: its process ended (exit 3" in shown
    assert "Nothing until a person acts: its policy is never to revive." in shown
    assert "lazarus revive pond/worker" in shown
    assert "needs you: `lazarus why pond/worker`" in lazarus("status").out
    said = lazarus("spawn", "pond", "nothing", "--", "no-such-program")
    assert said.code == 1
    assert "could not be started" in said.out


def test_a_daemon_that_does_not_act_in_time_is_exit_code_75(pit: Pit, lazarus: Typist) -> None:
    create(lazarus)
    assert pit.process is not None
    os.kill(pit.process.pid, signal.SIGSTOP)
    try:
        said = lazarus("spawn", "pond", "scribe", "--wait", "0.2", "--", "true")
    finally:
        os.kill(pit.process.pid, signal.SIGCONT)
    assert (said.code, "not done within 200 ms" in said.out) == (75, True)


def test_force_ends_what_runs_even_without_a_daemon(pit: Pit, lazarus: Typist) -> None:
    cell = create(lazarus)
    lazarus("spawn", "pond", "scribe", "--", "sh", "-c", BEATING)
    health(pit, cell, "scribe", "running")
    pit.kill9()
    config = Place(config=pit.config).settings()
    assert len(lives_of(config, cell)) == 1
    assert lazarus("cell", "archive", "pond").code == 0
    assert "no daemon is there to end them" in lazarus.fails(1, "cell", "destroy", "pond")
    assert lazarus("cell", "destroy", "pond", "--force").code == 0
    assert not cell.cell.exists()
    assert lives_of(config, cell) == []


@pytest.mark.parametrize("words", [("events", "pond", "--json"), ("logs", "scribe", "--json")])
def test_what_comes_is_followed(pit: Pit, lazarus: Typist, words: tuple[str, ...]) -> None:
    create(lazarus)
    lazarus("spawn", "pond", "scribe", "--", "sh", "-c", BEATING)
    with following(lazarus, *words) as follower:
        first = read_line(follower)
        lazarus("revive", "scribe")
        later = [read_line(follower) for _ in range(3)]
    key = "event" if words[0] == "events" else "line"
    assert all(key in line for line in [first, *later])


def test_a_cell_that_comes_is_followed_too(pit: Pit, lazarus: Typist) -> None:
    create(lazarus)
    with following(lazarus, "events", "--json") as follower:
        read_line(follower)
        other = lazarus("cell", "create", "--mission", "Another one").out.strip()
        story = [read_line(follower)]
        while story[-1].get("uuid") != other:
            story.append(read_line(follower))
    assert story[-1]["event"] == "cell_created"


def test_nobody_can_overlook_that_there_are_no_walls(tmp_path: Path) -> None:
    pit = Pit(tmp_path, unsafe=True)
    pit.root.mkdir()
    pit.start()
    try:
        lazarus = Typist(pit.root, pit.config)
        assert "sandbox UNCONFINED" in lazarus("status").out
        assert lazarus("status", "--json").json()["daemon"]["unconfined"] is True
        assert "UNCONFINED" in type_pit("--config", str(pit.config), "--status").out
    finally:
        pit.close()


@contextlib.contextmanager
def following(lazarus: Typist, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that goes on until Ctrl-C, and then ends as one that was told to."""
    follower = subprocess.Popen(
        [sys.executable, "-m", "lazarus_pit", *lazarus.place, *words, "-f", "-n", "1"],
        stdout=subprocess.PIPE,
    )
    try:
        yield follower
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE) == 130
        assert follower.stdout is not None
        follower.stdout.close()


def read_line(follower: subprocess.Popen[bytes]) -> dict[str, object]:
    """The next line of JSON, or a failure when none comes."""
    assert follower.stdout is not None
    line = b""
    deadline = time.monotonic() + PATIENCE
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([follower.stdout], [], [], deadline - time.monotonic())
        assert ready, "nothing came"
        byte = os.read(follower.stdout.fileno(), 1)
        assert byte, "the follower ended"
        line += byte
    found: dict[str, object] = json.loads(line)
    return found
