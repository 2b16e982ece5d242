"""What users are shown of an agent's phase."""

import pytest
from msgspec.structs import replace

from lazarus_pit.cells.view import AgentView, CellView, phase_word
from lazarus_pit.cli.status import HEAD, cell_lines, row, state_words
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.formats.manifest import Kind, Manifest, Member
from lazarus_pit.formats.state import Health

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"
AGENT = Member(name="a", role=Role.DEVELOPER, command=("true",))


def cell(status: CellStatus = CellStatus.ACTIVE) -> Manifest:
    return Manifest(uuid=UUID, status=status, agents=(AGENT,))


@pytest.mark.parametrize(
    ("phase", "reason", "word"),
    [
        ("starting", "new", "starting"),
        ("starting", "wanted", "starting"),
        ("starting", "hung", "reviving"),
        ("backoff", "exited", "reviving"),
        ("fencing", "hung", "reviving"),
        ("fencing", "operator", "reviving"),
        ("fencing", "stop", "stopping"),
        ("running", "heartbeat", "running"),
        ("escalated", "attempts_exhausted", "escalated"),
    ],
)
def test_who_comes_back_from_the_dead_is_reviving(phase: str, reason: str, word: str) -> None:
    health = Health(healthy=True, phase=phase, reason=reason)
    assert phase_word(cell(), AGENT, health) == word


def test_a_running_agent_of_a_frozen_cell_is_frozen() -> None:
    health = Health(healthy=True, phase="running", reason="heartbeat", pid=7)
    assert phase_word(cell(CellStatus.FROZEN), AGENT, health) == "frozen"


@pytest.mark.parametrize(
    ("member", "word"),
    [
        (AGENT, "waiting"),
        (Member(name="a", role=Role.DEVELOPER), "no command"),
        (Member(name="a", role=Role.DEVELOPER, kind=Kind.HUMAN), "human"),
        (Member(name="a", role=Role.DEVELOPER, found={"joined_at": ""}), "invited"),
    ],
)
def test_who_was_never_seen(member: Member, word: str) -> None:
    assert phase_word(cell(), member, None) == word


def test_states_that_say_little_alone_carry_their_reason() -> None:
    for phase, reason in (("held", "quota_wait"), ("escalated", "policy_never")):
        health = Health(healthy=False, phase=phase, reason=reason)
        assert state_words(shown(phase, health)) == f"{phase}: {reason}"
    assert state_words(shown("running", Health(healthy=True, phase="running", reason="x"))) == (
        "running"
    )


def test_a_line_has_a_cell_for_every_column() -> None:
    assert len(row(shown("waiting", None))) == len(HEAD)
    used = {"attempts_used": 2, "attempts_max": 3}
    health = Health(healthy=True, phase="running", generation=4, pid=12, readings=used)
    assert row(shown("running", health))[4:7] == ["4", "1", "12"]


def shown(word: str, health: Health | None) -> AgentView:
    return AgentView(
        name="a", role="developer", kind="agent", desired="run", shown=word, health=health
    )


def test_a_short_name_is_shown_even_where_the_uuid_holds_it() -> None:
    seen = CellView(uuid=UUID, path="/", manifest=replace(cell(), name="d"))
    assert cell_lines(seen)[1].split()[:2] == [UUID, "d"]
    nameless = CellView(uuid=UUID, path="/", manifest=cell())
    assert cell_lines(nameless)[1].split()[:2] == [UUID, "active"]
