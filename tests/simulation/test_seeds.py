from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit.core.model import FleetRules, Rules
from lazarus_pit.sim.run import Verdict, run_many, simulate, summarise

SEEDS = 50
REGRESSIONS = Path(__file__).with_name("regressions.txt")


def _regressions() -> list[int]:
    lines = REGRESSIONS.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def test_fifty_worlds_keep_every_promise_and_are_not_gentle() -> None:
    """A world in which nothing goes wrong proves nothing: each kind of trouble did happen."""
    summary = summarise(run_many(0, SEEDS, days=0.1, agents=6, workers=1))
    assert [str(verdict) for verdict in summary.failures] == []
    assert summary.seeds == SEEDS
    for kind in (
        "agent_died",
        "agent_revived",
        "agent_hung",
        "agent_held",
        "agent_escalated",
        "approval_requested",
        "approval_granted",
        "approval_denied",
        "approval_expired",
        "answer decided",
        "answer already decided",
        "answer expired",
        "answer superseded",
        "answer unknown",
        "words that decide nothing",
        "channel down",
        "agent_adopted",
        "agent_prepared",
        "agent_resumed",
        "agent_saved",
        "agent_unsaved",
        "agent_frozen",
        "store_failed",
        "observer_doubted",
        "daemon crashes among the records",
        "daemon crashes before persist",
        "daemon crashes between persist and act",
        "daemon crashes mid-act, before an order",
        "daemon crashes mid-act, after an order",
        "leap",
        "overflow",
        "mass_death",
    ):
        assert summary.counts[kind] > 0, kind


@pytest.mark.parametrize("seed", _regressions())
def test_a_seed_that_failed_once_keeps_its_promises_now(seed: int) -> None:
    assert str(simulate(seed, days=0.1).failure) == ""


def test_a_seed_tells_the_same_story_twice() -> None:
    one, two = (simulate(11, days=0.1, agents=5) for _ in range(2))
    assert (one.trace, one.happenings, one.counts) == (two.trace, two.happenings, two.counts)
    assert one.trace != simulate(12, days=0.1, agents=5).trace


def test_workers_change_nothing_but_the_time() -> None:
    alone = [verdict.trace for verdict in run_many(3, 4, days=0.02, agents=3, workers=1)]
    shared = [verdict.trace for verdict in run_many(3, 4, days=0.02, agents=3, workers=2)]
    assert alone == shared


def test_given_rules_hold_for_every_agent() -> None:
    verdict = simulate(1, days=0.05, agents=3, rules=Rules(), fleet_rules=FleetRules())
    assert verdict.failure == ""


def test_a_broken_promise_names_the_line_that_repeats_it() -> None:
    verdict = Verdict(seed=7, days=0.25, agents=2, failure="after 1.000 s: two lives")
    assert not verdict.ok
    assert "two lives" in str(verdict)
    assert "lazarus simulate --seed 7 --days 0.25 --agents 2" in str(verdict)
