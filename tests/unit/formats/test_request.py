"""What may be asked of the daemon, and by whom: the table of docs/guides/teams.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit.core.model import Role
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import envelope
from lazarus_pit.formats.request import MAY_ASK, Request, parse, why_refused

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "teams.md").read_text()


@pytest.mark.parametrize(
    ("subject", "asked"),
    [
        ("revive scribe", Request("revive", "scribe")),
        ("  checkpoint before  the merge", Request("checkpoint", note="before the merge")),
        ("checkpoint", Request("checkpoint")),
        ("invite ben reviewer", Request("invite", "ben", Role.REVIEWER)),
        ("invite ben developer 30min", Request("invite", "ben", Role.DEVELOPER, 1800.0)),
        ("leave", Request("leave")),
    ],
)
def test_a_subject_is_a_command(subject: str, asked: Request) -> None:
    assert parse(subject) == asked


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("", "expected one of invite, revive, checkpoint, leave"),
        ("destroy everything", "expected one of"),
        ("revive", "expected `revive NAME`"),
        ("revive ../../etc", "found '../../etc'"),
        ("revive a b", "expected `revive NAME`"),
        ("invite ben", "expected `invite NAME ROLE"),
        ("invite ben coordinator", "expected one of developer, reviewer, observer"),
        ("invite ben reviewer 8d", "expected 24h at most"),
        ("leave now", "expected `leave`"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(subject: str, why: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse(subject)
    assert why in str(caught.value)


@pytest.mark.parametrize("verb", MAY_ASK)
@pytest.mark.parametrize("role", Role)
def test_the_guide_says_who_may_ask_for_what(verb: str, role: Role) -> None:
    assert said_in_guide(f"| ask for `{verb}", role) == (not why_refused(verb, role))


@pytest.mark.parametrize("role", Role)
def test_the_guide_says_who_may_send_what(role: Role) -> None:
    for row, kind in (("| send orders", envelope.Kind.ORDER), ("| send notes", envelope.Kind.NOTE)):
        mail = envelope.Envelope(id="mail-0001", to="*", kind=kind)
        assert said_in_guide(row, role) == (not envelope.why_refused(mail, "ada", role))


def said_in_guide(row: str, role: Role) -> bool:
    """Whether the table says yes to a role in the row that begins so."""
    heads = [cell.strip() for cell in GUIDE.partition("| what |")[2].split("\n")[0].split("|")]
    (line,) = (line for line in GUIDE.splitlines() if line.startswith(row))
    return line.split("|")[2 + heads.index(role.value)].strip() == "yes"
