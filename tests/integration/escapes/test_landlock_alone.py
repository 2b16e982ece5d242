"""Landlock where bubblewrap is missing: it has the gaps that it names, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.escapes.trying import OPEN_WITH_HOST_NETWORK, through
from launching import open_way, own_tree
from lazarus_pit.core.model import Role
from lazarus_pit.linux import landlock as kernel
from lazarus_pit.linux import seccomp
from lazarus_pit.sandboxes import landlock
from lazarus_pit.sandboxes.base import Network
from outside import Outside

LANDLOCKS_GAPS = {
    "chmod_outside",
    "utime_outside",
    "hold_a_process",
    "see_a_process",
    "see_host_keys",
    "see_shadow",
    "see_sys",
    "see_the_hosts_name",
    "see_the_hosts_var",
    "watch_the_machines_sockets",
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
        gaps = LANDLOCKS_GAPS | ({"see_its_place_among_cgroups"} if tree else set())
    expected = gaps | (OPEN_WITH_HOST_NETWORK if network == "host" else set())
    if role in (Role.OBSERVER, Role.REVIEWER):
        expected |= {"change_a_mode_where_the_role_may_not"}
    assert found == expected


UNDER_FILE_RULES = {
    "write_outside",
    "overwrite_outside",
    "rename_outside",
    "write_through_a_link",
    "lock_outside",
    "read_outside",
    "write_another_agents_beat",
    "walk_up_from_the_workspace",
}
UNDER_ITS_FILTER = {
    "connect_to_a_named_socket",
    "limit_a_process",
    "pin_a_process",
    "see_a_shared_memory",
    "send_a_datagram_to_the_host",
    "slow_a_process",
}


@pytest.mark.parametrize("layer", ["file rules", "filter"])
def test_what_landlock_alone_holds_gets_through_without_it(
    scratch: str, outside: Outside, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    if fault := landlock.why_not():
        pytest.skip(fault)
    open_way(Path(scratch))
    outside.nest.cell.chmod(0o755)
    expected = UNDER_FILE_RULES if layer == "file rules" else UNDER_ITS_FILTER
    if layer == "filter":
        monkeypatch.setattr(seccomp, "program_without_namespaces", lambda **_: None)
    else:
        monkeypatch.setattr(landlock, "rules", lambda *_: [("/", kernel.WRITE | kernel.DEVICE)])
    with own_tree() as tree:
        walls = landlock.Landlock(scratch, tree)
        assert through(walls, outside, monkeypatch, *sorted(expected)) == expected


SHOWN = LANDLOCKS_GAPS | UNDER_FILE_RULES | UNDER_ITS_FILTER
"""Attempts that get through somewhere, so that they are known to be real."""
