"""The sandbox, tried by an agent that really tries to get out of one."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.cli.checks import Check, failed, passed
from lazarus_pit.core.model import CellStatus, Life, Role
from lazarus_pit.errors import LazarusError
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import choose, lives
from lazarus_pit.sandboxes.base import Launch

PATIENCE = 15.0
"""Seconds that the trial may take."""
AGENT = "prisoner"

_ATTEMPTS = """
try() { if eval "$2" >/dev/null 2>&1; then echo "$1"; fi; }
{
try outside 'echo out > "$OUTSIDE/file"'
try system 'echo out > /usr/lazarus-doctor'
try home 'cat "$SECRET"'
try signal 'kill -9 "$VICTIM"'
try beat 'lazarus beat --status "trying the walls"'
try ran 'true'
} > succeeded
"""


def try_walls(owner: Owner, *, unsafe_no_sandbox: bool = False) -> list[Check]:
    """Start a sandbox and try to write outside it, to read a home and to signal outside.

    With ``unsafe_no_sandbox`` the same is tried without one, which shows what it is good for.
    """
    name = f"doctor-{os.getpid()}-{time.monotonic_ns()}"
    tree, _ = cgroup.find_tree(name)
    try:
        chosen = choose.choose(tree, unsafe_no_sandbox=unsafe_no_sandbox)
        with _stage(owner) as (paths, outside), _victim(owner) as victim:
            secret = _some_file_at_home()
            env = {"OUTSIDE": str(outside), "SECRET": secret, "VICTIM": str(victim.pid)}
            began = time.monotonic()
            life = chosen.sandbox.spawn(_launch(paths, owner, env))
            _await_end(life)
            took = time.monotonic() - began
            succeeded = _succeeded(paths)
            if "ran" not in succeeded:
                said = paths.log(AGENT).read_text(errors="replace").strip()[-300:]
                return [failed("sandbox", f"an agent did not run: {said or 'no word'}", _NONE)]
            return [
                passed("sandbox", f"{chosen.sandbox.name}, tried in {took * 1000:.0f} ms"),
                *_judge(succeeded, outside, secret, victim),
            ]
    except (LazarusError, OSError) as error:
        return [failed("sandbox", str(error), _NONE)]
    finally:
        if tree is not None:
            cgroup.remove_tree(tree)


_NO_FILE = "not tried: it has no file that could be read"
_NONE = "no agent is started, unless by `lazarus up --unsafe-no-sandbox`"


def _judge(
    succeeded: Sequence[str], outside: Path, secret: str, victim: subprocess.Popen[bytes]
) -> list[Check]:
    wrote = "outside" in succeeded or any(outside.iterdir()) or "system" in succeeded
    killed = "signal" in succeeded or victim.poll() is not None
    trials = (
        ("writing outside", wrote, f"{outside}, /usr"),
        ("reading a home", "home" in succeeded, secret or _NO_FILE),
        ("signalling outside", killed, f"pid {victim.pid}"),
    )
    checks = [
        failed(name, f"an agent can: {what}", "the cell's walls do not hold: report this")
        if done
        else passed(name, what if what == _NO_FILE else f"refused ({what})")
        for name, done, what in trials
    ]
    beat = "beat" in succeeded
    checks.append(
        passed("beating inside", "`lazarus beat` works")
        if beat
        else failed("beating inside", "`lazarus beat` failed", "agents look silent")
    )
    return checks


@contextlib.contextmanager
def _stage(owner: Owner) -> Iterator[tuple[CellPaths, Path]]:
    """A cell of its own, and a directory beside it that anybody could write but for the walls."""
    top = Path(tempfile.mkdtemp(prefix="lazarus-doctor-"))
    try:
        top.chmod(0o755)
        outside = top / "outside"
        outside.mkdir()
        outside.chmod(0o777)
        wanted = Manifest(
            uuid=provision.new_uuid(),
            status=CellStatus.ACTIVE,
            mission="Try the walls",
            agents=(Member(name=AGENT, role=Role.DEVELOPER),),
        )
        yield provision.create_cell(top / "missions", wanted, owner), outside
    finally:
        shutil.rmtree(top, ignore_errors=True)


@contextlib.contextmanager
def _victim(owner: Owner) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the agents' own user, which only walls keep from being killed by them."""
    user = owner.uid if os.geteuid() == 0 else None
    victim = subprocess.Popen(["/bin/sleep", "60"], user=user, cwd="/")
    try:
        yield victim
    finally:
        victim.kill()
        victim.wait()


def _some_file_at_home() -> str:
    """Return a file of the person's own home, empty where there is none."""
    with contextlib.suppress(OSError, RuntimeError), os.scandir(Path.home()) as entries:
        return next((entry.path for entry in entries if entry.is_file(follow_symlinks=False)), "")
    return ""


def _launch(paths: CellPaths, owner: Owner, env: dict[str, str]) -> Launch:
    is_root = os.geteuid() == 0
    return Launch(
        key=f"{paths.uuid}/{AGENT}",
        uuid=paths.uuid,
        agent=AGENT,
        role=Role.DEVELOPER,
        generation=1,
        argv=("/bin/sh", "-c", _ATTEMPTS),
        env=env,
        workspace=str(paths.workspace),
        home=str(paths.home(AGENT)),
        heartbeat_dir=str(paths.beats(AGENT)),
        inbox=str(paths.inbox(AGENT)),
        outbox=str(paths.outbox(AGENT)),
        pub_dir=str(paths.published(AGENT)),
        log_file=str(paths.log(AGENT)),
        status_file=str(paths.status(AGENT, 1)),
        uid=owner.uid if is_root else None,
        gid=owner.gid if is_root else None,
    )


def _await_end(life: Life) -> None:
    """Wait for the prisoner to have tried everything, then make sure that nothing of it is left."""
    fd = lives.open_pidfd(life)
    if fd is not None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(PATIENCE * 1000)
    lives.destroy(life)
    deadline = time.monotonic() + PATIENCE
    while not (lives.exit_of(life, fd) and lives.is_gone(life)) and time.monotonic() < deadline:
        time.sleep(0.01)
    lives.clean(life)
    if fd is not None:
        os.close(fd)


def _succeeded(paths: CellPaths) -> list[str]:
    try:
        return (paths.workspace / "succeeded").read_text().split()
    except OSError:
        return []
