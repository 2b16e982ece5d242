"""``lazarus mail`` for people at the host; inside a cell the environment says who is writing."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from lazarus_pit import mail as client
from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.mailbox import Filed, filed
from lazarus_pit.cells.provision import refuse_ended
from lazarus_pit.cli import say
from lazarus_pit.cli.names import Found, find_cell
from lazarus_pit.cli.place import HERE, Place, who
from lazarus_pit.errors import LazarusError, UsageError
from lazarus_pit.formats.envelope import Envelope, parse_delivered
from lazarus_pit.formats.envelope import Kind as MailKind
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.manifest import Kind
from lazarus_pit.words import WordsError, parse

LOGGED = 50
"""Mails that ``log`` shows unless it is told otherwise."""
READ_MAX = 1 << 20
"""Bytes of a mail that are read."""


def mail(
    *words: Annotated[str, Parameter(allow_leading_hyphen=True)],
    cell: Annotated[str | None, Parameter(help="Whose bus: a cell's UUID or name.")] = None,
    as_: Annotated[
        str | None, Parameter(name="--as", help="Which member you are; by itself your user name.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Send, read and acknowledge mail between the members of a cell."""
    if cell is None and words[:1] == ("log",):
        raise UsageError("mail log: expected --cell CELL")
    if cell is None:
        return client.main(list(words))
    found = find_cell(place.pit(), cell)
    if words[:1] == ("log",):
        return _log(found, words[1:])
    return client.main(list(words), seat_of(found, as_))


def seat_of(found: Found, as_: str | None) -> dict[str, str]:
    """Return the environment of a person's seat in a cell, as an agent's names its own.

    Raises:
        RefusedError: the cell has ended.
        UsageError: there is no such person in it.
    """
    refuse_ended(found.manifest)
    name = as_ or who()
    member = found.manifest.member(name)
    if member is None or member.kind is not Kind.HUMAN:
        people = [one.name for one in found.manifest.agents if one.kind is Kind.HUMAN]
        seat = f"`lazarus invite {found.manifest.name or found.paths.uuid[:8]} {name} --human`"
        listed = ", ".join(people) or f"there is none: {seat} gives a seat"
        raise UsageError(f"--as: found {name!r}, expected a person of this cell ({listed})")
    return {
        "LAZARUS_CELL": str(found.paths.cell),
        "LAZARUS_AGENT": name,
        "LAZARUS_ROLE": member.role.value,
        "LAZARUS_INBOX": str(found.paths.inbox(name)),
        "LAZARUS_OUTBOX": str(found.paths.outbox(name)),
    }


def _log(found: Found, words: tuple[str, ...]) -> int:
    """Say which mail lies in a cell, the newest last."""
    try:
        given = parse(words, {"--last": 1, "--json": 0}).given
    except WordsError as error:
        raise UsageError(f"mail log: {error}") from None
    text = given.get("--last", str(LOGGED))
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--last: found {say.clean(text, 40)!r}, expected a whole number")
    members = [member.name for member in found.manifest.agents]
    every = filed(found.paths, members)
    shown = [(one, _read(one)) for one in every[max(0, len(every) - int(text)) :]]
    if "--json" in given:
        say.as_json([_as_object(one, said) for one, said in shown])
        return 0
    for one, said in shown:
        kind = "" if said is None or said.kind is MailKind.NOTE else f"[{said.kind}] "
        subject = "?" if said is None else f"{kind}{say.clean(said.subject, 120)}"
        at = to_rfc3339(one.name.sequence / 1e9)
        say.line(f"{at}  {one.name.sender} > {one.receiver}  {one.state}  {subject}".rstrip())
    if not shown:
        say.line("no mail")
    return 0


def _read(one: Filed) -> Envelope | None:
    try:
        data = read_hostile(one.file, READ_MAX)
        return parse_delivered(data) if data else None
    except LazarusError:
        return None


def _as_object(one: Filed, said: Envelope | None) -> dict[str, Any]:
    at = to_rfc3339(one.name.sequence / 1e9, 3)
    mail = None if said is None else said.found
    return {"at": at, "receiver": one.receiver, "state": one.state, "mail": mail}
