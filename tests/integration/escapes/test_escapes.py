"""An agent that tries gets nowhere: with every layer nothing gets through, whoever it is.

The package ``attempts`` runs inside. That each attempt is a real one is shown beside this:
``test_layers`` takes one layer away, and what it was there for gets through.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from msgspec.structs import replace

import outlet
from attempts import __main__ as everything
from attempts import registry
from integration.escapes import test_landlock_alone, test_layers
from integration.escapes.trying import OPEN_WITH_HOST_NETWORK, through
from launching import AGENT_UID, Nest
from lazarus_pit.core.model import Role
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import netns
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from outside import Outside


@pytest.mark.parametrize("role", Role)
def test_nothing_gets_through(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
) -> None:
    assert through(walls, outside, monkeypatch, role=role) == set()
    assert outside.secret.read_text() == "hunter2"
    assert sorted(path.name for path in outside.place.iterdir()) == ["secret.txt"]


@pytest.mark.parametrize("role", Role)
def test_the_hosts_network_opens_the_network_alone(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
) -> None:
    found = through(walls, outside, monkeypatch, role=role, network="host")
    assert found == OPEN_WITH_HOST_NETWORK


@pytest.mark.parametrize("role", Role)
def test_a_list_of_places_opens_nothing_else(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    role: Role,
) -> None:
    with outlet.proxy(tmp_path_factory.mktemp("proxy")) as proxy:
        found = through(walls, outside, monkeypatch, role=role, network="allow", proxy=proxy)
    assert found == set()


def test_a_list_of_places_is_no_wall_without_a_network_of_its_own(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr(netns, "leave_network", lambda: None)
    with outlet.proxy(tmp_path_factory.mktemp("proxy")) as proxy:
        found = through(walls, outside, monkeypatch, network="allow", proxy=proxy)
    assert found >= OPEN_WITH_HOST_NETWORK


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_nothing_gets_through_where_a_cell_has_a_user_of_its_own(
    walls: Bubblewrap, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    nest, whole, own = outside.nest, Nest.launch, AGENT_UID + 8
    private = (nest.workspace, nest.home, nest.heartbeats, nest.outbox, outside.others_beat)
    for path in (*private, outside.place, outside.secret):
        os.chown(path, own, own)
    nest.uid = own

    def launch(*words: Any, **more: Any) -> Launch:
        return replace(whole(*words, **more), seen_as=(AGENT_UID, AGENT_UID))

    monkeypatch.setattr(Nest, "launch", launch)
    assert through(walls, outside, monkeypatch) == set()


def test_an_agent_is_never_root(walls: Bubblewrap, outside: Outside) -> None:
    launch = replace(outside.nest.launch("true"), uid=0, gid=0)
    with pytest.raises(SpawnError, match="must not run as root") as caught:
        walls.spawn(launch)
    assert caught.value.fatal


def test_there_are_attempts_enough() -> None:
    assert len(everything.MODULES) == 5
    assert len(registry.ATTEMPTS) >= 60
    shown = test_layers.SHOWN | test_landlock_alone.SHOWN
    assert shown <= set(registry.ATTEMPTS)
    assert set(registry.ATTEMPTS) - shown == test_layers.OF_SOME_MACHINES
