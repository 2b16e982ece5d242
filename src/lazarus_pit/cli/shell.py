"""``lazarus shell``: a person inside the walls of an agent, or of a visitor to its cell."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Annotated, NoReturn

from cyclopts import Parameter
from msgspec.structs import replace

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.reviews import make_reviews
from lazarus_pit.cli import say, terminal
from lazarus_pit.cli.names import Found, find_cell
from lazarus_pit.cli.place import HERE, CellName, Place
from lazarus_pit.cli.pulse import feel
from lazarus_pit.cli.visiting import end, own_place, own_tree, visit
from lazarus_pit.config import Config
from lazarus_pit.core.model import Life, Role
from lazarus_pit.daemon.launching import launch_of
from lazarus_pit.daemon.openings import open_up
from lazarus_pit.errors import RefusedError, UsageError
from lazarus_pit.formats.manifest import Kind, Member, openings_of
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import choose, lives
from lazarus_pit.sandboxes.base import Launch


def shell(
    cell: CellName,
    agent: Annotated[str, Parameter(help="In whose walls; a visitor's where left out.")] = "",
    /,
    *,
    command: Annotated[
        str | None, Parameter(name=["--command", "-c"], help="Run this and return its exit code.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Open a shell inside the walls of an agent; its exit code is passed on."""
    config, pit = place.settings(), place.pit()
    found = find_cell(pit, cell)
    provision.refuse_ended(found.manifest)
    report = feel(pit).report
    with _ending_politely(), own_place(pit.nursery, found.paths) as own:
        launch = _launch(config, found, agent, own)
        with terminal.opened() as given, own_tree() as tree:
            chosen = choose.choose(tree, unsafe_no_sandbox=bool(report and report.unconfined))
            if chosen.unconfined:
                say.complain("UNCONFINED: the daemon runs without a sandbox, so does this shell")
            launch = replace(
                launch,
                argv=_argv(command, has_terminal=given.ours is not None),
                env=launch.env | _terminal_env(has_terminal=given.ours is not None),
                standard=given.standard,
                status_file=str(own.root / "status.json"),
                proxy=str(pit.egress) if launch.network == "allow" else "",
            )
            return _live(chosen.sandbox.spawn(launch), given.ours, tree)


def _member(found: Found, agent: str) -> Member:
    member = found.manifest.member(agent)
    if member is None:
        names = ", ".join(one.name for one in found.manifest.agents) or "nobody"
        raise UsageError(f"no agent {say.clean(agent, 80)!r} in this cell; there is {names}")
    if member.kind is Kind.HUMAN:
        raise RefusedError(f"{agent} is a person, and has no walls")
    return member


def _launch(config: Config, found: Found, agent: str, own: CellPaths) -> Launch:
    """The walls of an agent, with all that is opened to it; without a name those of a visitor."""
    if not agent:
        return visit(config, found, own, Role.DEVELOPER)
    member = _member(found, agent)
    provision.make_member(found.paths, member, config.owner)
    if member.role is Role.REVIEWER:
        make_reviews(found.paths, config.owner)
    launch = launch_of(config, found.paths, found.manifest, member)
    openings = openings_of(found.manifest, member, config.isolation.openings)
    return open_up(replace(launch, log_file=str(own.root / "log")), openings, config)


@contextlib.contextmanager
def _ending_politely() -> Iterator[None]:
    """Take everything down on SIGTERM and SIGHUP too."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _argv(command: str | None, *, has_terminal: bool) -> tuple[str, ...]:
    """The shell; on a terminal it leads a session whose terminal that is, as job control asks."""
    interactive = "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"
    words = ("/bin/sh", "-c", command) if command is not None else (interactive, "-i")
    leader = shutil.which("setsid", path=os.defpath) if has_terminal else None
    return (leader, "--ctty", "--wait", *words) if leader else words


def _terminal_env(*, has_terminal: bool) -> dict[str, str]:
    return {"TERM": os.environ.get("TERM", "dumb")} if has_terminal else {}


def _live(life: Life, ours: int | None, tree: cgroup.Tree | None) -> int:
    """Stay until the shell has ended, end what it left, and return its exit code."""
    ended = lives.open_pidfd(life)
    try:
        if ours is not None and ended is not None:
            terminal.carry(ours, ended)
        _, status = os.waitpid(life.pid, 0)
    finally:
        if ended is not None:
            os.close(ended)
        end(life, tree)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
