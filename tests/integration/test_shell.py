"""``lazarus shell`` and ``lazarus sandbox explain``: real walls, a real terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import PATIENCE, processes
from integration.typing_it import Said, Typist, process
from lazarus_pit.cells.layout import CellPaths, PitPaths

_INJECT = """
import fcntl, os, termios
for fd in (0, 1, 2):
    try:
        fcntl.ioctl(fd, termios.TIOCSTI, b"X")
        print("injected", fd)
    except OSError:
        print("refused", fd)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    root = tmp_path / "missions"
    typist = Typist(root)
    typist("cell", "create", "--name", "pond", "--mission", "Look inside")
    typist("spawn", "pond", "ann", "--role", "observer", "--no-wait", "--", "sleep", "60")
    return root


def cell_of(root: Path) -> CellPaths:
    return CellPaths(root, next(root.glob("*/cell.json")).parent.name)


def shell(root: Path, *words: str) -> Said:
    return process("shell", "--root", str(root), *words)


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("nowhere", 127)]
)
def test_the_exit_code_is_passed_on(root: Path, command: str, code: int) -> None:
    assert shell(root, "pond", "-c", command).code == code


def test_a_visitor_is_within_walls_and_leaves_only_its_work(root: Path) -> None:
    said = shell(
        root,
        "pond",
        "-c",
        f"id -u; ls {root} {Path.home()}; echo work > /mission/workspace/made; touch ~/kept;"
        "ls -A ~; cat /proc/net/dev | wc -l; cut -d: -f2 /proc/self/status | sed -n '/^.0000/p'",
    )
    assert said.out.split()[0] != "0"
    assert "kept" in said.out.split()
    assert said.err.count("No such file or directory") >= 1
    assert (cell_of(root).workspace / "made").read_text() == "work\n"
    assert list(PitPaths(root).nursery.iterdir()) == []
    assert sorted(os.listdir(cell_of(root).homes)) == ["ann"]


def test_an_agents_shell_has_the_agents_walls(root: Path) -> None:
    (cell_of(root).home("ann") / "mine").write_text("x")
    said = shell(
        root, "pond", "ann", "-c", "ls ~; echo x > /mission/workspace/no; echo $LAZARUS_ROLE"
    )
    assert said.out.split() == ["mine", "observer"]
    assert "Read-only file system" in said.err


def test_pipes_go_through(root: Path) -> None:
    command = [sys.executable, "-m", "lazarus_pit", "shell", "--root", str(root), "pond"]
    done = subprocess.run(
        [*command, "-c", "tr a-z A-Z; echo aside >&2"],
        input=b"words",
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"WORDS", b"aside\n")


def test_what_a_shell_left_running_is_ended(root: Path) -> None:
    marker = f"left-{os.getpid()}"
    shell(root, "pond", "-c", f"setsid sh -c 'sleep 600; : {marker}' >/dev/null 2>&1 </dev/null &")
    deadline = time.monotonic() + PATIENCE
    while processes(marker) and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    assert processes(marker) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere",), 2, "no cell 'nowhere'"),
        (("pond", "nobody"), 2, "no agent 'nobody' in this cell; there is ann"),
    ],
)
def test_a_wrong_name_is_refused(root: Path, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in Typist(root).fails(code, "shell", *words)


# ---------------------------------------------------------------- a terminal


class Person:
    """Somebody at a terminal, who types and reads."""

    def __init__(self, root: Path, *words: str) -> None:
        self.screen = b""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 97, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self.theirs = theirs
        argv = [sys.executable, "-m", "lazarus_pit", "shell", "--root", str(root), "pond", *words]
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )

    def types(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def reads(self, wanted: str) -> str:
        """Read until something is on the screen, and take it from there."""
        deadline = time.monotonic() + PATIENCE
        while wanted.encode() not in self.screen:
            ready, _, _ = select.select([self.ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} never came: {self.screen!r}"
            self.screen += os.read(self.ours, 65_536)
        before, _, self.screen = self.screen.partition(wanted.encode())
        return before.decode()

    def ends(self) -> int:
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def at_terminal(root: Path, *words: str) -> Iterator[Person]:
    person = Person(root, *words)
    try:
        yield person
    finally:
        person.process.terminate()
        person.process.wait(PATIENCE)
        os.close(person.ours)
        os.close(person.theirs)


def test_a_shell_at_a_terminal(root: Path) -> None:
    with at_terminal(root) as person:
        person.types("stty size; echo ready-$((40+2))\n")
        assert "41 97" in person.reads("ready-42")
        assert not termios.tcgetattr(person.theirs)[3] & termios.ECHO  # Ours echoes, not theirs.
        person.types("sh -c 'echo begun-$((1+1)); exec sleep 600'\n")
        person.reads("begun-2")
        person.types("\x03")
        person.types("echo interrupted-$?\n")
        person.reads("interrupted-130")
        person.types("sleep 600 & jobs\n")
        person.reads("Running")
        person.types("exit 3\n")
        assert person.ends() == 3
        assert termios.tcgetattr(person.theirs) == person.modes


def test_the_size_of_the_terminal_is_followed(root: Path) -> None:
    with at_terminal(root) as person:
        person.types("trap 'echo size; stty size' WINCH; echo ready-$((40+2))\n")
        person.reads("ready-42")
        fcntl.ioctl(person.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
        person.process.send_signal(signal.SIGWINCH)
        person.types("\n")
        person.reads("30 80")


def test_no_keystroke_reaches_the_persons_terminal(root: Path) -> None:
    program = f"python3 -c '{_INJECT}'; echo done-$((40+2))"
    with at_terminal(root, "-c", program) as person:
        said = person.reads("done-42")
        assert said.count("refused") == 3
        assert "injected" not in said
        assert person.ends() == 0
        os.set_blocking(person.theirs, False)
        with pytest.raises(BlockingIOError):
            os.read(person.theirs, 100)


def test_much_output_and_much_typing_do_not_stop_each_other(root: Path) -> None:
    with at_terminal(root, "-c", "stty raw -echo; echo go; yes | head -c 300000; wc -c") as person:
        person.reads("go")
        person.types("x" * 3000)
        person.reads("y\ny\n" * 20)
        person.process.send_signal(signal.SIGTERM)
        assert person.ends() == 128 + signal.SIGTERM
        assert termios.tcgetattr(person.theirs) == person.modes


# ---------------------------------------------------------------- explained


def test_every_layer_and_the_command_are_explained(root: Path) -> None:
    said = Typist(root)("sandbox", "explain", "ann")
    for word in ("bubblewrap", "namespaces", "seccomp", "Landlock", "user:", "cgroup:"):
        assert word in said.out, word
    assert "opened: nothing beyond the walls" in said.out
    command = said.out.splitlines()[-1]
    assert command.startswith("command: ")
    assert command.endswith("-- sleep 60")
    assert "--unshare-pid" in command


def test_limits_are_in_force_in_a_shell_and_explained(root: Path) -> None:
    typist = Typist(root)
    words = ("--limit", "open_files=99", "--limit", "pids=40", "--no-wait", "--", "sleep", "60")
    assert typist("spawn", "pond", "cleo", *words).code == 0
    assert shell(root, "pond", "cleo", "-c", "ulimit -Hn").out == "99\n"
    said = typist("sandbox", "explain", "cleo").out.splitlines()
    limits = dict(line.removeprefix("limit ").split(": ", 1) for line in said if "limit" in line)
    assert limits["open_files=99"] == "for each process by rlimit (RLIMIT_NOFILE)"
    assert limits["pids=40"].startswith(("by cgroup v", "by rlimit in its user namespace: "))
    assert limits["tmp_mb=512"] == "by size of the file system"
    assert limits["log_mb=64"] == "by rotation, in the log pump"
    assert limits["no limit of its own"] == "memory_mb, cpu_percent, file_mb, disk_mb"


def test_the_explanation_is_for_programs_too(root: Path) -> None:
    said = Typist(root)("sandbox", "explain", "ann", "--json").json()
    assert list(said) == ["agent", "sandbox", "layers", "opened", "notes", "command"]
    assert said["agent"] == f"{cell_of(root).uuid}/ann"
    assert said["sandbox"] == "bubblewrap"


def test_who_is_not_started_is_not_explained(root: Path) -> None:
    paths = cell_of(root)
    found = json.loads(paths.manifest.read_text())
    found["agents"].append({"name": "bob", "role": "developer"})
    paths.manifest.write_text(json.dumps(found))
    assert "nobody said how bob starts" in Typist(root).fails(1, "sandbox", "explain", "bob")


def test_inside_the_command_says_what_there_is(root: Path) -> None:
    said = shell(root, "pond", "-c", "lazarus --help && lazarus mail --help && lazarus status")
    assert said.code == 2
    assert "Usage: lazarus COMMAND, inside a cell one of" in said.out
    assert "Usage: lazarus mail COMMAND" in said.out
    assert "only beat, mail, hook and mcp, not 'status'" in said.out + said.err
