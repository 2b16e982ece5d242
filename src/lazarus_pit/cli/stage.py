"""The stage of the demo: a root of its own, a real daemon on it, and hands to hurt real agents."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.listing import list_cells
from lazarus_pit.cells.store import read_state
from lazarus_pit.cli import follow
from lazarus_pit.cli.endings import lives_of
from lazarus_pit.cli.place import Place
from lazarus_pit.cli.pulse import feel
from lazarus_pit.core.model import Life, Seconds
from lazarus_pit.errors import WorldError
from lazarus_pit.formats.instant import from_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.state import Health
from lazarus_pit.linux import procfs
from lazarus_pit.sandboxes import lives

PATIENCE: Seconds = 20.0
"""How long anything may take before the demo has failed."""
LOOK_AGAIN: Seconds = 0.02

CONFIG = """\
# Everything here is shorter than in earnest, so that it can be watched.
[daemon]
pid_file = "{top}/lazarus-pit.pid"
log_file = "{top}/lazarus-pit.log"

[cells]
root = "{top}/missions"
heartbeat_stale_threshold = 2
resurrect_after = {resurrect_after}
poll_interval = 1

[rules]
min_uptime = 1
kill_grace = 0.5
"""


class Stage(NamedTuple):
    """Where it all happens."""

    top: Path
    config: Path
    pit: PitPaths
    daemon: subprocess.Popen[bytes]


def await_true(condition: Callable[[], bool], what: str, seconds: Seconds = PATIENCE) -> None:
    """Return when the condition holds.

    Raises:
        WorldError: it did not, for so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise WorldError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(LOOK_AGAIN)


@contextlib.contextmanager
def set_up(resurrect_after: Seconds) -> Iterator[Stage]:
    """Make a root, start a daemon on it, and end that daemon afterwards. The root is kept.

    Raises:
        WorldError: the daemon does not come up.
    """
    top = Path(tempfile.mkdtemp(prefix="lazarus-demo-"))
    top.chmod(0o755)
    config = top / "lazarus-pit.toml"
    config.write_text(CONFIG.format(top=top, resurrect_after=resurrect_after))
    pit = PitPaths(top / "missions")
    command = [sys.executable, "-m", "lazarus_pit", "--config", str(config), "up", "--alone"]
    with (top / "daemon.out").open("wb") as out:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        await_true(lambda: _is_up(pit, daemon, top), "the daemon comes up")
        yield Stage(top, config, pit, daemon)
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        _end_everybody(config, pit)


def _end_everybody(config: Path, pit: PitPaths) -> None:
    """Let no agent outlive the demo, however that ended."""
    settings = Place(config=config).settings()
    cells = [listed.paths for listed in list_cells(pit.root)]
    for life in (life for paths in cells for life in lives_of(settings, paths)):
        lives.destroy(life)
    await_true(lambda: not any(lives_of(settings, paths) for paths in cells), "every agent ends")


def _is_up(pit: PitPaths, daemon: subprocess.Popen[bytes], top: Path) -> bool:
    if daemon.poll() is not None:
        said = (top / "daemon.out").read_text(errors="replace").strip()
        raise WorldError(f"the daemon ended at once: {said or 'see ' + str(top)}")
    pulse = feel(pit)
    return pulse.up and pulse.report is not None


def copy_programs(examples: Path, paths: CellPaths) -> None:
    """Put the agents' programs into the workspace, where they can read and not change them."""
    programs = paths.workspace / "programs"
    programs.mkdir()
    for source in sorted(examples.glob("*.py")):
        shutil.copyfile(source, programs / source.name)
        (programs / source.name).chmod(0o644)
    programs.chmod(0o755)


def await_event(paths: CellPaths, offset: int, agent: str, *names: str) -> Event:
    """Return the next event of this agent that has one of these names.

    Raises:
        WorldError: there was none in time.
    """
    for event in follow.watch_events(paths.events, offset, PATIENCE):
        if event.agent == agent and event.event in names:
            return event
    raise WorldError(f"waited {PATIENCE:g} s in vain for {' or '.join(names)} of {agent}")


def since(event: Event, began: float) -> Seconds:
    """Return how long after ``began`` (Unix seconds) an event was written down."""
    return max(0.0, from_rfc3339(event.ts) - began)


def find_health(paths: CellPaths, agent: str) -> Health:
    """Return what the daemon believes about an agent.

    Raises:
        WorldError: it has not said anything yet.
    """
    state = read_state(paths)
    health = state.agent_health.get(agent) if state else None
    if health is None:
        raise WorldError(f"{agent}: the daemon has not spoken of it")
    return health


def find_life(paths: CellPaths, agent: str) -> tuple[int, Life]:
    """Return an agent's generation and life, as the daemon's state names it.

    Raises:
        WorldError: it has none.
    """
    health = find_health(paths, agent)
    if health.pid is None:
        raise WorldError(f"{agent} has no life at the moment")
    started = procfs.start_time(health.pid)
    if started is None:
        raise WorldError(f"{agent}: there is no process {health.pid}")
    life = Life(
        boot_id=procfs.boot_id(),
        pid=health.pid,
        start_time=started,
        cgroup=str(health.readings.get("cgroup", "")),
        status_file=str(paths.status(agent, health.generation)),
    )
    return health.generation, life


def hurt(life: Life, number: signal.Signals) -> int:
    """Send a signal to the agent's own program, its oldest process, from outside; return its pid.

    Raises:
        WorldError: it has ended meanwhile.
    """
    born = {pid: procfs.start_time(pid) or 0 for pid in lives.agents_own(life)}
    if not born:
        raise WorldError("the agent has ended by itself")
    pid = min(born, key=lambda one: (born[one], one))
    os.kill(pid, number)
    return pid
