"""When a cell counts as idle."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lazarus_pit.core.idle import idle_at
from lazarus_pit.core.model import NEVER, Desired, Hold, HoldKind, Phase
from unit.core.lives import BORN, an_agent


def at(*agents: Any, heard: float = 0.0) -> float:
    return idle_at(agents, heard, 60.0)


def test_the_last_progress_of_anybody_and_the_last_mail_count() -> None:
    one = an_agent()
    busy = replace(one, vitals=replace(one.vitals, progress=BORN + 5))
    assert at(one) == BORN + 60
    assert at(one, busy) == BORN + 65
    assert at(one, busy, heard=BORN + 7) == BORN + 67
    assert at(replace(one, vitals=replace(one.vitals, busy_until=BORN + 90))) == BORN + 150
    assert at(replace(one, vitals=replace(one.vitals, computed=BORN + 9))) == BORN + 69


def test_beats_alone_are_no_progress() -> None:
    beating = an_agent()
    assert at(replace(beating, vitals=replace(beating.vitals, beat=BORN + 50))) == BORN + 60


@pytest.mark.parametrize("phase", [Phase.ESCALATED, Phase.STOPPED, Phase.EXITED])
def test_who_is_at_rest_keeps_nobody_awake_and_alone_there_is_nothing_to_freeze(
    phase: Phase,
) -> None:
    assert at(an_agent(phase), an_agent()) == BORN + 60
    assert at(an_agent(phase)) == NEVER
    assert at() == NEVER


@pytest.mark.parametrize(
    "agent",
    [
        an_agent(Phase.BACKOFF),
        an_agent(Phase.STARTING),
        an_agent(Phase.FENCING),
        an_agent(Phase.AWAITING),
        an_agent(frozen_at=BORN),
        an_agent(desired=Desired.STOP),
        an_agent(Phase.HELD),
        replace(an_agent(), phase=Phase.HELD, hold=Hold(kind=HoldKind.QUOTA_WAIT, until=BORN + 9)),
    ],
    ids=lambda agent: f"{agent.phase.value} {agent.reason}",
)
def test_what_is_under_way_is_not_idle(agent: Any) -> None:
    assert at(agent, an_agent()) == NEVER


def test_who_waits_for_a_person_is_idle() -> None:
    waits = replace(an_agent(), phase=Phase.HELD, hold=Hold(kind=HoldKind.NEEDS_INPUT))
    assert at(waits) == BORN + 60
