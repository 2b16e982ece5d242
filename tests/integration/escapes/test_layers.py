"""Each wall is the one that stops what it is there for: with one layer less, that gets through."""

from __future__ import annotations

import fcntl
import os
import termios
from collections.abc import Callable

import pytest

from attempts.registry import ATTEMPTS, tried
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
from outside import Outside, services

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


_ABSTRACT = {"connect_to_an_abstract_socket", "send_a_descriptor_to_an_abstract_socket"}
_SEES = {"see_a_process", "limit_a_process", "slow_a_process", "pin_a_process", "hold_a_process"}
_FILTERED = {
    "add_a_key",
    "ask_for_a_key",
    "list_the_sessions_keys",
    "open_by_handle",
    "reach_for_the_clock",
    "switch_off_randomization",
}
_MASTER = {
    "change_root",
    "clone_a_user_namespace",
    "make_a_file_system",
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
    "change_a_mounts_flags",
    "make_the_root_writable",
    "take_a_mount_away",
}
"""What root with all capabilities gets at within a namespace of its own."""
BEYOND_A_USER_NAMESPACE = {"make_a_device", "read_kernel_messages"}
"""And what such a namespace still keeps from it."""

LAYERS: dict[str, tuple[Removal, Network, set[str]]] = {
    "network namespace": (
        all_of(without_argument("--unshare-net"), without_scope),
        "none",
        OPEN_WITH_HOST_NETWORK | _ABSTRACT,
    ),
    "Landlock scope": (without_scope, "host", _ABSTRACT),
    "pid namespace": (without_argument("--unshare-pid"), "none", _SEES),
    "pid namespace and scope": (
        all_of(without_argument("--unshare-pid"), without_scope),
        "none",
        _SEES | {"signal_a_process"},
    ),
    "ipc namespace": (
        without_argument("--unshare-ipc"),
        "none",
        {"hear_of_a_process_by_its_queue", "see_a_shared_memory"},
    ),
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
    "ask_for_a_key",
    "change_a_mounts_flags",
    "chmod_outside",
    "connect_to_a_named_socket",
    "connect_to_an_abstract_socket",
    "connect_to_the_hosts_loopback",
    "gain_privileges_by_exec",
    "hardlink_outside",
    "hear_of_a_process_by_its_queue",
    "hold_a_process",
    "limit_a_process",
    "list_the_cell",
    "list_the_sessions_keys",
    "lock_outside",
    "make_a_file_system",
    "open_anothers_files",
    "overwrite_outside",
    "pin_a_process",
    "read_a_process_environment",
    "read_a_process_memory",
    "read_a_process_memory_by_a_call",
    "read_another_agents_beat",
    "read_outside",
    "read_the_log_directory",
    "rename_outside",
    "run_a_program_from_memory",
    "see_a_process",
    "see_a_shared_memory",
    "see_shadow",
    "see_sys",
    "see_the_hosts_run",
    "see_the_hosts_var",
    "send_a_datagram_to_the_host",
    "send_a_descriptor_to_an_abstract_socket",
    "signal_a_process",
    "slow_a_process",
    "take_a_descriptor_of_a_process",
    "trace_a_process",
    "utime_outside",
    "walk_out_through_anothers_directory",
    "walk_out_through_anothers_root",
    "walk_up_from_the_workspace",
    "watch_the_machines_sockets",
    "write_another_agents_beat",
    "write_outside",
    "write_through_a_link",
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
# ZZ
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
    "join_a_process_namespaces",
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


OF_SOME_KERNELS = {
    "catch_page_faults",
    "compare_with_a_process",
    "fake_terminal_input",
    "make_a_vm_socket",
    "make_an_algorithm_socket",
    "make_an_io_uring",
    "use_the_calls_of_another_machine",
}
"""What the filter holds where the kernel offers it to everybody."""
OF_SOME_KERNELS_FOR_ROOT = {"load_a_bpf_program", "watch_the_machines_performance"}
"""What the filter holds where the kernel offers it to root."""
OF_SOME_MACHINES_FOR_ROOT = {
    "open_a_disk",
    "trigger_sysrq",
    "use_a_setuid_program",
    "write_a_cgroup",
}
"""What nothing but walls and a user of its own keep from root, where the machine has it."""
OF_SOME_MACHINES = OF_SOME_KERNELS | OF_SOME_KERNELS_FOR_ROOT | OF_SOME_MACHINES_FOR_ROOT
"""What this machine may have nothing of; where it has, it gets through without its layer too."""


def here(outside: Outside, names: set[str]) -> set[str]:
    """Which of these this machine has to offer to whoever tests, with no walls at all."""
    with services(outside) as host:
        facts = outside.facts(outside.nest.launch("true"), str(outside.nest.workspace), **host)
        return {name for name in names if tried(ATTEMPTS[name], facts)}


def test_what_the_filter_holds_gets_through_without_it_where_the_kernel_has_it(
    walls: Bubblewrap, scratch: str, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.nest.cell.chmod(0o755)
    with own_tree() as tree:
        bare = Bare(scratch, tree)
        offered = through(bare, outside, monkeypatch, *sorted(OF_SOME_KERNELS))
    if not offered:
        pytest.skip("this kernel offers none of it")
    outside.nest.log.unlink()
    without_filter(walls, monkeypatch)
    offered -= {"compare_with_a_process"}  # The pid namespace holds that one as well.
    assert through(walls, outside, monkeypatch, *sorted(offered)) == offered


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_the_filter_holds_for_root_gets_through_without_it_where_the_kernel_has_it(
    walls: Bubblewrap, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = here(outside, OF_SOME_KERNELS_FOR_ROOT)
    if not offered:
        pytest.skip("this kernel offers none of it")
    ROOTS_LAYERS["user of its own, no capabilities, user namespace"][0](walls, monkeypatch)
    assert through(walls, outside, monkeypatch, *sorted(offered)) == offered


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_without_walls_and_as_root_what_this_machine_has_is_there(
    scratch: str, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = here(outside, OF_SOME_MACHINES_FOR_ROOT)
    if not offered:
        pytest.skip("this machine has none of it")
    outside.nest.uid = None
    with own_tree() as tree:
        found = through(Bare(scratch, tree), outside, monkeypatch, *sorted(offered))
    assert found == offered


def test_the_terminal_of_the_daemon_is_left_behind(
    walls: Bubblewrap, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two sessions of its own: ours, and bubblewrap's; and it reads nothing of the daemon's."""
    ours, agents = os.openpty()
    leave = os.setsid

    def stay() -> None:
        leave()
        fcntl.ioctl(agents, termios.TIOCSCTTY, 0)

    monkeypatch.setattr(os, "setsid", stay)
    try:
        if os.geteuid() == 0:
            os.chown(os.ttyname(agents), outside.nest.uid or 0, -1)
        assert through(walls, outside, monkeypatch, "own_the_terminal") == set()
        outside.nest.log.unlink()
        without_argument("--new-session")(walls, monkeypatch)
        assert through(walls, outside, monkeypatch, "own_the_terminal") == {"own_the_terminal"}
    finally:
        os.close(ours)
        os.close(agents)


def test_the_input_of_the_daemon_is_read_by_who_gets_it(
    walls: Bubblewrap, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "devnull", str(outside.secret))
    found = through(walls, outside, monkeypatch, "read_from_the_daemons_input")
    assert found == {"read_from_the_daemons_input"}


ELSEWHERE = {"own_the_terminal", "read_from_the_daemons_input"}
"""Shown by a test of their own, just above."""

SHOWN = WITHOUT_WALLS.union(
    OF_THE_REVIEWER,
    THROUGH_A_HOLE,
    AS_ROOT,
    ELSEWHERE,
    *(layer[2] for layer in (LAYERS | ROOTS_LAYERS).values()),
)
"""Attempts that get through somewhere, so that they are known to be real."""
