"""Each wall is the one that stops what it is there for: with one layer less, that gets through."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from integration.escapes.trying import OPEN_WITH_HOST_NETWORK, through
from launching import own_tree
from lazarus_pit.core.model import Role
from lazarus_pit.linux import mounts
from lazarus_pit.sandboxes import bubblewrap, environment, inside, limits, steps
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Launch, Network
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.furniture import Furniture
from lazarus_pit.sandboxes.inside import Bind, Binds
from outside import Outside

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


def without_rlimits(_: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_limit", lambda *_: None)


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

IN_A_USER_NAMESPACE = {
    "become_root",
    "enter_inits_namespaces",
    "hold_a_capability",
    "make_a_packet_socket",
    "make_a_raw_socket",
}
"""What root with all capabilities gets at within a namespace of its own."""
BEYOND_A_USER_NAMESPACE = {"make_a_device", "read_kernel_messages"}
"""And what such a namespace still keeps from it."""

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
    "uts namespace": (
        without_argument("--unshare-uts", "--hostname", "cell"),
        "none",
        {"see_the_hosts_name"},
    ),
    "cgroup namespace": (
        without_argument("--unshare-cgroup-try"),
        "none",
        {"see_its_place_among_cgroups"},
    ),
    "rlimits": (without_rlimits, "none", {"keep_core_dumps"}),
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
    "user of its own, no capabilities": (
        all_of(
            without_own_user,
            without_filter,
            without_argument("--disable-userns", "--cap-drop", "ALL"),
        ),
        "none",
        _FILTERED | _MASTER | IN_A_USER_NAMESPACE,
    ),
    "user of its own, no capabilities, user namespace": (
        all_of(
            without_own_user,
            without_filter,
            without_argument("--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
        ),
        "none",
        _FILTERED | _MASTER | IN_A_USER_NAMESPACE | BEYOND_A_USER_NAMESPACE,
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
    "read_the_log_directory",
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
    "walk_out_through_anothers_root",
    "walk_out_through_anothers_directory",
    "list_the_sessions_keys",
    "read_a_process_memory_by_a_call",
    "take_a_descriptor_of_a_process",
    "read_a_process_environment",
    "compare_with_a_process",
    "send_a_descriptor_to_an_abstract_socket",
    "listen_to_the_machines_events",
    "watch_the_machines_sockets",
    "run_a_program_from_memory",
    "catch_page_faults",
    "ask_for_a_key",
    "make_a_file_system",
    "change_a_mounts_flags",
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
    if layer == "cgroup namespace" and walls.tree is None:
        pytest.skip("no writable cgroup v2 here")
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
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_user_namespace_holds_what_capabilities_would_open(
    walls: Bubblewrap, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    ROOTS_LAYERS["user of its own, no capabilities"][0](walls, monkeypatch)
    names = sorted(BEYOND_A_USER_NAMESPACE | {"hold_a_capability"})
    assert through(walls, outside, monkeypatch, *names) == {"hold_a_capability"}


THROUGH_A_HOLE = {
    "write_outside",
    "overwrite_outside",
    "rename_outside",
    "chmod_outside",
    "utime_outside",
    "lock_outside",
    "read_outside",
    "write_through_a_link",
    "connect_to_a_named_socket",
}
"""What the mount namespace keeps from an agent: here one directory of the host is in it."""


def test_what_is_mounted_gets_through(
    walls: Bubblewrap, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, place = inside.binds, str(outside.place)

    def more(launch: Launch, standing: Furniture, *, staged: bool) -> Binds:
        found = whole(launch, standing, staged=staged)
        return found._replace(all=(*found.all, Bind("hole", place, place, writable=True)))

    monkeypatch.setattr(inside, "binds", more)
    assert through(walls, outside, monkeypatch, *sorted(THROUGH_A_HOLE)) == THROUGH_A_HOLE


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


AS_ROOT = {
    "read_own_status_file",
    "replace_the_manifest",
    "write_device_directory",
    "write_etc_passwd",
    "write_our_package",
    "write_our_programs",
    "write_own_inbox",
    "write_root_directory",
    "write_the_manifest",
    "write_usr",
}
"""What nothing but walls and a user of its own keeps from an agent of root's daemon."""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_without_walls_and_as_root_all_of_the_host_is_there(
    scratch: str, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.nest.uid = None
    with own_tree() as tree:
        found = through(Bare(scratch, tree), outside, monkeypatch, *sorted(AS_ROOT))
    assert found == AS_ROOT


OF_SOME_MACHINES = {
    "fake_terminal_input",
    "join_a_process_namespaces",
    "load_a_bpf_program",
    "make_a_vm_socket",
    "make_an_algorithm_socket",
    "make_an_io_uring",
    "make_the_root_writable",
    "open_a_disk",
    "open_anothers_files",
    "own_the_terminal",
    "read_from_the_daemons_input",
    "take_a_mount_away",
    "trigger_sysrq",
    "use_a_setuid_program",
    "use_the_calls_of_another_machine",
    "watch_the_machines_performance",
    "write_a_cgroup",
}
"""What not every kernel, and not every container that these tests run in, has to offer."""

SHOWN = WITHOUT_WALLS.union(
    OF_THE_REVIEWER,
    THROUGH_A_HOLE,
    AS_ROOT,
    *(layer[2] for layer in (LAYERS | ROOTS_LAYERS).values()),
)
"""Attempts that get through somewhere, so that they are known to be real."""
