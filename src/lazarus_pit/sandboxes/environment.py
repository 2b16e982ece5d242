"""The environment of an agent: made from nothing, so that nothing of the daemon's is in it."""

from __future__ import annotations

import os
from typing import NamedTuple

from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.egress import hand


class Places(NamedTuple):
    """Where an agent finds things, by the names that hold where it runs."""

    cell: str
    home: str
    heartbeats: str
    published: str
    inbox: str
    outbox: str
    temporary: str
    path: tuple[str, ...]
    library: str
    """Holds the package, for agents in Python that beat from within."""


def outside(launch: Launch, path: tuple[str, ...], library: str) -> Places:
    """The places of an agent that sees the host's own file system."""
    return Places(
        cell=os.path.dirname(launch.workspace),
        home=launch.home,
        heartbeats=launch.heartbeat_dir,
        published=launch.pub_dir,
        inbox=launch.inbox,
        outbox=launch.outbox,
        temporary=launch.home,
        path=path,
        library=library,
    )


def environment(launch: Launch, places: Places, user: str = "agent") -> dict[str, str]:
    """All variables of an agent; what the launch adds wins, but never over ours."""
    told = {
        "PATH": ":".join(places.path),
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/sh",
        "TMPDIR": places.temporary,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONPATH": places.library,
    }
    fixed = {
        "HOME": places.home,
        "LAZARUS_CELL_UUID": launch.uuid,
        "LAZARUS_CELL": places.cell,
        "LAZARUS_AGENT": launch.agent,
        "LAZARUS_ROLE": str(launch.role),
        "LAZARUS_GENERATION": str(launch.generation),
        "LAZARUS_HEARTBEAT_FILE": f"{places.heartbeats}/{launch.agent}.json",
        "LAZARUS_INBOX": places.inbox,
        "LAZARUS_OUTBOX": places.outbox,
        "NOTIFY_SOCKET": f"{places.published}/notify.sock",
    }
    if launch.credentials:
        fixed["LAZARUS_CREDENTIALS"] = f"{places.cell}/.credentials"
    proxied = hand.environment() if launch.network == "allow" else {}
    return told | proxied | launch.env | fixed
