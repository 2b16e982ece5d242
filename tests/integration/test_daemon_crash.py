"""The daemon killed at any moment, hostile files, full disks: nothing is lost or doubled."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit, processes, send
from integration.test_daemon_lives import BEATING, ONE_BEAT, sh

AGENTS = 12
ROUNDS = 6


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


def copies(marker: str) -> Counter[str]:
    """How many processes of each agent run: the shell of the agent itself, by its name."""
    found: Counter[str] = Counter()
    for pid in processes(marker):
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # It has ended since.
        if program(pid).startswith(b"/bin/sh\0"):
            name = next(v for v in environ if v.startswith(b"LAZARUS_AGENT="))
            found[name.decode().partition("=")[2]] += 1
    return found


def test_kill_9_of_the_daemon_while_agents_die_loses_and_doubles_nobody(pit: Pit) -> None:
    chance = random.Random(20)
    cell = pit.cell()
    names = [f"agent-{number}" for number in range(AGENTS)]
    for name in names:
        pit.spawn(cell, name, *sh(BEATING + " # marker-crash"))
    pit.start()
    for name in names:
        pit.wait_event(cell, "agent_ready", name)
    for _ in range(ROUNDS):
        victims = [pid for pid in processes("marker-crash", cell) if chance.random() < 0.4]
        moment = chance.randrange(len(victims) + 1)
        for number, pid in enumerate(victims):
            if number == moment:
                assert pit.process is not None
                pit.process.kill()
            try:
                send(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        pit.kill9()
        assert max(copies("marker-crash").values(), default=1) == 1
        pit.start()
        pit.wait(
            lambda: all(
                (health := pit.health(cell).get(name)) and health.phase == "running"
                for name in names
            ),
            "all running",
        )
        pit.wait(lambda: copies("marker-crash") == dict.fromkeys(names, 1), "one copy of each")
    for name in names:
        started = [e.data["generation"] for e in pit.events(cell, "agent_started", name)]
        died = [e.data["generation"] for e in pit.events(cell, "agent_died", name)]
        lives = sorted({*started, *died})
        assert lives == list(range(1, max(lives) + 1)), "a generation was skipped or used twice"
        assert len(set(died)) == len(died), "a death was told twice"
        assert len(set(started)) == len(started), "a start was told twice"
        assert set(died) == set(lives) - {max(lives)}, "a death was never told"


def test_attempts_survive_the_daemon(pit: Pit) -> None:
    cell = pit.cell()
    slow = {"max_revive_attempts": 3, "backoff_initial": 0.3, "backoff_max": 0.3}
    pit.spawn(cell, "crashing", *sh("exit 3"), rules=slow)
    pit.start()
    for count in (1, 2, 3):
        pit.wait_event(cell, "agent_died", "crashing", count=count)
        pit.kill9()
        pit.start()
    pit.wait_event(cell, "agent_escalated", "crashing")
    assert len(pit.events(cell, "agent_started", "crashing")) <= 4
    assert pit.events(cell, "agent_died", "crashing")[-1].data["generation"] == 4
    pit.kill9()
    pit.start()
    assert len(pit.events(cell, "agent_escalated", "crashing")) == 1


def test_exit_status_is_kept_across_a_restart_of_the_daemon(pit: Pit) -> None:
    cell = pit.cell()
    pit.spawn(cell, "leaver", *sh(ONE_BEAT + "read line < /mission/workspace/go; exit 42"))
    os.mkfifo(cell.workspace / "go")
    (cell.workspace / "go").chmod(0o666)
    pit.start()
    pit.wait_event(cell, "agent_ready", "leaver")
    pit.kill9()
    with (cell.workspace / "go").open("w") as gate:
        gate.write("now\n")
    pit.wait(lambda: not processes("workspace/go"), "the agent's end")
    pit.start()
    assert pit.wait_event(cell, "agent_died", "leaver").data["exit"] == "exit 42"


def test_a_second_daemon_is_refused_and_told_by_whom(pit: Pit) -> None:
    pit.cell()
    pit.start()
    assert pit.process is not None
    argv = [str(word) for word in pit.process.args]  # type: ignore[union-attr]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert str(pit.process.pid) in second.stderr
    assert "Traceback" not in second.stderr


def test_many_die_at_once_and_all_come_back(pit: Pit) -> None:
    cell = pit.cell()
    names = [f"a{number}" for number in range(60)]
    for name in names:
        command = sh("echo up; exec sleep 1000")
        pit.spawn(cell, name, *command, rules={"liveness": "process"})
    pit.start()
    for name in names:
        pit.wait_event(cell, "agent_ready", name)
    for pid in sleepers(cell.uuid):
        send(pid, signal.SIGKILL)
    for name in names:
        pit.wait_event(cell, "agent_revived", name, generation=2)


@pytest.mark.parametrize("plant", ["fifo", "link", "huge", "binary", "folder"])
def test_a_hostile_heartbeat_harms_nobody_else(pit: Pit, plant: str) -> None:
    plants = {
        "fifo": "mkfifo",
        "link": "ln -s /etc/passwd",
        "huge": "truncate -s 1G",
        "binary": "head -c 3000 /dev/urandom >",
        "folder": "mkdir",
    }
    cell = pit.cell()
    pit.start()
    # The trap is renamed into place, so that it is seen as a beat would be.
    trap = f"{plants[plant]} $LAZARUS_HEARTBEAT_FILE.t; mv $LAZARUS_HEARTBEAT_FILE.t "
    pit.spawn(cell, "hostile", *sh(trap + "$LAZARUS_HEARTBEAT_FILE; while :; do sleep 1; done"))
    pit.spawn(cell, "good", *sh(BEATING))
    pit.wait_event(cell, "heartbeat_unreadable", "hostile")
    pit.wait_event(cell, "agent_ready", "good")
    assert not pit.events(cell, "agent_ready", "hostile")


@pytest.mark.parametrize("plant", ["fifo", "link", "huge", "binary"])
def test_a_hostile_manifest_is_told_once_and_passed_over(pit: Pit, plant: str) -> None:
    good, bad = pit.cell(), pit.cell()
    bad.manifest.unlink()
    match plant:
        case "fifo":
            os.mkfifo(bad.manifest)
        case "link":
            bad.manifest.symlink_to("/etc/passwd")
        case "huge":
            with bad.manifest.open("wb") as file:
                file.truncate(1 << 30)
        case _:
            bad.manifest.write_bytes(os.urandom(3000))
    pit.start()
    pit.spawn(good, "worker", *sh(BEATING))
    pit.wait_event(good, "agent_ready", "worker")
    pit.wait(lambda: "manifest_unreadable" in pit.log.read_text(), "the warning")
    assert pit.log.read_text().count("manifest_unreadable") == 1
    bad.manifest.unlink()


def test_new_cells_are_noticed_and_a_corrupt_one_keeps_its_agents(pit: Pit) -> None:
    pit.start()
    cell = pit.cell()
    pit.spawn(cell, "worker", *sh(BEATING + " # marker-corrupt"))
    pit.wait_event(cell, "agent_ready", "worker")
    whole = cell.manifest.read_bytes()
    cell.manifest.write_bytes(whole[: len(whole) // 2])
    pit.wait(lambda: "manifest_unreadable" in pit.log.read_text(), "the warning")
    assert processes("marker-corrupt")
    cell.manifest.write_bytes(whole)


@pytest.mark.root
def test_a_full_disk_does_not_stop_supervision(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small disk can only be mounted by root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", str(small)], check=True
    )
    pit = Pit(small)
    pit.log = tmp_path / "pit.log"
    pit.config.write_text(pit.config.read_text().replace(f"{small}/pit.log", str(pit.log)))
    try:
        cell = pit.cell()
        pit.spawn(
            cell,
            "worker",
            *sh("echo up $LAZARUS_GENERATION; exec sleep 1000"),
            rules={"liveness": "process"},
        )
        pit.start()
        pit.wait_event(cell, "agent_ready", "worker")
        ballast = small / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        seen: set[int] = set()
        for _ in range(12):
            pid = pit.wait(
                lambda: next((p for p in sleepers(cell.uuid) if p not in seen), None), "a new life"
            )
            seen.add(pid)
            send(pid, signal.SIGKILL)
        pit.wait(lambda: [p for p in sleepers(cell.uuid) if p not in seen], "the last life")
        ballast.unlink()
        pit.kill9()
        pit.start()
        pit.wait(lambda: len(sleepers(cell.uuid)) == 1, "exactly one copy")
        pit.wait(
            lambda: (seen := pit.health(cell).get("worker")) and seen.generation >= 13,
            "state.json, written again, with no life forgotten",
        )
        assert pit.log.read_text().count("store_failed") <= 1
    finally:
        (small / "ballast").unlink(missing_ok=True)  # On a full disk nobody could be stopped.
        pit.close()
        subprocess.run(["umount", "-l", str(small)], check=True)


def sleepers(cell: str) -> list[int]:
    """Living ``sleep`` commands of a cell: its name is in their environment, and nowhere else."""
    return [pid for pid in processes(cell) if program(pid).startswith(b"sleep")]


def program(pid: int) -> bytes:
    """The command line of a process; empty if it has ended since."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
