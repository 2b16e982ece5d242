"""Settings that are changed later: read from words, and put where the manifest has them."""

from __future__ import annotations

import json

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import manifest, settings
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.settings import OF_AGENTS, OF_CELLS, Change

UUID = "7c1f5a4e-1111-4222-8333-444455556666"
FOUND = {
    "uuid": UUID,
    "status": "active",
    "theirs": {"kept": True},
    "checkpoint_interval": 900,
    "rules": {"budget_turns": 9, "odd": 1},
    "agents": [{"name": "scribe", "role": "developer", "limits": {"memory_mb": 512}, "odd": 2}],
}


def a_cell() -> Manifest:
    return manifest.parse(json.dumps(FOUND).encode())


def test_settings_of_a_cell_go_where_they_belong_and_all_else_stays() -> None:
    words = (
        *("budget_turns=20", "on_revive=fresh", "memory_mb=64", "checkpoint_interval="),
        *("idle_freeze_after=60", "checkpoints_kept.last=3", "mission=2 = two"),
    )
    new, changes = settings.changed(a_cell(), "", settings.read(words, OF_CELLS))
    assert new.rules == {"budget_turns": 20, "odd": 1, "on_revive": "fresh"}
    assert (new.limits, new.checkpoints_kept) == ({"memory_mb": 64}, {"last": 3})
    assert (new.checkpoint_interval, new.idle_freeze_after) == (None, 60.0)
    assert new.mission == "2 = two"
    written = json.loads(manifest.encode(new))
    assert written["theirs"] == {"kept": True}
    assert written["agents"][0]["odd"] == 2
    assert changes[0] == Change("budget_turns", 9, 20)
    assert changes[3] == Change("checkpoint_interval", 900.0, None)


def test_a_members_settings_are_its_own_and_can_be_taken_away() -> None:
    words = ("memory_mb=", "no_restart_exit_codes=[3, 4]", "wake_on_mail=true")
    new, changes = settings.changed(a_cell(), "scribe", settings.read(words, OF_AGENTS))
    scribe = new.member("scribe")
    assert scribe is not None
    assert (scribe.limits, new.rules) == ({}, FOUND["rules"])
    assert scribe.rules == {"no_restart_exit_codes": [3, 4], "wake_on_mail": True}
    assert [one.name for one in changes if settings.waits_for_a_life(one.name)] == ["memory_mb"]


def test_what_is_so_already_is_no_change() -> None:
    wishes = settings.read(("budget_turns=9", "stall_after=", "mission="), OF_CELLS)
    assert settings.changed(a_cell(), "", wishes)[1] == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("budget_turns", "budget_turns: expected NAME=VALUE"),
        ("budget_turn=1", "budget_turn: no such setting, expected one of mission, "),
        ("\x1b[2J=1", r"\u001b[2J: no such setting"),
        ("budget_turns=-1", "budget_turns: found -1, expected at least 0"),
        ("budget_turns=many", 'budget_turns: found "many", expected a whole number'),
        ("on_revive=never", 'on_revive: found "never", expected one of resume, restore, fresh'),
        ("memory_mb=1", "memory_mb: found 1, expected 0 (no limit) or"),
        ("checkpoints_kept.last=-1", "checkpoints_kept.last: found -1, expected 0 to"),
        ("checkpoints_kept.last=[1]", "checkpoints_kept.last: found"),
        ("checkpoint_interval=1e-9", "checkpoint_interval: found 1e-09, expected at least 0.1"),
        ("idle_freeze_after=1e300", "idle_freeze_after: found 1e+300, expected at least 0.1 and"),
        ("resurrect_after=1e300", "resurrect_after: found 1e+300, expected at least 0.001 and"),
        (
            "backoff_max=1e10",
            "backoff_max: found 10000000000, expected at least 0 and at most 1000000000",
        ),
        ("resurrect_after=" + "[" * 5000, "resurrect_after: found"),
    ],
)
def test_what_cannot_be_is_refused_by_name(word: str, said: str) -> None:
    with pytest.raises(FormatError) as refused:
        settings.changed(a_cell(), "", settings.read((word,), OF_CELLS))
    assert str(refused.value).startswith(said)


def test_a_setting_twice_and_a_member_that_is_none_are_refused() -> None:
    with pytest.raises(FormatError, match="expected once"):
        settings.read(("budget_turns=1", "budget_turns=2"), OF_AGENTS)
    with pytest.raises(KeyError):
        settings.changed(a_cell(), "nobody", {"budget_turns": 1})
