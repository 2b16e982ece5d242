"""What ``lazarus doctor`` looks at: one small function a check, each with what is lost without."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli.channels import states
from lazarus_pit.cli.pulse import feel, headline
from lazarus_pit.config import Config
from lazarus_pit.linux import cgroup, controllers, landlock

WATCHES_AN_AGENT = 3
"""inotify watches that one agent needs: its beats, its first output, its cell's manifest."""
FILES_AN_AGENT = 3
"""Descriptors that one agent needs: its pidfd, its socket, one to spare."""
FLEET = 1000
"""The fleet that the limits are measured against."""
SCOPES = 6
"""The version of Landlock that keeps signals and abstract sockets inside."""
ROOM, LITTLE_ROOM = 100 * 2**20, 2**30
"""Bytes of free disk below which records cannot be kept, and below which it is worth a word."""
LEAST_PIDS = 32768


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


class Check(Struct, frozen=True, kw_only=True):
    """One finding: what was looked at, what was found, and what follows where it is not good."""

    name: str
    verdict: Verdict
    found: str
    means: str = ""


def passed(name: str, found: str) -> Check:
    """Return a check with nothing to say but what was found."""
    return Check(name=name, verdict=Verdict.OK, found=found)


def degraded(name: str, found: str, means: str) -> Check:
    """Return a check without which the pit does less."""
    return Check(name=name, verdict=Verdict.DEGRADED, found=found, means=means)


def failed(name: str, found: str, means: str) -> Check:
    """Return a check without which the pit does not work."""
    return Check(name=name, verdict=Verdict.FAILED, found=found, means=means)


# ---------------------------------------------------------------- the kernel


def pidfd() -> Check:
    """Whether a process can be held by a descriptor (Linux 5.3)."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return failed("pidfd", str(error.strerror), "a death cannot be noticed when it happens")
    return passed("pidfd", f"Linux {os.uname().release}")


def cgroups() -> Check:
    """Whether each life can have a cgroup of its own."""
    name = f"doctor-{os.getpid()}-{time.monotonic_ns()}"
    tree, note = cgroup.find_tree(name)
    if tree is None:
        return degraded(
            "cgroup v2",
            note,
            "a life is ended and frozen process by process, and proved gone by its pid namespace",
        )
    cgroup.remove_tree(tree)
    return passed("cgroup v2", f"writable at {Path(tree.path).parent}")


def limits() -> Check:
    """Which cgroup controllers can limit an agent, and what is done without the others."""
    name = f"doctor-{os.getpid()}-{time.monotonic_ns()}"
    tree, _ = cgroup.find_tree(name)
    usable, missing = controllers.find(tree)
    if tree is not None:
        cgroup.remove_tree(tree)
    have = [f"{one.name} by cgroup v{one.version}" for one in usable.values()]
    found = ", ".join([*have, *(f"no {name}: {why}" for name, why in missing.items())])
    if not missing:
        return passed("limits of agents", found)
    means = {
        "memory": "memory_mb binds each process, not the agent",
        "pids": "pids binds an agent only in bubblewrap, and is not told",
        "cpu": "cpu_percent is not in force",
    }
    return degraded("limits of agents", found, "; ".join(means[name] for name in missing))


def landlocked() -> Check:
    """Whether the kernel keeps signals and abstract sockets inside."""
    version = landlock.abi()
    if version >= SCOPES:
        return passed("Landlock", f"version {version}")
    found = f"version {version}" if version else "not in this kernel"
    return degraded(
        "Landlock", found, "signals and abstract sockets are kept in by namespaces alone"
    )


def user_namespaces() -> Check:
    """Whether a switch of the system forbids them; the sandbox's trial has the last word."""
    switches = (
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
        ("kernel.unprivileged_userns_clone", "0"),
        ("user.max_user_namespaces", "0"),
    )
    against = [f"{name} is {bad}" for name, bad in switches if _sysctl(name) == bad]
    if against:
        means = f"an ordinary user has no sandbox; `sysctl {against[0].split()[0]}` decides"
        return degraded("user namespaces", ", ".join(against), means)
    return passed("user namespaces", f"up to {_sysctl('user.max_user_namespaces') or 'any number'}")


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def watches() -> Check:
    """Whether inotify has enough to give for a large fleet."""
    most = _sysctl("fs.inotify.max_user_watches")
    instances = _sysctl("fs.inotify.max_user_instances")
    found = f"{most or '?'} watches, {instances or '?'} instances"
    agents = int(most) // WATCHES_AN_AGENT if most.isdecimal() else 0
    if agents >= FLEET:
        return passed("inotify", found)
    return degraded(
        "inotify",
        found,
        f"beyond some {agents} agents beats are polled: raise fs.inotify.max_user_watches",
    )


def processes() -> Check:
    """Whether there are numbers enough for processes, and descriptors enough for the daemon."""
    pids = _sysctl("kernel.pid_max")
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"pid_max {pids or '?'}, {files} open files"
    if pids.isdecimal() and int(pids) < LEAST_PIDS:
        return degraded(
            "limits", found, "a large fleet runs out of process numbers: kernel.pid_max"
        )
    if files != resource.RLIM_INFINITY and files < FLEET * FILES_AN_AGENT:
        agents = files // FILES_AN_AGENT
        return degraded("limits", found, f"good for some {agents} agents: raise `ulimit -Hn`")
    return passed("limits", found)


KERNEL: tuple[Callable[[], Check], ...] = (
    pidfd,
    cgroups,
    limits,
    landlocked,
    user_namespaces,
    watches,
    processes,
)


# ---------------------------------------------------------------- the place


def configuration(config: Config) -> Check:
    """Which file holds; that it is right was checked when it was read."""
    if config.found:
        return passed("configuration", str(config.path))
    return passed("configuration", f"no {config.path}: every setting is at its default")


def root(config: Config) -> Check:
    """Whether cells can be made below the root."""
    place = _nearest(config.root)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        made = "" if place == config.root else ", made when it is needed"
        return passed("root", f"{config.root} is writable{made}")
    why = "not writable by this user" if place.is_dir() else "a file, expected a directory"
    return failed("root", f"{place} is {why}", "no cell can be made or watched")


def disk(config: Config) -> Check:
    """Whether there is room for records."""
    free = shutil.disk_usage(_nearest(config.root)).free
    found = f"{free / 2**30:.1f} GiB free below {config.root}"
    if free < ROOM:
        return failed(
            "disk", found, "records cannot be kept: supervision goes on from memory alone"
        )
    if free < LITTLE_ROOM:
        return degraded("disk", found, "logs and work may soon find no room")
    return passed("disk", found)


def files(config: Config) -> Check:
    """Whether the daemon can write its log and its PID file."""
    wanted = {"log": config.log_file, "PID file": config.pid_file}
    refused = [
        f"{name} {path}"
        for name, path in wanted.items()
        if path is not None and not os.access(_nearest(path), os.W_OK)
    ]
    if not refused:
        return passed("daemon's files", f"log {config.log_file or 'to stdout'}, {config.pid_file}")
    return failed(
        "daemon's files", f"not writable: {', '.join(refused)}", "set them under [daemon]"
    )


def daemon(config: Config) -> Check:
    """Whether somebody watches; that nobody does is no fault of the machine."""
    pit = PitPaths(config.root)
    return passed("daemon", headline(pit, feel(pit)))


def people(config: Config) -> Check:
    """Which ways there are to people, and how they are."""
    found = states(config)
    if not found:
        return passed("channels", "none is configured: requests wait for `lazarus approve`")
    ill = [f"{one.name}: {one.found}" for one in found if not one.well]
    names = [f"{one.name} as {one.known_as}" if one.known_as else one.name for one in found]
    if ill and feel(PitPaths(config.root)).up:
        return degraded("channels", "; ".join(ill), "nobody is asked there")
    return passed("channels", ", ".join(names))


def forge(config: Config) -> Check:
    """Whether incidents can be told, and how answers to them are heard."""
    gitea = config.gitea
    if gitea.missing:
        if not (gitea.url or gitea.repo or gitea.token):
            return passed("forge", "none is configured: deaths are told in the journal alone")
        return degraded("forge", f"[gitea] {gitea.missing} is missing", "no incident is told there")
    # Gitea calls no loopback or private address unless told to (webhook.ALLOWED_HOST_LIST), so
    # that a webhook to a pit beside it would stay silent: asking always works.
    heard = f"asked every {gitea.poll_interval:g} s, since a Gitea calls no loopback by default"
    if gitea.webhook_port:
        heard += f"; it may call port {gitea.webhook_port} if its ALLOWED_HOST_LIST has loopback"
    return passed("forge", f"{gitea.url} {gitea.repo}, {heard}")


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest directory above it that is there, as far as we may look."""
    above = (path, *path.absolute().parents)
    return next(place for place in above if os.path.exists(place))  # Raises nothing.


PLACE: tuple[Callable[[Config], Check], ...] = (
    configuration,
    root,
    disk,
    files,
    daemon,
    people,
    forge,
)
