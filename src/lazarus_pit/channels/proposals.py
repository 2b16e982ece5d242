"""An issue with the label ``mission-approved`` becomes a cell, once, and is told so.

What is known of an issue stands in the records before the cell is made, its UUID included: whoever
dies in between goes on with that very cell. The label is the approval; the page counts as it stands
when it is read. No home is opened and no token is given here: those are for a person to give.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from typing import Literal, NoReturn

import msgspec
from msgspec import Struct

from lazarus_pit.cells import proposed, provision
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.channels.forge import Forge, ForgeDownError, Issue
from lazarus_pit.channels.incidents import Say, code, to_object
from lazarus_pit.channels.outbox import Outbox
from lazarus_pit.core.model import CellStatus
from lazarus_pit.errors import FormatError, LazarusError, RefusedError
from lazarus_pit.formats.manifest import Kind, Manifest
from lazarus_pit.formats.proposal import Proposal, parse_proposal
from lazarus_pit.records import carried, outbox

log = logging.getLogger(__name__)

LABEL = "mission-approved"
LAST_SECONDS = 300.0
"""The longest wait for a forge that is down; each is twice the one before."""


class Known(Struct, frozen=True, omit_defaults=True):
    """What has become of one issue."""

    state: Literal["unreadable", "begun", "done"]
    page: str
    """The digest of the page that was read."""
    uuid: str = ""


class Proposals:
    """Watches one repository for approved proposals."""

    def __init__(self, pit: PitPaths, forge: Forge, repo: str, owner: Owner) -> None:
        """``owner`` is whom the agents of a new cell run as."""
        self.queue = f"proposals at {forge.id}"
        self.outbox = Outbox(pit.records, forge, self.queue)
        self._pit = pit
        self._forge = forge
        self._repo = repo
        self._owner = owner

    async def run(self, interval: float) -> NoReturn:
        """Look, again and again; what refuses is said once and tried again."""
        said, wait = "", interval
        while True:
            try:
                await self.look()
            except LazarusError as error:
                if said != (said := str(error)):
                    log.warning("proposals wait: %s", error)
                after = error.after if isinstance(error, ForgeDownError) else 0.0
                wait = max(min(wait * 2, LAST_SECONDS), after)
            else:
                said, wait = "", interval
            await asyncio.sleep(wait)

    async def look(self) -> None:
        """Make the cells that are approved and not made yet.

        Raises:
            LazarusError: the forge, the records or the disk refuse; the next look goes on.
        """
        await self.outbox.deliver()
        found = await self._forge.issues(label=LABEL)
        notes = await self.outbox.keep(lambda db: carried.recall(db, self.queue))
        for issue in sorted(found, key=lambda one: one.number):
            note = notes.get(str(issue.number))
            known = msgspec.json.decode(note, type=Known) if note else None
            if known is None or (known.state != "done" and not _is_old(issue, known)):
                await self._make(issue, known)
        await self.outbox.deliver()

    async def _make(self, issue: Issue, known: Known | None) -> None:
        uuid = known.uuid if known and known.uuid else provision.new_uuid()
        page = _digest(issue)
        try:
            proposal = parse_proposal(issue.text.encode(errors="replace"), issue.title)
            wanted = self._manifest(issue, proposal, uuid)
        except FormatError as error:
            said = f"This proposal cannot become a cell: {code(error, 600)}."
            await self._keep(issue, Known("unreadable", page, known.uuid if known else ""), said)
            return
        await self._keep(issue, Known("begun", page, uuid), "")
        try:
            await asyncio.to_thread(
                provision.create_cell, self._pit.root, wanted, self._owner, invited=True
            )
        except RefusedError:
            log.info("issue %d: its cell %s had been made before", issue.number, uuid)
        log.info("issue %d became the cell %s", issue.number, uuid)
        await self._keep(issue, Known("done", page, uuid), _welcome(wanted, proposal))

    def _manifest(self, issue: Issue, proposal: Proposal, uuid: str) -> Manifest:
        wanted = Manifest(
            uuid=uuid,
            status=CellStatus.ACTIVE,
            mission=proposal.title,
            name=proposed.name_from(proposal.title, proposed.names_of(self._pit.root)),
            created_by=f"issue {issue.number}",
            repo=self._repo,
            gitea_issue=issue.number,
        )
        return proposed.fill_in(wanted, proposal)

    async def _keep(self, issue: Issue, known: Known, said: str) -> None:
        """Keep what became of an issue together with what is said of it."""

        def keep(db: sqlite3.Connection) -> None:
            note = msgspec.json.encode(known).decode()
            carried.note(db, self.queue, {str(issue.number): note})
            if said:
                outbox.numbered(db, self.queue, f"issue {issue.number}", issue.number)
                outbox.add(db, self.queue, f"issue {issue.number}", to_object(Say(said)))

        await self.outbox.keep(keep)


def _is_old(issue: Issue, known: Known) -> bool:
    """Whether that very page was read before and is no proposal."""
    return known.state == "unreadable" and known.page == _digest(issue)


def _digest(issue: Issue) -> str:
    page = f"{issue.title}\n{issue.text}".encode(errors="surrogatepass")
    return hashlib.sha256(page).hexdigest()


def _welcome(wanted: Manifest, proposal: Proposal) -> str:
    members = ", ".join(
        f"{code(one.name, 80)} ({one.role}{', human' if one.kind is Kind.HUMAN else ''})"
        for one in wanted.agents
    )
    named = f", named {code(wanted.name)}" if wanted.name else ""
    lines = [
        f"This mission has a cell: {code(wanted.uuid)}{named}.",
        f"Invited: {members}. An agent begins with `lazarus spawn`; nothing runs until then.",
    ]
    if homes := proposal.isolation.read_only_homes:
        named_homes = ", ".join(code(one, 80) for one in homes)
        lines.append(f"Not opened, a person must do it: the homes of {named_homes}.")
    if wishes := proposed.unheeded(proposal):
        lines.append(f"Written down, not acted on: {', '.join(wishes)}.")
    return "\n\n".join(lines)
