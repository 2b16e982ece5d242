"""The outside, as an agent may try to get at it: files, processes, sockets, secrets."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launching import Nest
from lazarus_pit import beat
from lazarus_pit.core.model import Role
from lazarus_pit.sandboxes import inside
from lazarus_pit.sandboxes.base import Launch

_IPC_CREAT, _IPC_RMID = 0o1000, 0


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

    def facts(self, launch: Launch, workspace: str, **more: object) -> dict[str, Any]:
        """What the agent is told: everything, so that it need not guess."""
        mounted = workspace == inside.WORKSPACE
        return {
            "outside": str(self.place),
            "secret": str(self.secret),
            "cell": str(self.nest.cell),
            "manifest": f"{inside.CELL}/cell.json"
            if mounted
            else str(self.nest.cell / "cell.json"),
            "inbox": f"{inside.CELL}/bus/inbox/{launch.agent}" if mounted else launch.inbox,
            **self._of_the_role(launch, workspace),
            "others_beat": str(self.others_beat),
            "status": launch.status_file,
            "package": f"{inside.OURS}/lib/lazarus_pit/beat.py" if mounted else beat.__file__,
            "hostname": os.uname().nodename,
            **more,
        }

    def _of_the_role(self, launch: Launch, workspace: str) -> dict[str, list[str]]:
        """Which directories of the workspace are closed to it, with a file in each, which open."""
        reviews = f"{workspace}/reviews"
        closed, opened = {
            Role.OBSERVER: ([workspace, reviews], []),
            Role.REVIEWER: ([workspace], [reviews]),
        }.get(launch.role, ([], [workspace]))
        self.nest.workspace.joinpath("reviews").mkdir(exist_ok=True)
        for place in (self.nest.workspace, self.nest.workspace / "reviews"):
            (place / "work").write_text("of others")
            if self.nest.uid is not None:
                os.chown(place, self.nest.uid, self.nest.uid)
                os.chown(place / "work", self.nest.uid, self.nest.uid)
        return {"closed": closed, "open": opened}


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
        stack.callback((outside.place / "socket").unlink)
        (outside.place / "socket").chmod(0o666)
        named.listen()
        queue = f"/{name}"
        stack.callback(os.close, libc.mq_open(queue.encode(), os.O_RDWR | os.O_CREAT, 0o666, None))
        stack.callback(libc.mq_unlink, queue.encode())
        threading.Thread(target=_answer, args=(udp,), daemon=True).start()
        segment = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
        stack.callback(libc.shmctl, segment, _IPC_RMID, None)
        victim = subprocess.Popen(
            ["sh", "-c", "read victim"],
            stdin=subprocess.PIPE,
            stdout=stack.enter_context(outside.secret.open()),
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
            "queue": queue,
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
