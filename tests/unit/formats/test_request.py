"""What may be asked of the daemon, and by whom: the table of docs/guides/teams.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit.core.model import Role
from lazarus_pit.errors import FormatError
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
    columns = [cell.strip() for cell in GUIDE.partition("| what |")[2].split("\n")[0].split("|")]
    (row,) = (line for line in GUIDE.splitlines() if line.startswith(f"| ask for `{verb}"))
    said = row.split("|")[2 + columns.index(f"{role.value}")].strip()
    assert (said == "yes") == (not why_refused(verb, role))
