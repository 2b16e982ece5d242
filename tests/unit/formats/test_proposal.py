"""Contract 5.4: a filled-in proposal is read strictly, and a complaint says where."""

from pathlib import Path

import pytest

from lazarus_pit.core.model import Role
from lazarus_pit.errors import FormatError
from lazarus_pit.formats.proposal import Invitation, parse_proposal

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = (REPOSITORY / "examples" / "mission-proposal.md").read_text()
TEMPLATE = (REPOSITORY / ".gitea" / "ISSUE_TEMPLATE" / "mission-proposal.md").read_text()


def parse(text: str) -> object:
    return parse_proposal(text.encode())


def test_the_example_says_what_the_demo_needs() -> None:
    proposal = parse_proposal(EXAMPLE.encode())
    assert proposal.title == "Write the field guide to tidal ponds"
    assert proposal.agents == (
        Invitation(name="scribe", role=Role.DEVELOPER),
        Invitation(name="indexer", role=Role.DEVELOPER),
    )
    assert not proposal.isolation.external_network
    assert proposal.isolation.read_only_homes == ()
    assert proposal.configuration.max_revive_attempts == 3
    assert proposal.configuration.max_duration == 3600.0
    assert proposal.configuration.checkpoint_interval is None
    assert [item.done for item in proposal.scope] == [False, False]


def test_the_template_has_every_section_and_differs_from_a_filled_in_page_only_by_answers() -> None:
    for section in (
        "Mission Summary",
        "Objective",
        "Agents Invited",
        "Scope & Deliverables",
        "Isolation Requirements",
        "Cell Configuration",
        "Related Issues",
        "Success Criteria",
        "Notes",
    ):
        assert f"\n## {section}\n" in TEMPLATE
    assert 'title: "[MISSION] "' in TEMPLATE
    assert "- mission-proposal" in TEMPLATE
    with pytest.raises(FormatError, match="Mission Summary: found nothing"):
        parse(TEMPLATE)
    filled = (
        TEMPLATE.replace("## Mission Summary\n", "## Mission Summary\nWin.\n")
        .replace("## Objective\n", "## Objective\nTo win.\n")
        .replace("- @name — role", "- @ada — observer (human)")
        .replace("- [ ] …", "- [ ] a thing")
    )
    proposal = parse_proposal(filled.encode())
    assert proposal.title == proposal.summary == "Win."
    assert proposal.agents == (Invitation(name="ada", role=Role.OBSERVER, human=True),)
    assert proposal.configuration.checkpoint_interval == 1800.0
    assert proposal.configuration.auto_archive


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("- @scribe — developer", "- scribe", r"Agents Invited, line N: found '- scribe'"),
        (
            "indexer — developer",
            "indexer — wizard",
            "Agents Invited, line N: .* one of the roles developer",
        ),
        ("@scribe", "@../etc", "Agents Invited, line N: .* expected a name"),
        ("@indexer", "@scribe", "Agents Invited, line N: .* invited twice"),
        ("@indexer", "@pit", "Agents Invited, line N: .* not the daemon's own"),
        ("| 1 h |", "| an hour |", "Cell Configuration, line N: .* expected a duration"),
        ("| 3 |", "| many |", "Cell Configuration, line N: .* expected a whole number"),
        ("Auto-archive on close | no", "Auto-archive on close | maybe", "line N: .*'yes' or 'no'"),
        ("| Max duration", "| Maximum", "line N: .* expected one of max duration"),
        ("- [ ] External network: yes", "- [x] External network: yes", "yes or as no, not both"),
        ("- [ ] Read-only", "- [x] Read-only", "line N: .* expected the homes by name"),
        ("homes: none", "homes: @ada", None),
        ("- Epic: none", "- Epic: soon", "Related Issues, line N: .* issues by number"),
        ("- Epic: none", "- Sequel: #3", "Related Issues, line N: .*Depends on"),
        ("## Objective", "## Aims", "section 'Objective' is missing"),
        ("## Notes", "## Objective", "Objective, line N: the section is there twice"),
        ("labels:\n  - mission-proposal\n---", "labels:", "expected a closing one"),
    ],
)
def test_a_wrong_line_is_named(old: str, new: str, complaint: str | None) -> None:
    assert old in EXAMPLE
    page = EXAMPLE.replace(old, new)
    if complaint is None:
        parse(page)
        return
    number = page.rpartition(new)[0].count("\n") + 1
    with pytest.raises(FormatError, match=complaint.replace("N", str(number))):
        parse(page)


def test_named_homes_and_related_issues_are_read() -> None:
    page = (
        EXAMPLE.replace("- [x] No home access", "- [ ] No home access")
        .replace(
            "- [ ] Read-only access to named homes: none", "- [x] Read-only access: @ada, @bob"
        )
        .replace("- Depends on: none", "- Depends on: #7, #8")
    )
    proposal = parse_proposal(page.encode())
    assert proposal.isolation.read_only_homes == ("ada", "bob")
    assert proposal.related.depends_on == (7, 8)


def test_no_home_access_and_named_homes_contradict_each_other() -> None:
    page = EXAMPLE.replace(
        "- [ ] Read-only access to named homes: none", "- [x] Read-only access: @a"
    )
    with pytest.raises(FormatError, match="not both"):
        parse(page)


def test_windows_line_ends_and_other_heading_levels_change_nothing() -> None:
    page = EXAMPLE.replace("## ", "#### ").replace("\n", "\r\n")
    assert parse(page) == parse(EXAMPLE)
