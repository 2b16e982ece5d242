"""Lives that follow no death are not without end either: what goes round is slowed, not stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from lazarus_pit.core.agent import Agent, wake
from lazarus_pit.core.events import Admitted, Beat, Exited, Mailed, Spawned, Tick
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import Exit, Hold, HoldKind, Instant, Phase, Rules
from lazarus_pit.core.restart import RESTLESS
from unit.core.lives import BORN, LIFE, an_agent

QUIET = Rules(backoff_jitter=0.0, wake_on_mail=True)
HOUR = 3600.0


def _mailed(agent: Agent, now: Instant) -> Agent:
    """It writes to itself and ends well."""
    told = step(agent, Mailed(), now).agent
    return step(told, Exited(generation=told.generation, exit=Exit(code=0)), now).agent


def _woken(agent: Agent, now: Instant) -> Agent:
    """It ends well, and then its mail arrives."""
    ended = step(agent, Exited(generation=agent.generation, exit=Exit(code=0)), now).agent
    return step(ended, Mailed(), now).agent


def _held(agent: Agent, now: Instant) -> Agent:
    """It says that it has no quota for a moment, and ends."""
    hold = Hold(kind=HoldKind.QUOTA_WAIT, until=now)
    held = step(agent, Beat(generation=agent.generation, hold=hold), now).agent
    return step(held, Exited(generation=held.generation, exit=Exit(code=3)), now).agent


def _again(agent: Agent) -> tuple[Agent, Instant]:
    """Let it wait as long as it must and begin anew; return it and when that was."""
    now = wake(agent)
    while agent.phase is not Phase.STARTING:
        agent = step(agent, Tick(), now).agent
        agent = step(agent, Admitted(), now).agent
    return step(agent, Spawned(generation=agent.generation, life=LIFE), now).agent, now


def _lives(agent: Agent, end: Callable[[Agent, Instant], Agent], *, each: float) -> int:
    """How many lives of ``each`` seconds there are in an hour."""
    now, count = BORN, 0
    while now < BORN + HOUR:
        agent, now = _again(end(agent, now + each))
        count += 1
    return count


@pytest.mark.parametrize("end", [_mailed, _woken, _held])
def test_short_lives_without_a_death_are_slowed_as_deaths_are(
    end: Callable[[Agent, Instant], Agent],
) -> None:
    assert _lives(an_agent(rules=QUIET), end, each=0.01) < RESTLESS + 25
    assert _lives(an_agent(rules=QUIET), end, each=6.0) == HOUR / 6


@pytest.mark.parametrize("end", [_mailed, _woken, _held])
def test_some_short_errands_in_a_row_are_not_delayed(
    end: Callable[[Agent, Instant], Agent],
) -> None:
    agent, now = an_agent(rules=QUIET), BORN
    for _ in range(RESTLESS):
        ended = now + 1.0
        agent, now = _again(end(agent, ended))
        assert now == ended
    ended = now + 1.0
    agent, now = _again(end(agent, ended))
    assert now == ended + QUIET.backoff_initial
    lasted, now = _again(end(agent, now + QUIET.min_uptime))
    assert lasted.restless == 0
    assert not replace(lasted, restless=0).attempts
