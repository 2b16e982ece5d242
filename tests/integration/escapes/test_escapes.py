"""An agent that tries gets nowhere; and each wall is the one that stops what it is there for.

The package ``attempts`` runs inside. First with every layer: nothing may get through. Then with
one layer taken away: what it was there for gets through, so each attempt is known to be a real one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import attempts
from attempts import __main__ as everything
from attempts import registry
from launching import Nest, own_tree, run
from lazarus_pit.core.model import Exit, Role
from lazarus_pit.errors import SpawnError
from lazarus_pit.sandboxes import bubblewrap, environment, inside, steps
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Launch, Network, Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap

ATTEMPTS = Path(attempts.__file__).parent
_IPC_CREAT, _IPC_RMID = 0o1000, 0


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


class Outside:
    """What there is to be got at; all of it belongs to the agent's user, so only walls hold."""

    def __init__(self, nest: Nest, base: Path) -> None:
        self.nest = nest
        self.place = base / "outside"
        self.place.mkdir()
        self.secret = self.place / "secret.txt"
        self.secret.write_text("hunter2")
        self.others_beat = nest.cell / "hb-bob" / "bob.json"
        self.others_beat.parent.mkdir()
        self.others_beat.write_text("{}")
        if nest.uid is not None:
            for path in (self.place, self.secret, self.others_beat.parent, self.others_beat):
                os.chown(path, nest.uid, nest.uid)

    def facts(self, launch: Launch, **more: object) -> dict[str, Any]:
        """What the agent is told: everything, so that it need not guess."""
        return {
            "outside": str(self.place),
            "secret": str(self.secret),
            "cell": str(self.nest.cell),
            "manifest": f"{inside.CELL}/cell.json",
            "inbox": f"{inside.CELL}/bus/inbox/{launch.agent}",
            "others_beat": str(self.others_beat),
            "status": launch.status_file,
            **more,
        }


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        with contextlib.suppress(PermissionError):
            directory.chmod(0o755)
    return Outside(Nest(tmp_path), tmp_path)


@contextlib.contextmanager
def services(outside: Outside) -> Iterator[dict[str, object]]:
    """A process, sockets and shared memory of the host, for the agent to get at."""
    uid = outside.nest.uid
    name = f"pit-{uuid.uuid4().hex}"
    key = uuid.uuid4().int & 0x3FFFFFFF
    libc = ctypes.CDLL(None)
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind("\0" + name)
        abstract.listen()
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        named.bind(str(outside.place / "socket"))
        (outside.place / "socket").chmod(0o666)
        named.listen()
        threading.Thread(target=_answer, args=(udp,), daemon=True).start()
        segment = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
        stack.callback(libc.shmctl, segment, _IPC_RMID, None)
        victim = subprocess.Popen(
            ["sh", "-c", "read victim"],
            stdin=subprocess.PIPE,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )
        stack.callback(victim.communicate)
        yield {
            "port": tcp.getsockname()[1],
            "udp_port": udp.getsockname()[1],
            "abstract": name,
            "socket": str(outside.place / "socket"),
            "shm_key": key,
            "victim": victim.pid,
        }
        udp.sendto(b"", udp.getsockname())


def _answer(udp: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, sender = udp.recvfrom(64)
            if not data:
                return
            udp.sendto(b"heard", sender)


@contextlib.contextmanager
def careless(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A daemon with a token in its environment and a directory left open for its children."""
    monkeypatch.setenv("PIT_TEST_TOKEN", "hunter2")
    fd = os.open(outside.place, os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        yield
    finally:
        os.close(fd)


def through(
    walls: Sandbox,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    *only: str,
    role: Role = Role.DEVELOPER,
    network: Network = "none",
) -> set[str]:
    """The attempts that get through."""
    nest = outside.nest
    place = nest.home if walls.name == "none" else Path(inside.HOME)
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
    launch = replace(launch, env={"PYTHONPATH": str(place)})
    with services(outside) as host, careless(outside, monkeypatch):
        (nest.home / "facts.json").write_text(json.dumps(outside.facts(launch, **host)))
        assert run(walls, launch) == Exit(code=0), nest.said()
    found = json.loads(nest.said().splitlines()[-1])
    return {name for name, got_through in found.items() if got_through}


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.OBSERVER])
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


def test_the_hosts_network_opens_the_network_alone(
    walls: Bubblewrap,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert through(walls, outside, monkeypatch, network="host") == OPEN_WITH_HOST_NETWORK


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
    "read_shadow",
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


def test_an_agent_is_never_root(walls: Bubblewrap, outside: Outside) -> None:
    launch = replace(outside.nest.launch("true"), uid=0, gid=0)
    with pytest.raises(SpawnError, match="must not run as root") as caught:
        walls.spawn(launch)
    assert caught.value.fatal


def test_there_are_attempts_enough() -> None:
    assert len(everything.MODULES) == 5
    assert len(registry.ATTEMPTS) >= 60
    shown = WITHOUT_WALLS.union(*(layer[2] for layer in (LAYERS | ROOTS_LAYERS).values()))
    assert shown <= set(registry.ATTEMPTS)
