"""The birth and the end of a cell, and who belongs to it (contract 1.9).

Everything in a cell is the daemon's but four places: ``workspace/``, and per agent its home, its
outbox and its heartbeat directory. These belong to the agents' own user where the daemon is
root, so that what runs in a sandbox is nobody on this machine. No home outside the cell is ever
touched.
"""

from __future__ import annotations

import os
import secrets
import time
import uuid as uuids
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from lazarus_pit.cells import ownership
from lazarus_pit.cells.files import durably, sync_all, sync_directory
from lazarus_pit.cells.journal import append_events
from lazarus_pit.cells.layout import MANIFEST, CellPaths, PitPaths
from lazarus_pit.cells.ownership import allotted, give, owner_in
from lazarus_pit.cells.remove import empty_tree, remove_tree
from lazarus_pit.cells.store import publish_manifest, read_manifest, update_manifest, write_manifest
from lazarus_pit.core.model import CellStatus, Seconds
from lazarus_pit.errors import RefusedError
from lazarus_pit.formats import manifest
from lazarus_pit.formats.envelope import ADDRESSES
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Kind, Manifest, Member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

AGENT_ID = ownership.AGENT_ID
Owner = ownership.Owner
agent_owner = ownership.agent_owner

TRANSITIONS: Mapping[CellStatus, tuple[CellStatus, ...]] = {
    CellStatus.ACTIVE: (CellStatus.FROZEN, CellStatus.ARCHIVED),
    CellStatus.FROZEN: (CellStatus.ACTIVE, CellStatus.ARCHIVED),
    CellStatus.ARCHIVED: (CellStatus.DESTROYED,),
    CellStatus.DESTROYED: (),
}
"""From where to where a cell may go; anything else is refused."""

EVENTS: Mapping[CellStatus, str] = {
    CellStatus.ACTIVE: "cell_thawed",
    CellStatus.FROZEN: "cell_frozen",
    CellStatus.ARCHIVED: "cell_archived",
    CellStatus.DESTROYED: "cell_destroyed",
}

LEFT_OVER: Seconds = 86_400.0
"""Age from which something in the nursery is nobody's work any more."""


def create_cell(
    root: Path,
    wanted: Manifest,
    owner: Owner,
    *,
    invited: bool = False,
    fill: Callable[[CellPaths], Iterable[Event]] | None = None,
) -> CellPaths:
    """Provision a cell; it appears below the root whole or not at all.

    Args:
        root: where the cells are; made if it does not exist.
        wanted: the manifest; make its uuid with ``new_uuid``.
        owner: whom the agents run as; of several the cell gets one of its own.
        invited: its members are only invited; else they have joined at once.
        fill: puts what is to be in it from the start into it before anybody sees it, and returns
            how its journal begins.

    Raises:
        RefusedError: there is such a cell already, or a member has a name of the daemon's.
        FormatError: the manifest could not be read back.
        StoreError: the operating system refused; nothing is left behind.
    """
    for member in wanted.agents:
        refuse_reserved(member.name)
    paths, nursery = CellPaths(root, wanted.uuid), PitPaths(root).nursery
    if os.path.lexists(paths.cell):
        raise RefusedError(f"{paths.cell}: there is such a cell already")
    now = to_rfc3339(time.time())
    dated = tuple(
        replace(m, joined_at=m.joined_at or ("" if invited else now)) for m in wanted.agents
    )
    wanted = replace(wanted, created_at=wanted.created_at or now, agents=dated)
    manifest.parse(manifest.encode(wanted))
    # A name of its own, so that the files of one attempt are never mixed with another's.
    unborn = CellPaths(nursery / secrets.token_hex(8), wanted.uuid)
    with durably("cannot be created", paths.cell):
        try:
            unborn.root.mkdir(parents=True)
            with allotted(root, owner) as own:
                _make_cell(unborn, own)
            for member in wanted.agents:
                make_member(unborn, member, own)
            write_manifest(unborn, wanted)
            publish_manifest(unborn, wanted)
            told = list(fill(unborn)) if fill else _birth(wanted)
            append_events(unborn.events, told, durable=True)
            if fill:
                if owner.users > 1:
                    give(unborn, own)
                sync_all(unborn.cell)
            unborn.cell.rename(paths.cell)
            sync_directory(root)
        finally:
            with suppress(OSError):
                remove_tree(unborn.root)
    return paths


def new_uuid() -> str:
    """Return a fresh version-4 UUID for a cell."""
    return str(uuids.uuid4())


def _birth(born: Manifest) -> list[Event]:
    created = _event("cell_created", by=born.created_by, uuid=born.uuid)
    return [
        created,
        *(joined(member, **_signed(born.created_by)) for member in born.agents if member.joined_at),
    ]


def _make_cell(paths: CellPaths, owner: Owner) -> None:
    """Make the directories that every cell has."""
    for path, mode in (
        (paths.cell, 0o755),
        (paths.logs, 0o755),
        (paths.checkpoints, 0o700),
        (paths.inboxes, 0o755),
        (paths.outboxes, 0o755),
        (paths.private, 0o755),
        (paths.heartbeats, 0o755),
        (paths.homes, 0o711),
        (paths.runs, 0o711),
    ):
        _make_directory(path, mode)
    _make_directory(paths.workspace, 0o770, owner)


def make_member(paths: CellPaths, member: Member, owner: Owner) -> None:
    """Make what a member needs in the cell; what is there already stays as it is.

    Raises:
        OSError: a directory could not be made.
    """
    name, owner = member.name, owner_in(paths, owner)
    _make_directory(paths.inbox(name), 0o755)
    _make_directory(paths.outbox(name), 0o700, owner)
    if member.kind is Kind.HUMAN:
        return
    _make_directory(paths.home(name), 0o700, owner)
    _make_directory(paths.run(name), 0o711)
    _make_directory(paths.beats(name), 0o700, owner)
    _make_directory(paths.published(name), 0o755)
    _make_directory(paths.statuses(name), 0o700)


def make_newcomer(paths: CellPaths, member: Member, owner: Owner) -> None:
    """Make what somebody needs of whose name nobody is a member now.

    What one of that name has left unsent is not sent in the name, and with the role, of another.

    Raises:
        OSError: a directory could not be made, or emptied.
    """
    with suppress(FileNotFoundError):
        empty_tree(paths.outbox(member.name))
    make_member(paths, member, owner)


def _make_directory(path: Path, mode: int, owner: Owner | None = None) -> None:
    """Make a directory of exactly this mode and owner, or leave alone the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode)
    except FileExistsError:
        return
    path.chmod(mode)  # Whatever the umask of the person is.
    if owner is not None and os.geteuid() == 0:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def add_member(paths: CellPaths, member: Member, owner: Owner, by: str = "") -> Manifest:
    """Let a member join; the daemon sees the manifest change and starts what is to be started.

    ``by`` says who let it in.

    Raises:
        RefusedError: the name is taken, or the cell has ended.
        FormatError: the manifest cannot be read, or would not be right.
        StoreError: the operating system refused.
    """
    member = replace(member, joined_at=member.joined_at or to_rfc3339(time.time()))
    refuse_reserved(member.name)

    def join(old: Manifest) -> Manifest:
        refuse_ended(old)
        if old.member(member.name) is not None:
            raise RefusedError(f"cell {old.uuid}: {member.name} is a member already")
        with durably("cannot be made", paths.run(member.name)):
            make_newcomer(paths, member, owner)
        return manifest.with_member(old, member)

    written = update_manifest(paths, join)
    append_events(paths.events, [joined(member, **_signed(by))], durable=True)
    return written


def remove_member(paths: CellPaths, name: str, by: str = "") -> Manifest:
    """Let a member leave; the daemon ends what runs. Its directories stay with the cell.

    ``by`` says who took it out, where it did not leave by itself.

    Raises:
        RefusedError: there is no such member, or the cell has ended.
        FormatError: the manifest cannot be read.
        StoreError: the operating system refused.
    """

    def leave(old: Manifest) -> Manifest:
        refuse_ended(old)
        if old.member(name) is None:
            raise RefusedError(f"cell {old.uuid}: there is no member {name}")
        return manifest.without_member(old, name)

    written = update_manifest(paths, leave)
    append_events(paths.events, [_event("agent_left", name, **_signed(by))], durable=True)
    return written


def refuse_reserved(name: str) -> None:
    """Pass a name that a member may have.

    Raises:
        RefusedError: it is the daemon's own address on the bus.
    """
    if name in ADDRESSES:
        raise RefusedError(f"{name} is the daemon's own address, expected another name")


def refuse_ended(found: Manifest) -> None:
    """Pass a cell in which there is still something to do.

    Raises:
        RefusedError: it is archived or destroyed.
    """
    if found.status in (CellStatus.ARCHIVED, CellStatus.DESTROYED):
        called = found.name or found.uuid
        raise RefusedError(f"cell {called} is {found.status}: nothing in it changes any more")


def move_cell(paths: CellPaths, to: CellStatus, by: str = "") -> Manifest:
    """Take a cell to another status: freeze, thaw or archive it.

    Raises:
        RefusedError: the table does not allow it from where the cell is.
        FormatError: the manifest cannot be read.
        StoreError: the operating system refused.
    """

    def move(old: Manifest) -> Manifest:
        if to not in TRANSITIONS[old.status]:
            allowed = " or ".join(TRANSITIONS[old.status]) or "nothing else"
            why = "already" if old.status is to else f"and cannot become {to}, only {allowed}"
            raise RefusedError(f"cell {old.name or old.uuid} is {old.status} {why}")
        return replace(old, status=to)

    written = update_manifest(paths, move)
    append_events(paths.events, [_event(EVENTS[to], **_signed(by))], durable=True)
    return written


def destroy_cell(
    paths: CellPaths,
    *,
    force: bool = False,
    removed: Callable[[int], None] = lambda _: None,
    by: str = "",
) -> None:
    """Remove a cell for good. Its agents must have ended.

    The manifest says ``destroyed`` first and goes last, so that a destruction that was cut short
    is never taken for a living cell and can be asked for again.

    Args:
        paths: the cell.
        force: also from ``active`` or ``frozen``, by way of ``archived``.
        removed: called now and then with how many more names have gone.
        by: who wants it.

    Raises:
        RefusedError: the cell is not archived.
        FormatError: the manifest cannot be read.
        StoreError: something could not be removed.
    """
    status = read_manifest(paths).status
    if force and status in (CellStatus.ACTIVE, CellStatus.FROZEN):
        status = move_cell(paths, CellStatus.ARCHIVED, by).status
    if status is not CellStatus.DESTROYED:
        move_cell(paths, CellStatus.DESTROYED, by)
    with durably("cannot be removed", paths.cell):
        empty_tree(paths.cell, MANIFEST, removed)
        # It goes with its last word in one step: without a manifest nobody could ask again.
        dying = PitPaths(paths.root).nursery / secrets.token_hex(8)
        dying.parent.mkdir(parents=True, exist_ok=True)
        paths.cell.rename(dying)
        sync_directory(paths.root)
        remove_tree(dying)


def tidy(root: Path, older_than: float = LEFT_OVER) -> None:
    """Remove what a crash left of cells that were being made or removed, once it is old enough.

    Raises:
        StoreError: it could not be removed.
    """
    nursery = PitPaths(root).nursery
    with durably("cannot be tidied", nursery):
        for left in nursery.iterdir() if nursery.is_dir() else ():
            if time.time() - left.lstat().st_mtime >= older_than:
                remove_tree(left)


def joined(member: Member, **data: Any) -> Event:
    """Return the event that a member has joined."""
    return _event("agent_joined", member.name, role=member.role.value, **data)


def note_order(paths: CellPaths, name: str, order: str, by: str) -> None:
    """Write down who wants an agent stopped, started or revived.

    Raises:
        StoreError: the journal refuses.
    """
    line = _event("agent_ordered", name, order=order, **_signed(by))
    append_events(paths.events, [line], durable=True)


def _signed(by: str) -> dict[str, str]:
    return {"by": by} if by else {}


def _event(name: str, agent: str | None = None, /, **data: Any) -> Event:
    return Event(ts=to_rfc3339(time.time(), 3), event=name, agent=agent, data=data)
