"""The launcher's side: a network of the cell's own, and its listening sockets in the proxy's hands.

Everything here runs in a child, after the fork and before bubblewrap.
"""

from __future__ import annotations

import os
import socket

import msgspec

from lazarus_pit.errors import SpawnError
from lazarus_pit.formats.allowlist import PROXY_PORT
from lazarus_pit.linux import netns, spawn, unix_sockets
from lazarus_pit.linux.spawn import Program, Step
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.egress.messages import MAX_BYTES, Done, Take, decode, encode

PATIENCE = 10.0
"""Seconds in which the proxy must take over; it may just be starting."""


def environment() -> dict[str, str]:
    """The variables by which programs find the proxy; forwarded ports are reached without it."""
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    spelled = {spelling: proxy for name in names for spelling in (name, name.lower())}
    direct = "localhost,127.0.0.1,::1"
    return {**spelled, "NO_PROXY": direct, "no_proxy": direct, "NODE_USE_ENV_PROXY": "1"}


def explain(launch: Launch) -> list[str]:
    """Say where a launch may go under network mode ``allow``, one a line; nothing otherwise."""
    if launch.network != "allow":
        return []
    reached = ", ".join(launch.allow) or "nothing"
    ports = ", ".join(map(str, launch.forward)) or "none"
    return [
        f"network: its own loopback; a proxy at 127.0.0.1:{PROXY_PORT} lets out to {reached}",
        f"ports of the host's loopback that are on it too: {ports}",
    ]


def refuse_without_namespaces(launch: Launch, sandbox: str) -> None:
    """Refuse network mode ``allow`` for a sandbox that cannot give a network of its own.

    Raises:
        SpawnError: fatal; a proxy variable is a request, not a wall.
    """
    if launch.network == "allow":
        raise SpawnError(
            f"{launch.key}: network mode allow needs namespaces, and sandbox {sandbox} has none: "
            "install bubblewrap, or set its network to none or host",
            fatal=True,
        )


def connect(launch: Launch) -> socket.socket:
    """Return a connection to the proxy that is to serve a launch.

    Raises:
        SpawnError: there is none.
    """
    try:
        return unix_sockets.connect(launch.proxy, PATIENCE)
    except OSError as error:
        reason = f"its egress proxy cannot be reached: {error.strerror}"
        raise SpawnError(f"{launch.key}: {reason}") from error


def steps(launch: Launch, connection: socket.socket) -> list[Step]:
    """What the child does: leave the host's network, and hand over its own."""
    take = take_of(launch)
    return [
        Step("a network of its own", netns.leave_network),
        Step("the egress proxy", lambda: _hand(connection, take, os.pidfd_open(os.getpid()))),
    ]


def again(proxy: str, take: Take, pidfd: int) -> None:
    """Hand the network of a running life to a new proxy; ``pidfd`` is of its main process.

    Raises:
        OSError: its network cannot be entered, a port is taken, or the proxy refused.
    """
    with unix_sockets.connect(proxy, PATIENCE) as connection:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            pid = spawn.forked(
                Program(("true",), {}, "/bin/true"),
                (nothing, nothing, nothing),
                [
                    Step("its network", lambda: netns.enter_network_of(pidfd)),
                    Step("the egress proxy", lambda: _hand(connection, take, pidfd)),
                ],
            )
        finally:
            os.close(nothing)
        os.waitpid(pid, 0)


def take_of(launch: Launch) -> Take:
    """What the proxy is told of a launch."""
    return Take(
        key=launch.key,
        agent=launch.agent,
        generation=launch.generation,
        allow=launch.allow,
        forward=launch.forward,
    )


def _hand(connection: socket.socket, take: Take, pidfd: int) -> None:
    listeners = [netns.listen_inside(port) for port in (PROXY_PORT, *take.forward)]
    fds = [pidfd, *(listener.fileno() for listener in listeners)]
    socket.send_fds(connection, [encode(take)], fds)
    answer = connection.recv(MAX_BYTES)
    try:
        done = decode(answer)
    except msgspec.MsgspecError as error:
        raise OSError(0, f"it said something else: {error}") from error
    if not isinstance(done, Done) or done.fault:
        raise OSError(0, f"it refused: {done}")
