from __future__ import annotations

import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from launching import own_tree
from lazarus_pit.linux import cgroup, procfs, spawn
from lazarus_pit.linux.spawn import Program, Step, StepError


def standard(output: Path) -> tuple[int, int, int]:
    out = os.open(output, os.O_CREAT | os.O_WRONLY)
    return (os.open(os.devnull, os.O_RDONLY), out, out)


def close(descriptors: tuple[int, ...]) -> None:
    for fd in set(descriptors):
        os.close(fd)


def shell(script: str, **env: str) -> Program:
    return Program(("sh", "-c", script), {"PATH": os.defpath, **env}, "/bin/sh")


def test_a_plain_child_has_its_directory_session_and_environment(tmp_path: Path) -> None:
    given = standard(tmp_path / "out")
    script = "pwd; echo $A; ps -o sid= -p $$ | tr -d ' '; echo $$; exit 3"
    pid = spawn.plain(shell(script, A="é b"), given, str(tmp_path))
    _, ended = os.waitpid(pid, 0)
    close(given)
    assert os.waitstatus_to_exitcode(ended) == 3
    assert (tmp_path / "out").read_text().split("\n")[:4] == [
        str(tmp_path),
        "é b",
        str(pid),
        str(pid),
    ]


@pytest.mark.parametrize(("program", "cwd"), [("/no/such", "/"), ("/bin/true", "/no/such")])
def test_a_plain_child_that_cannot_be_is_an_error(program: str, cwd: str, tmp_path: Path) -> None:
    given = standard(tmp_path / "out")
    with pytest.raises(FileNotFoundError):
        spawn.plain(Program((program,), {}), given, cwd)
    close(given)


def test_steps_are_taken_in_the_child_alone(tmp_path: Path) -> None:
    given = standard(tmp_path / "out")
    here = os.getcwd()
    steps = [Step("go", lambda: os.chdir(tmp_path)), Step("mask", lambda: os.umask(0o077))]
    pid = spawn.forked(shell("pwd; umask; echo $PPID"), given, steps)
    os.waitpid(pid, 0)
    close(given)
    assert os.getcwd() == here
    assert (tmp_path / "out").read_text().split() == [str(tmp_path), "0077", str(os.getpid())]


def test_a_failed_step_is_told_with_its_name_and_the_child_is_gone(tmp_path: Path) -> None:
    before = procfs.descendants([os.getpid()])
    given = standard(tmp_path / "out")
    with pytest.raises(StepError, match="go there: No such file or directory") as caught:
        spawn.forked(shell("true"), given, [Step("go there", lambda: os.chdir("/no/such"))])
    assert caught.value.step == "go there"
    with pytest.raises(StepError, match="odd: not an errno"):
        spawn.forked(shell("true"), given, [Step("odd", lambda: (_ for _ in ()).throw(_odd()))])
    with pytest.raises(StepError, match="execute /no/such"):
        spawn.forked(Program(("x",), {}, "/no/such"), given, [])
    close(given)
    assert procfs.descendants([os.getpid()]) == before


def _odd() -> ValueError:
    return ValueError("not an errno")


def test_a_step_that_leaves_python_does_not_come_back(tmp_path: Path) -> None:
    given = standard(tmp_path / "out")
    with pytest.raises(StepError, match="leave"):
        spawn.forked(shell("true"), given, [Step("leave", lambda: (_ for _ in ()).throw(_out()))])
    close(given)


def _out() -> SystemExit:
    return SystemExit(0)


def test_a_child_may_have_fewer_descriptors_than_its_parent_holds(tmp_path: Path) -> None:
    held = [os.open("/", os.O_PATH) for _ in range(200)]
    given = standard(tmp_path / "out")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    fewer = Step("limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard)))
    pid = spawn.forked(shell("ulimit -n"), given, [fewer])
    _, ended = os.waitpid(pid, 0)
    close((*given, *held))
    assert os.waitstatus_to_exitcode(ended) == 0
    assert (tmp_path / "out").read_text() == "100\n"


def test_only_the_promised_descriptors_are_there(tmp_path: Path) -> None:
    given = standard(tmp_path / "out")
    extra = os.open("/etc", os.O_RDONLY)
    leaked = os.open("/usr", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    pid = spawn.forked(shell("ls -l /proc/$$/fd"), (*given, extra), [])
    os.waitpid(pid, 0)
    close((*given, extra, leaked))
    links = dict(
        line.rsplit(maxsplit=3)[1::2]
        for line in (tmp_path / "out").read_text().splitlines()
        if "->" in line
    )
    assert sorted(links) == ["0", "1", "2", "3"]
    assert links["3"] == "/etc"


def test_descriptors_may_trade_places(tmp_path: Path) -> None:
    """Each is wanted at a number that another one has now."""
    first, second = (os.open(tmp_path / name, os.O_CREAT | os.O_RDWR) for name in "ab")
    null = os.open(os.devnull, os.O_RDWR)
    pid = spawn.forked(shell("echo to-b >&1; echo to-a >&2"), (null, second, first), [])
    os.waitpid(pid, 0)
    close((first, second, null))
    assert (tmp_path / "a").read_text() == "to-a\n"
    assert (tmp_path / "b").read_text() == "to-b\n"


def test_our_signal_mask_comes_back(tmp_path: Path) -> None:
    given = standard(tmp_path / "out")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        pid = spawn.forked(shell("exec grep SigBlk /proc/self/status"), given, [])
        os.waitpid(pid, 0)
        after = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert after == before | {signal.SIGUSR2}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    close(given)
    assert (tmp_path / "out").read_text().split()[1].strip("0") == ""


def test_a_log_is_appended_to_and_is_a_regular_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    fd = spawn.open_log(str(log))
    os.write(fd, b"two\n")
    assert os.get_blocking(fd)
    os.close(fd)
    assert log.read_text() == "one\ntwo\n"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(log)
    for name in ("fifo", "link", "."):
        with pytest.raises(OSError, match=r"."):
            spawn.open_log(str(tmp_path / name))


def test_a_child_that_stands_still_at_its_birth_is_born_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "_SOON", 0.05)
    tried = tmp_path / "tried"

    def stand_still_once() -> None:
        if not tried.exists():
            tried.touch()
            signal.pause()

    given = standard(tmp_path / "out")
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with own_tree() as tree:
            if tree is None:
                pytest.skip("no writable cgroups here")
            leaf = cgroup.make_leaf(tree, "cell", "ada", 1)
            step = Step("stand still", stand_still_once)
            pid = spawn.forked(shell("cat /proc/self/cgroup"), given, [step], leaf)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        over.set()
        other.join()
        close(given)
    assert Path(leaf).name in (tmp_path / "out").read_text()
