"""An agent that tries gets nowhere; and each wall is the one that stops what it is there for.

The package ``attempts`` runs inside. First with every layer: nothing may get through. Then with
one layer taken away: what it was there for gets through, so each attempt is known to be a real one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import attempts
import outlet
from attempts import __main__ as everything
from attempts import registry
from launching import Nest, open_way, own_tree, run
from lazarus_pit.core.model import Exit, Role
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import landlock as kernel
from lazarus_pit.linux import mounts, netns
from lazarus_pit.sandboxes import bubblewrap, environment, inside, landlock, steps
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Launch, Network, Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap
from outside import Outside, careless, services

ATTEMPTS = Path(attempts.__file__).parent


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("furniture"))


@pytest.fixture
def walls(scratch: str) -> Iterator[Bubblewrap]:
    bwrap, notes = find_bwrap()
    if bwrap is None:
        pytest.skip(f"no working bubblewrap: {notes}")
    with own_tree() as tree:
        yield Bubblewrap(bwrap, scratch, tree)


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    open_way(tmp_path)
    return Outside(Nest(tmp_path), tmp_path)


def through(
    walls: Sandbox,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    *only: str,
    role: Role = Role.DEVELOPER,
    network: Network = "none",
    proxy: str = "",
) -> set[str]:
    """The attempts that get through."""
    nest = outside.nest
    place = Path(inside.HOME) if walls.name == "bubblewrap" else nest.home
    workspace = inside.WORKSPACE if walls.name == "bubblewrap" else str(nest.workspace)
    shutil.copytree(ATTEMPTS, nest.home / "attempts")
    launch = nest.launch(
        "python3",
        "-m",
        "attempts",
        str(place / "facts.json"),
        *only,
        role=role,
        network=network,
    )
    launch = replace(launch, env={"PYTHONPATH": str(place)}, allow=("a.example",), proxy=proxy)
    with services(outside) as host, careless(outside, monkeypatch):
        (nest.home / "facts.json").write_text(json.dumps(outside.facts(launch, workspace, **host)))
        assert run(walls, launch) == Exit(code=0), nest.said()
    found = json.loads(nest.said().splitlines()[-1])
    return {name for name, got_through in found.items() if got_through}


@pytest.mark.parametrize("role", Role)
def test_nothing_gets_through(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
) -> None:
    assert through(walls, outside, monkeypatch, role=role) == set()
    assert outside.secret.read_text() == "hunter2"
    assert sorted(path.name for path in outside.place.iterdir()) == ["secret.txt", "socket"]


OPEN_WITH_HOST_NETWORK = {"connect_to_the_hosts_loopback", "send_a_datagram_to_the_host"}
"""What network mode host means."""


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


# ---------------------------------------------------------------- one layer less

Removal = Callable[[Bubblewrap, pytest.MonkeyPatch], None]


def without_argument(*names: str) -> Removal:
    """Leave flags out of bubblewrap's arguments."""

    def remove(_: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = inside.namespaces

        def fewer(launch: Launch, *, nested: bool) -> list[str]:
            return [word for word in whole(launch, nested=nested) if word not in names]

        monkeypatch.setattr(inside, "namespaces", fewer)

    return remove


def without_filter(walls: Bubblewrap, _: pytest.MonkeyPatch) -> None:
    walls._filter = None


def without_scope(walls: Bubblewrap, _: pytest.MonkeyPatch) -> None:
    walls._scope = None


def without_clean_environment(_: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = environment.environment
    monkeypatch.setattr(bubblewrap, "environment", lambda *a: dict(os.environ) | clean(*a))


def without_closing(_: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "closerange", lambda *_: None)


def without_own_user(_: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "become", lambda *_: [])


def all_of(*removals: Removal) -> Removal:
    def remove(walls: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
        for one in removals:
            one(walls, monkeypatch)

    return remove


_SEES = {"see_a_process", "limit_a_process", "slow_a_process", "pin_a_process", "hold_a_process"}
_FILTERED = {"add_a_key", "open_by_handle", "reach_for_the_clock", "switch_off_randomization"}
_MASTER = {
    "change_root",
    "clone_a_user_namespace",
    "make_a_network_namespace",
    "make_a_user_namespace",
    "mount_something",
    "open_a_tree",
    "rename_the_host",
}

LAYERS: dict[str, tuple[Removal, Network, set[str]]] = {
    "network namespace": (
        all_of(without_argument("--unshare-net"), without_scope),
        "none",
        OPEN_WITH_HOST_NETWORK | {"connect_to_an_abstract_socket"},
    ),
    "Landlock scope": (without_scope, "host", {"connect_to_an_abstract_socket"}),
    "pid namespace": (without_argument("--unshare-pid"), "none", _SEES),
    "pid namespace and scope": (
        all_of(without_argument("--unshare-pid"), without_scope),
        "none",
        _SEES | {"signal_a_process"},
    ),
    "ipc namespace": (without_argument("--unshare-ipc"), "none", {"see_a_shared_memory"}),
    "seccomp": (without_filter, "none", _FILTERED),
    "seccomp and the lid on namespaces": (
        all_of(without_filter, without_argument("--disable-userns")),
        "none",
        _FILTERED | _MASTER,
    ),
    "clean environment": (
        without_clean_environment,
        "none",
        {"token_in_environment", "token_in_inits_environment"},
    ),
    "closed descriptors": (without_closing, "none", {"leaked_directory"}),
}
"""What gets through without a layer, on any kernel; more may, where it has more to offer."""

ROOTS_LAYERS: dict[str, tuple[Removal, Network, set[str]]] = {
    "user of its own": (
        without_own_user,
        "none",
        {"become_root", "write_core_pattern", "write_sysctl"},
    ),
    "user of its own, no capabilities, seccomp": (
        all_of(
            without_own_user,
            without_filter,
            without_argument("--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
        ),
        "none",
        _FILTERED
        | _MASTER
        | {
            "become_root",
            "enter_inits_namespaces",
            "hold_a_capability",
            "make_a_device",
            "make_a_packet_socket",
            "make_a_raw_socket",
            "read_kernel_messages",
        },
    ),
}
"""What only the daemon of root needs."""

WITHOUT_WALLS = {
    "write_outside",
    "overwrite_outside",
    "rename_outside",
    "chmod_outside",
    "utime_outside",
    "hardlink_outside",
    "write_through_a_link",
    "lock_outside",
    "read_outside",
    "list_the_cell",
    "read_another_agents_beat",
    "write_another_agents_beat",
    "see_shadow",
    "see_the_hosts_run",
    "see_the_hosts_var",
    "see_sys",
    "walk_up_from_the_workspace",
    "see_a_process",
    "signal_a_process",
    "trace_a_process",
    "read_a_process_memory",
    "limit_a_process",
    "slow_a_process",
    "pin_a_process",
    "hold_a_process",
    "connect_to_the_hosts_loopback",
    "send_a_datagram_to_the_host",
    "connect_to_an_abstract_socket",
    "connect_to_a_named_socket",
    "see_a_shared_memory",
    "gain_privileges_by_exec",
}
"""What an agent with no sandbox at all gets at, as an ordinary user on any machine."""


@pytest.mark.parametrize("layer", LAYERS)
def test_what_a_layer_holds_gets_through_without_it(
    layer: str,
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove, network, expected = LAYERS[layer]
    remove(walls, monkeypatch)
    found = through(walls, outside, monkeypatch, *sorted(expected), network=network)
    assert found == expected


OF_THE_OBSERVER = {
    "make_a_file_where_the_role_may_not",
    "change_a_file_where_the_role_may_not",
    "change_a_mode_where_the_role_may_not",
    "rename_where_the_role_may_not",
}
OF_THE_REVIEWER = OF_THE_OBSERVER | {
    "move_into_where_the_role_may",
    "link_from_where_the_role_may",
    "link_to_where_the_role_may_not",
}
"""What a workspace that is closed to a role stops, and it alone."""


@pytest.mark.parametrize(
    ("role", "expected"), [(Role.OBSERVER, OF_THE_OBSERVER), (Role.REVIEWER, OF_THE_REVIEWER)]
)
def test_what_a_closed_workspace_holds_gets_through_without_it(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
    expected: set[str],
) -> None:
    monkeypatch.setattr(inside, "WRITERS", frozenset(Role))
    monkeypatch.setattr(mounts, "_close", lambda *_: None)
    assert through(walls, outside, monkeypatch, *sorted(expected), role=role) == expected


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("layer", ROOTS_LAYERS)
def test_what_a_layer_holds_for_root_gets_through_without_it(
    layer: str,
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove, network, expected = ROOTS_LAYERS[layer]
    remove(walls, monkeypatch)
    found = through(walls, outside, monkeypatch, *sorted(expected), network=network)
    assert found == expected


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than the one who tests")
def test_without_walls_the_outside_is_there(
    scratch: str,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same attempts, by the same user, in no sandbox at all."""
    outside.nest.cell.chmod(0o755)
    with own_tree() as tree:
        bare = Bare(scratch, tree)
        assert through(bare, outside, monkeypatch, *sorted(WITHOUT_WALLS)) == WITHOUT_WALLS


LANDLOCKS_GAPS = {
    "chmod_outside",
    "utime_outside",
    "hold_a_process",
    "see_a_process",
    "see_host_keys",
    "see_shadow",
    "see_sys",
    "see_the_hosts_var",
}
"""What Landlock alone lets through, and says so."""


@pytest.mark.parametrize("network", ["none", "host"])
@pytest.mark.parametrize("role", Role)
def test_landlock_alone_has_its_gaps_and_no_others(
    scratch: str,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
    network: Network,
) -> None:
    if kernel.abi() < 6:
        pytest.skip(f"version {kernel.abi()} of Landlock has more gaps")
    if outside.nest.uid is not None:
        open_way(Path(scratch))
        outside.nest.cell.chmod(0o755)
    with own_tree() as tree:
        walls = landlock.Landlock(scratch, tree)
        found = through(walls, outside, monkeypatch, role=role, network=network)
    expected = LANDLOCKS_GAPS | (OPEN_WITH_HOST_NETWORK if network == "host" else set())
    if role in (Role.OBSERVER, Role.REVIEWER):
        expected |= {"change_a_mode_where_the_role_may_not"}
    assert found == expected


def test_an_agent_is_never_root(walls: Bubblewrap, outside: Outside) -> None:
    launch = replace(outside.nest.launch("true"), uid=0, gid=0)
    with pytest.raises(SpawnError, match="must not run as root") as caught:
        walls.spawn(launch)
    assert caught.value.fatal


def test_there_are_attempts_enough() -> None:
    assert len(everything.MODULES) == 5
    assert len(registry.ATTEMPTS) >= 60
    shown = WITHOUT_WALLS.union(
        OF_THE_REVIEWER, *(layer[2] for layer in (LAYERS | ROOTS_LAYERS).values())
    )
    assert shown <= set(registry.ATTEMPTS)
