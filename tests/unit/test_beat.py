"""``lazarus beat`` and the helper for Python agents, read back as the pit reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazarus_pit import beat
from lazarus_pit.beat import Heart
from lazarus_pit.core.model import HoldKind
from lazarus_pit.formats import heartbeat
from lazarus_pit.formats.heartbeat import Heartbeat

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"


def cell(path: Path) -> dict[str, str]:
    return {
        beat.FILE: str(path),
        "LAZARUS_AGENT": "timmy",
        "LAZARUS_CELL_UUID": UUID,
        "LAZARUS_GENERATION": "4",
    }


def read(path: Path) -> Heartbeat:
    return heartbeat.parse(path.read_bytes())


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "timmy.json"
    for name, value in cell(path).items():
        monkeypatch.setenv(name, value)
    return path


def test_a_beat_says_who_writes(file: Path) -> None:
    before = time.time()
    assert beat.main(["--status", 'say "é" \x1b', "--model=m", "--cycle", "7"]) == 0
    found = read(file)
    assert found.timestamp is not None
    assert before - 0.001 <= found.timestamp <= time.time() + 0.001
    assert (found.agent, found.cell_uuid, found.generation) == ("timmy", UUID, 4)
    assert (found.pid, found.model, found.cycle) == (os.getpid(), "m", 7)
    assert found.status == 'say "é" \\u001b'
    assert [path.name for path in file.parent.iterdir()] == ["timmy.json"]


def test_a_cycle_can_be_counted_on(file: Path) -> None:
    for expected in (1, 2, 3):
        assert beat.main(["--cycle", "+1"]) == 0
        assert read(file).cycle == expected
    file.write_bytes(b"\xff[")
    assert beat.main(["--cycle", "+5"]) == 0
    assert read(file).cycle == 5


def test_a_long_step_and_a_hold_are_announced(file: Path) -> None:
    assert beat.main(["--busy", "600"]) == 0
    assert (read(file).busy_until or 0) - (read(file).timestamp or 0) == 600
    assert beat.main(["--hold", "quota_wait", "--until", "1775433600"]) == 0
    assert (read(file).hold, read(file).hold_until) == (HoldKind.QUOTA_WAIT, 1775433600.0)


def test_the_words_for_a_hold_are_the_models() -> None:
    assert list(beat.HOLDS) == [kind.value for kind in HoldKind]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stauts", "x"], "found '--stauts', expected one of --status"),
        (["thinking"], "found 'thinking', expected one of"),
        (["--cycle"], "--cycle: expected a whole number, or + and a whole number after it"),
        (["--cycle", "-1"], "--cycle: found '-1'"),
        (["--cycle", "٣"], "--cycle: found"),
        (["--cycle", "9" * 30], "--cycle: found"),
        (["--busy", "nan"], "--busy: found 'nan', expected a number of seconds"),
        (["--busy", "-1"], "--busy: found '-1'"),
        (["--hold", "x"], "expected quota_wait, auth_hold or needs_input"),
        (["--until", "5"], "--until: expected --hold with it"),
    ],
)
def test_wrong_use_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert beat.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not file.exists()


def test_outside_a_cell_the_command_says_so_and_the_helper_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert beat.main([], {}) == 2
    assert "LAZARUS_HEARTBEAT_FILE is not set" in capsys.readouterr().err
    assert Heart("").beat("thinking") is False


def test_a_disk_that_refuses_is_said_and_harms_no_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no" / "such" / "x.json"
    assert beat.main([], cell(path)) == 75
    assert "No such file or directory" in capsys.readouterr().err
    assert Heart(str(path)).beat("thinking") is False


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("dear")
    path = tmp_path / "x.json"
    path.symlink_to(precious)
    assert beat.main([], cell(path)) == 0
    assert precious.read_text() == "dear"
    assert not path.is_symlink()


def test_the_longest_beat_is_still_read(file: Path) -> None:
    heart = Heart(model="\U0001f9df" * 500)
    assert heart.beat("\x1b" * 5000, cycle=2**62)
    assert len(file.read_bytes()) <= heartbeat.MAX_BYTES
    assert read(file).cycle == 2**62


def test_the_helper_keeps_its_status_and_announces_steps(file: Path) -> None:
    heart = Heart(model="m")
    assert heart.beat("thinking", cycle=1)
    assert (read(file).status, read(file).cycle, read(file).busy_until) == ("thinking", 1, None)
    with heart.busy(600):
        outer = read(file).busy_until
        assert outer is not None
        assert outer > time.time() + 590
        with heart.busy(60):
            assert read(file).busy_until == outer
        assert heart.beat(cycle=2)
        assert (read(file).status, read(file).busy_until) == ("thinking", outer)
    assert (read(file).busy_until, read(file).cycle) == (None, None)
    assert heart.hold("needs_input")
    assert read(file).hold is HoldKind.NEEDS_INPUT
    assert heart.beat()
    assert read(file).hold is None


def test_the_helpers_thread_beats_without_progress(file: Path) -> None:
    heart = Heart()
    heart.status = "waiting"
    heart.start(every=0.01)
    heart.start(every=0.01)
    deadline = time.monotonic() + 30
    seen: set[float | None] = set()
    while len(seen) < 3:
        assert time.monotonic() < deadline
        if file.exists():
            seen.add(read(file).timestamp)
    assert (read(file).status, read(file).cycle) == ("waiting", None)
    heart.stop()
    heart.stop()


def test_the_command_loads_nothing_that_is_slow(tmp_path: Path) -> None:
    path = tmp_path / "timmy.json"
    script = f"""
import sys
sys.path.insert(0, {str(Path(beat.__file__).parents[1])!r})
before = set(sys.modules)
from lazarus_pit.beat import main
code = main(["--status", "x", "--cycle", "3"])
sys.stdout.write(" ".join(sorted(set(sys.modules) - before)))
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env=cell(path),
        check=True,
        capture_output=True,
        text=True,
    )
    # What is loaded costs each beat of each agent; json alone would be ten milliseconds.
    slow = {"json", "re", "argparse", "pathlib", "threading", "typing", "enum", "contextlib"}
    assert slow.isdisjoint(done.stdout.split())
    assert json.loads(path.read_bytes())["status"] == "x"


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert beat.main(["--help"], {}) == 0
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in beat.FLAGS)
    assert "Example: lazarus beat" in shown
