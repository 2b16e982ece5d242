"""``why`` has an answer for every phase: what comes next, when, and which command changes it."""

import pytest
from msgspec import structs

from lazarus_pit.cells.view import AgentView
from lazarus_pit.cli.outlook import foretell, readings, standing
from lazarus_pit.core.model import Desired, Liveness, Phase, RevivePolicy, Rules
from lazarus_pit.formats.limits import NO_ROOM
from lazarus_pit.formats.state import Health

NOW = 1_000_000.0


def view(phase: str, **fields: object) -> AgentView:
    found = {"attempts_used": 1, "attempts_max": 3, "next_decision": NOW + 30.0}
    given = fields.pop("readings", {})
    assert isinstance(given, dict)
    health = Health(healthy=True, phase=phase, reason="hung", readings={**found, **given})
    return AgentView(
        name="scribe", role="developer", kind="agent", desired="run", shown=phase, health=health
    )


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_an_outlook_and_a_way_out(phase: Phase) -> None:
    told = foretell("pond/scribe", view(phase), Rules(), NOW, up=True)
    assert told.coming
    assert "Not known" not in " ".join(told.coming)
    assert all("pond/scribe" in command for command in told.commands)
    assert told.commands
    assert told.at == NOW + 30.0


def test_a_backoff_tells_when_the_next_life_begins() -> None:
    told = foretell("p/s", view("backoff", readings={"due": NOW + 12.0}), Rules(), NOW, up=True)
    assert told.coming[0] == "Its next life begins in 12 s."
    assert "1 of 3 attempts" in told.coming[-1]


def test_the_thresholds_are_those_the_agent_lives_by() -> None:
    rules = Rules(heartbeat_stale_threshold=7.0, resurrect_after=14.0)
    told = " ".join(foretell("p/s", view("running"), rules, NOW, up=True).coming)
    assert "7.0 s" in told
    assert "14 s" in told
    alone = Rules(liveness=Liveness.PROCESS, revive_policy=RevivePolicy.ASK)
    told = " ".join(foretell("p/s", view("running"), alone, NOW, up=True).coming)
    assert "Only the end of its process counts" in told
    assert "a person is asked" in told


def test_a_frozen_agent_has_no_deadline_and_a_daemon_that_is_down_does_nothing() -> None:
    told = foretell("p/s", view("running", readings={"frozen_since": NOW}), Rules(), NOW, up=False)
    assert told.coming[0].startswith("Nothing, until `lazarus up`")
    assert "no deadline runs" in told.coming[1]


def test_who_is_held_and_asked_about_has_one_though_it_stands_still() -> None:
    seen = view("held", readings={"frozen_since": NOW, "due": NOW + 60.0})
    assert seen.health is not None
    held = structs.replace(seen, health=structs.replace(seen.health, reason="loop"))
    told = foretell("p/s", held, Rules(), NOW, up=True)
    assert "people are asked" in told.coming[0]


@pytest.mark.parametrize(
    ("shown", "words"), [("human", "person"), ("no command", "how it starts"), ("waiting", "up")]
)
def test_who_was_never_seen_is_explained_too(shown: str, words: str) -> None:
    seen = AgentView(name="a", role="observer", kind="agent", desired="run", shown=shown)
    assert words in " ".join(foretell("p/a", seen, Rules(), NOW, up=False).coming)
    assert standing(seen, NOW)


def test_readings_are_said_with_their_ages_and_nothing_hostile() -> None:
    seen = view(
        "running",
        readings={"progress": NOW - 60.0, "busy_until": NOW + 120.0, "last_exit": "\x1b[2J"},
    )
    lines = readings(seen, NOW)
    assert "last progress 1 min ago" in lines
    assert "an announced long step ends in 2 min" in lines
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"cell disk_mb": f"8 by watching: 9 used; {NO_ROOM}"}, "its limit of disk has it stand"),
        ({"cell disk_mb": "8 by watching: 2 used"}, "people want it to freeze"),
    ],
)
def test_a_freeze_by_the_disk_is_not_said_to_be_peoples(limits: dict[str, str], words: str) -> None:
    seen = view("running", readings={"desired": Desired.FREEZE.value, "frozen_since": NOW - 5.0})
    assert seen.health is not None
    seen = structs.replace(seen, health=structs.replace(seen.health, limits=limits))
    lines = readings(seen, NOW)
    said = [line for line in lines if "people want" in line or "limit of disk" in line]
    assert len(said) == 1
    assert said[0].startswith(words)
