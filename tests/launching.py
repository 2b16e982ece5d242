"""Lives to try things on: a cell's directories, a launch, and waiting for what must come."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from lazarus_pit.core.model import Exit, Life, Role
from lazarus_pit.linux import cgroup
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.base import Launch, Network, Sandbox

AGENT_UID = 61042
"""Whom agents run as when the tests run as root."""

PATIENCE = 20.0
"""Seconds until what must come is given up."""

_generations = itertools.count(1)


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition that must become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {PATIENCE:g} s")
        select.select([], [], [], 0.005)


class Nest:
    """The directories of one agent in one cell."""

    def __init__(self, base: Path, agent: str = "alice") -> None:
        self.base = base
        self.agent = agent
        self.uuid = str(uuid.uuid4())
        self.cell = base / self.uuid
        self.workspace = self.cell / "workspace"
        self.home = self.cell / "home"
        self.heartbeats = self.cell / "hb"
        self.inbox = self.cell / "inbox"
        self.outbox = self.cell / "outbox"
        self.published = self.cell / "pub"
        self.logs = self.cell / "logs"
        owned = (self.workspace, self.home, self.heartbeats, self.outbox)
        for directory in (*owned, self.inbox, self.published, self.logs):
            directory.mkdir(parents=True)
        if os.geteuid() == 0:
            for directory in owned:
                os.chown(directory, AGENT_UID, AGENT_UID)
        self.cell.chmod(0o700)
        self.uid = AGENT_UID if os.geteuid() == 0 else None
        for directory in (self.published, self.cell):
            (directory / "cell.json").write_text('{"mission": "test"}')
        self.log = self.logs / "agent.log"

    def launch(self, *argv: str, role: Role = Role.DEVELOPER, network: Network = "none") -> Launch:
        """A life of the next generation."""
        generation = next(_generations)
        reviews = "reviews" if role is Role.REVIEWER else ""
        if reviews and not os.path.lexists(self.workspace / reviews):
            (self.workspace / reviews).mkdir()
            if self.uid is not None:
                os.chown(self.workspace / reviews, self.uid, self.uid)
        return Launch(
            key=f"{self.uuid}/{self.agent}",
            uuid=self.uuid,
            agent=self.agent,
            role=role,
            generation=generation,
            argv=argv,
            network=network,
            workspace=str(self.workspace),
            reviews=reviews,
            home=str(self.home),
            heartbeat_dir=str(self.heartbeats),
            inbox=str(self.inbox),
            outbox=str(self.outbox),
            pub_dir=str(self.published),
            log_file=str(self.log),
            status_file=self.status_file(generation),
            uid=self.uid,
            gid=self.uid,
        )

    def status_file(self, generation: int) -> str:
        """Where the end of a generation is written."""
        return str(self.logs / f"status.{generation}")

    def said(self) -> str:
        """What the agent has written to its standard output and error."""
        return self.log.read_text() if self.log.exists() else ""


@contextlib.contextmanager
def own_tree() -> Iterator[Tree | None]:
    """A tree of cgroups for one test, removed with everybody in it."""
    tree, _ = cgroup.find_tree(f"test-{uuid.uuid4().hex[:12]}")
    try:
        yield tree
    finally:
        if tree is not None:
            for leaf in cgroup.leaves(tree):
                cgroup.kill(leaf.path)
                cgroup.wait_until_empty(leaf.path, PATIENCE)
            cgroup.remove_tree(tree)


@contextlib.contextmanager
def begun(sandbox: Sandbox, launch: Launch) -> Iterator[Life]:
    """A life that has begun, and nothing of it left afterwards."""
    life = sandbox.spawn(launch)
    try:
        yield life
    finally:
        lives.destroy(life)
        until(lambda: lives.exit_of(life) is not None, "the exit of the life")
        until(lambda: lives.is_gone(life), "the end of the life")
        lives.clean(life)


def ending(life: Life) -> Exit:
    """Wait for a life's main process to end and say how."""
    fd = lives.open_pidfd(life)
    if fd is not None:
        select.select([fd], [], [], PATIENCE)
    try:
        ended = lives.exit_of(life, fd)
    finally:
        if fd is not None:
            os.close(fd)
    assert ended is not None, "the life did not end"
    return ended


def run(sandbox: Sandbox, launch: Launch) -> Exit:
    """Begin a life, see it end, and leave nothing of it."""
    with begun(sandbox, launch) as life:
        return ending(life)


def open_way(place: Path) -> None:
    """Let every user walk to a test's directory: pytest closes the ones above it."""
    for directory in (place, *place.parents):
        if directory.stat().st_uid != os.geteuid() or directory.parent == directory.parent.parent:
            return
        directory.chmod(0o755)
