"""Reviewers write in ``workspace/reviews`` alone, whatever the others put in its place."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit
from launching import AGENT_UID, Nest, open_way, own_tree, run
from lazarus_pit.core.model import Exit, Role
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import rename
from lazarus_pit.sandboxes import landlock
from lazarus_pit.sandboxes.base import Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap

REVIEWER = {"role": Role.REVIEWER, "rules": {"liveness": "process"}}
TRY = 'echo mine >"reviews/$LAZARUS_AGENT" && ! echo x 2>/dev/null >work && echo "$(id -u)" >&2'
STARTS = 20
"""Lives that begin while a directory and a link change places."""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("furniture")
    open_way(place)
    return str(place)


@pytest.fixture(params=["bubblewrap", "landlock"])
def walls(request: pytest.FixtureRequest, scratch: str) -> Iterator[Sandbox]:
    with own_tree() as tree:
        if request.param == "landlock":
            if fault := landlock.why_not():
                pytest.skip(fault)
            yield landlock.Landlock(scratch, tree)
        else:
            bwrap, notes = find_bwrap()
            if bwrap is None:
                pytest.skip(f"no working bubblewrap: {notes}")
            yield Bubblewrap(bwrap, scratch, tree)


@pytest.fixture
def nest(tmp_path: Path) -> Nest:
    nest = Nest(tmp_path)
    open_way(tmp_path)
    nest.cell.chmod(0o755)
    outside = tmp_path / "outside"
    outside.mkdir()
    if nest.uid is not None:
        os.chown(outside, nest.uid, nest.uid)
    return nest


def test_a_reviewer_writes_there_and_nowhere_else(walls: Sandbox, nest: Nest) -> None:
    for agent in ("alice", "bob"):
        nest.agent = agent
        assert run(walls, nest.launch("sh", "-c", TRY, role=Role.REVIEWER)) == Exit(code=0)
    assert sorted(os.listdir(nest.workspace / "reviews")) == ["alice", "bob"]
    assert os.listdir(nest.workspace) == ["reviews"]


def test_a_link_in_its_place_opens_nothing(walls: Sandbox, nest: Nest, tmp_path: Path) -> None:
    launch = nest.launch("sh", "-c", "echo x >reviews/escaped", role=Role.REVIEWER)
    (nest.workspace / "reviews").rmdir()
    (nest.workspace / "reviews").symlink_to(tmp_path / "outside")
    with contextlib.suppress(SpawnError):
        assert run(walls, launch) != Exit(code=0)
    assert os.listdir(tmp_path / "outside") == []


def test_a_link_that_takes_its_place_in_between_opens_nothing(
    walls: Sandbox, nest: Nest, tmp_path: Path
) -> None:
    launches = [
        nest.launch("sh", "-c", f"echo x >reviews/{number}; true", role=Role.REVIEWER)
        for number in range(STARTS)
    ]
    (nest.workspace / "link").symlink_to(tmp_path / "outside")
    over = threading.Event()

    def flip() -> None:
        here = os.open(nest.workspace, os.O_RDONLY)
        while not over.is_set():
            rename.exchange(here, "reviews", here, "link")
        os.close(here)

    flipper = threading.Thread(target=flip)
    flipper.start()
    began = 0
    try:
        for launch in launches:
            with contextlib.suppress(SpawnError):
                run(walls, launch)
                began += 1
    finally:
        over.set()
        flipper.join()
    assert began, "it was a link each time"
    assert os.listdir(tmp_path / "outside") == []


def test_the_pit_makes_the_place_and_two_reviewers_share_it(tmp_path: Path) -> None:
    pit = Pit(tmp_path).start()
    try:
        cell = pit.cell()
        for name in ("ann", "bob"):
            pit.spawn(cell, name, "sh", "-c", f"{TRY}; exec sleep 600", **REVIEWER)
        for name in ("ann", "bob"):
            pit.wait((cell.reviews / name).exists, "their reviews")
            pit.wait(lambda n=name: cell.log(n).read_text(), "both were tried")  # type: ignore[misc]
        assert os.listdir(cell.workspace) == ["reviews"]
        found = cell.reviews.stat()
        assert found.st_mode & 0o777 == 0o770
        assert found.st_uid == (AGENT_UID if os.geteuid() == 0 else os.geteuid())

        lake = pit.cell()
        lake.reviews.symlink_to(tmp_path)
        pit.spawn(lake, "ann", "sh", "-c", TRY, **REVIEWER)
        told = pit.wait_event(lake, "agent_start_failed", "ann")
        assert "workspace/reviews: a link or no directory" in told.data["why"]
        assert not (tmp_path / "ann").exists()
    finally:
        pit.close()
