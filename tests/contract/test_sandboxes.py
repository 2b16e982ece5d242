"""What every sandbox must do, with and without a cgroup of its own for each life."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from launching import Nest, begun, ending, open_way, own_tree, run, until
from lazarus_pit.core.model import Exit, Life
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import cgroup, procfs
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import landlock, lives
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap


def make(kind: str, scratch: str, tree: Tree | None) -> Sandbox:
    if kind == "none":
        return Bare(scratch, tree)
    if kind == "landlock":
        fault = landlock.why_not()
        if fault:
            pytest.skip(fault)
        return landlock.Landlock(scratch, tree)
    bwrap, notes = find_bwrap()
    if bwrap is None:
        pytest.skip(f"no working bubblewrap: {notes}")
    return Bubblewrap(bwrap, scratch, tree)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("furniture")
    open_way(place)
    return str(place)


@pytest.fixture(params=["cgroup", "no cgroup"])
def tree(request: pytest.FixtureRequest) -> Iterator[Tree | None]:
    if request.param == "no cgroup":
        yield None
        return
    with own_tree() as tree:
        if tree is None:
            pytest.skip("no writable cgroup v2 here")
        yield tree


@pytest.fixture(params=["bubblewrap", "landlock", "none"])
def sandbox(request: pytest.FixtureRequest, scratch: str, tree: Tree | None) -> Sandbox:
    return make(request.param, scratch, tree)


@pytest.fixture
def nest(tmp_path: Path, sandbox: Sandbox) -> Nest:
    nest = Nest(tmp_path)
    if sandbox.name == "landlock" and nest.uid is not None:
        nest.cell.chmod(0o755)  # Without mounts of its own the agent walks to its cell.
        open_way(tmp_path)
    if sandbox.name == "none":
        nest.uid = None  # Without walls an agent's own user could not even walk to its cell.
    return nest


def test_the_exit_code_is_reported(sandbox: Sandbox, nest: Nest) -> None:
    assert run(sandbox, nest.launch("sh", "-c", "exit 7")) == Exit(code=7)


def test_a_signal_is_reported_as_a_signal(sandbox: Sandbox, nest: Nest) -> None:
    ended = run(sandbox, nest.launch("sh", "-c", "kill -SEGV $$"))
    assert ended == Exit(signal=signal.SIGSEGV), nest.said()


def test_output_and_errors_are_appended_to_the_log(sandbox: Sandbox, nest: Nest) -> None:
    nest.log.write_text("before\n")
    run(sandbox, nest.launch("sh", "-c", "echo out; echo err >&2"))
    assert nest.said() == "before\nout\nerr\n"


def test_the_log_is_never_a_link(sandbox: Sandbox, nest: Nest, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    nest.log.symlink_to(outside)
    with pytest.raises(SpawnError):
        sandbox.spawn(nest.launch("echo", "out"))
    assert outside.read_text() == "untouched"


def test_a_log_that_is_a_fifo_holds_up_nothing(sandbox: Sandbox, nest: Nest) -> None:
    os.mkfifo(nest.log)
    with pytest.raises(SpawnError):
        sandbox.spawn(nest.launch("echo", "out"))


def test_a_program_that_does_not_exist_is_fatal(sandbox: Sandbox, nest: Nest) -> None:
    for name in ("no-such-program", "/usr/bin/no-such-program", "./no-such-program"):
        with pytest.raises(SpawnError, match="no-such-program: not found") as caught:
            sandbox.spawn(nest.launch(name))
        assert caught.value.fatal


def test_a_failed_spawn_leaves_nothing(sandbox: Sandbox, nest: Nest, tree: Tree | None) -> None:
    nest.log.mkdir()
    with pytest.raises(SpawnError):
        sandbox.spawn(nest.launch("true"))
    assert tree is None or [*cgroup.leaves(tree)] == []


def test_a_spawn_without_its_credential_leaves_no_group(
    sandbox: Sandbox, nest: Nest, tree: Tree | None
) -> None:
    with pytest.raises(SpawnError, match="credential"):
        sandbox.spawn(replace(nest.launch("true"), credentials=(("key", "/no/such/file"),)))
    assert tree is None or [*cgroup.leaves(tree)] == []


def test_the_environment_is_made_from_nothing(
    sandbox: Sandbox, nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    launch = replace(nest.launch("env"), env={"EXTRA": "1", "LAZARUS_AGENT": "forged"})
    run(sandbox, launch)
    seen = dict(line.split("=", 1) for line in nest.said().splitlines())
    assert "hunter2" not in nest.said()
    assert seen["EXTRA"] == "1"
    assert seen["LAZARUS_CELL_UUID"] == nest.uuid
    assert seen["LAZARUS_AGENT"] == "alice"
    assert seen["LAZARUS_ROLE"] == "developer"
    assert seen["LAZARUS_GENERATION"] == str(launch.generation)
    assert seen["LAZARUS_HEARTBEAT_FILE"].endswith("/alice.json")


def test_the_places_in_the_environment_are_there(sandbox: Sandbox, nest: Nest) -> None:
    (nest.inbox / "letter").write_text("hello")
    script = (
        'cat "$LAZARUS_INBOX/letter" "$LAZARUS_CELL/cell.json"; echo;'
        'echo a >"$HOME/f" && echo b >"$LAZARUS_OUTBOX/f" && echo c >"$TMPDIR/t" && pwd'
    )
    run(sandbox, nest.launch("sh", "-c", script))
    assert nest.said().startswith("hello")
    assert nest.said().splitlines()[-1].endswith("/workspace")
    assert (nest.home / "f").read_text() == "a\n"
    assert (nest.outbox / "f").read_text() == "b\n"


def test_an_agent_can_beat(sandbox: Sandbox, nest: Nest) -> None:
    assert run(sandbox, nest.launch("lazarus", "beat", "--status", "thinking")) == Exit(code=0)
    beat = json.loads((nest.heartbeats / "alice.json").read_text())
    assert beat["status"] == "thinking"
    assert beat["cell_uuid"] == nest.uuid


def test_a_python_agent_can_import_the_beat(sandbox: Sandbox, nest: Nest) -> None:
    script = "import lazarus_pit.beat, sys; print(sys.version_info[:2] >= (3, 11))"
    assert run(sandbox, nest.launch("python3", "-c", script)) == Exit(code=0), nest.said()
    assert nest.said() == "True\n"


def test_no_descriptor_of_ours_is_passed_on(sandbox: Sandbox, nest: Nest, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    fd = os.open(secret, os.O_RDONLY)
    try:
        os.set_inheritable(fd, sandbox.name != "none")
        run(sandbox, nest.launch("sh", "-c", "ls -l /proc/self/fd/"))
    finally:
        os.close(fd)
    links = [line.split(" -> ")[1] for line in nest.said().splitlines() if " -> " in line]
    assert len(links) == 4, nest.said()  # Three and the directory that ls itself reads.
    assert not any("secret" in link for link in links)


def test_signals_are_as_by_default(sandbox: Sandbox, nest: Nest) -> None:
    script = "grep Sig[BI] /proc/self/status; exec sleep 1000"
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with begun(sandbox, nest.launch("sh", "-c", script)):
            until(lambda: "SigIgn" in nest.said())
    finally:
        signal.signal(signal.SIGCHLD, previous)
    internal = 0x180000000  # 32 and 33 belong to the C library, which ignores them when it spawns.
    masks = [int(line.split()[1], 16) & ~internal for line in nest.said().splitlines()]
    assert masks == [0, 0]


def test_it_lives_until_it_is_destroyed(sandbox: Sandbox, nest: Nest) -> None:
    with begun(sandbox, nest.launch("sh", "-c", "echo up; sleep 1000 & sleep 1000")) as life:
        until(lambda: "up" in nest.said())
        assert lives.is_alive(life)
        assert not lives.is_gone(life)
        assert lives.exit_of(life) is None
        assert lives.stopped(life) is False
        lives.destroy(life)
        assert ending(life) == Exit(signal=signal.SIGKILL)
        until(lambda: lives.is_gone(life))
        assert not lives.is_alive(life)
        assert lives.clean(life)
        assert lives.members(life) == []


def test_it_can_be_asked_to_end(sandbox: Sandbox, nest: Nest) -> None:
    script = "trap 'echo asked; exit 3' TERM; echo up; while :; do sleep 0.01; done"
    with begun(sandbox, nest.launch("sh", "-c", script)) as life:
        until(lambda: "up" in nest.said())
        assert lives.terminate(life) >= 1
        assert ending(life) == Exit(code=3)
    assert "asked" in nest.said()


def frozen(life: Life, how: list[str]) -> bool:
    """Freeze; without a cgroup, who begins children without end may need another try."""
    with contextlib.suppress(TimeoutError):
        how.append(lives.freeze(life))
    return bool(how)


def test_it_can_be_frozen_and_thawed(sandbox: Sandbox, nest: Nest) -> None:
    script = "echo up; i=0; while :; do i=$((i+1)); echo $i >count.new; mv count.new count; done"
    count = nest.workspace / "count"
    with begun(sandbox, nest.launch("sh", "-c", script)) as life:
        until(count.exists)
        how: list[str] = []
        until(lambda: how or frozen(life, how), "the freeze")
        assert how == ["cgroup.freeze" if life.cgroup else "SIGSTOP"]
        before, used = count.read_text(), lives.computing(life)
        assert used is not None
        os.sched_yield()
        assert count.read_text() == before
        assert (lives.computing(life) or 0) - used < 10_000, "more than what was not yet counted"
        lives.thaw(life)
        until(lambda: count.read_text() not in ("", before))
        until(lambda: (lives.computing(life) or 0) > used)


def test_a_stopped_agent_is_seen(sandbox: Sandbox, nest: Nest) -> None:
    with begun(sandbox, nest.launch("sh", "-c", "echo up; kill -STOP $$; sleep 1000")) as life:
        until(lambda: lives.stopped(life), "the stop")
        assert lives.is_alive(life)


def test_a_frozen_life_can_be_destroyed(sandbox: Sandbox, nest: Nest) -> None:
    with begun(sandbox, nest.launch("sleep", "1000")) as life:
        lives.freeze(life)
        lives.destroy(life)
        assert ending(life).signal == signal.SIGKILL


def test_it_runs_as_its_own_user(sandbox: Sandbox, nest: Nest) -> None:
    run(sandbox, nest.launch("id", "-u"))
    assert nest.said().strip() == str(os.geteuid() if nest.uid is None else nest.uid)


def test_the_life_names_its_process(sandbox: Sandbox, nest: Nest) -> None:
    with begun(sandbox, nest.launch("sleep", "1000")) as life:
        assert life.boot_id == procfs.boot_id()
        assert life.start_time == procfs.start_time(life.pid)
        other = replace(life, start_time=life.start_time + 1)
        assert lives.open_pidfd(other) is None
        assert not lives.is_alive(other)
        rebooted = replace(life, boot_id="another")
        assert lives.is_gone(rebooted)
        assert lives.exit_of(rebooted) == Exit(note="reboot")


def test_every_layer_and_the_command_are_explained(sandbox: Sandbox, nest: Nest) -> None:
    lines = sandbox.explain(nest.launch("sleep", "12345"))
    assert lines[-1].endswith("sleep 12345")
    assert any("cgroup" in line for line in lines)
    assert not nest.log.exists(), "explaining began something"


def test_only_one_life_is_ended(sandbox: Sandbox, nest: Nest) -> None:
    first, second = nest.launch("sleep", "1000"), nest.launch("sleep", "1000")
    with begun(sandbox, first) as one, begun(sandbox, second) as other:
        lives.destroy(one)
        ending(one)
        assert lives.is_alive(other)
