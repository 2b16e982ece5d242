"""A far agent's life, step by step. Rows of the contract are named."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lazarus_pit.core.events import Ask, Decided, LookAt, Order, Spawn, SpawnFailed, Tick
from lazarus_pit.core.far import Far, FarPhase, Probed, Reading, fold, resumed, shown, wake
from lazarus_pit.core.model import NEVER, RevivePolicy, Rules, Verdict
from lazarus_pit.core.revival import FarStep, step

P, F, U = Reading.PASSED, Reading.FAILED, Reading.UNKNOWN
WELL, HALF, DEAD, DARK = (P, P, P), (P, F, F), (F, F, F), (F, U, F)
RULES = Rules(resurrect_after=300, approval_timeout=300, start_timeout=120, restart_window=NEVER)
ASK = replace(RULES, revive_policy=RevivePolicy.ASK)
NOBODY = replace(RULES, revive_policy=RevivePolicy.NEVER)


def seen(far: Far, rules: Rules, readings: tuple[Reading, ...], now: float) -> FarStep:
    return step(far, rules, Probed(readings=readings), now)


def names(done: FarStep) -> list[str]:
    return [line.event for line in done.told]


def kinds(done: FarStep) -> list[type[Order]]:
    return [type(order) for order in done.orders]


def dead_for_long(rules: Rules) -> FarStep:
    far = seen(Far(key="timmy"), rules, DEAD, 1000.0).far
    return seen(far, rules, DEAD, 1300.0)


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        (WELL, Verdict.HEALTHY),
        (DEAD, Verdict.DEAD),
        (HALF, Verdict.DEGRADED),
        ((P, P, F), Verdict.DEGRADED),
        ((P, F, U), Verdict.DEGRADED),
        (DARK, Verdict.UNKNOWN),
        ((P, U, P), Verdict.UNKNOWN),
        ((U, U, U), Verdict.UNKNOWN),
        ((), Verdict.UNKNOWN),
    ],
)
def test_3_5_readings_fold(readings: tuple[Reading, ...], verdict: Verdict) -> None:
    assert fold(readings) is verdict


def test_3_5_nothing_is_done_before_the_threshold() -> None:
    far = seen(Far(key="timmy"), RULES, DEAD, 1000.0).far
    done = seen(far, RULES, DEAD, 1299.9)
    assert (done.far.first_dead_at, done.orders, done.told) == (1000.0, (), ())
    assert wake(done.far, RULES) == 1300.0


def test_3_5_a_degraded_one_is_never_acted_on() -> None:
    far = seen(Far(key="timmy"), RULES, DEAD, 1000.0).far
    far = seen(far, RULES, HALF, 1200.0).far
    done = seen(far, RULES, DEAD, 1301.0)
    assert done.orders == ()
    assert done.far.first_dead_at == 1000.0
    assert seen(done.far, RULES, DEAD, 1601.0).far.phase is FarPhase.REVIVING


def test_an_unknown_reading_is_no_evidence_of_anything() -> None:
    far = seen(Far(key="timmy"), RULES, DEAD, 1000.0).far
    done = seen(far, RULES, DARK, 1400.0)
    assert (done.orders, done.far.dead_since) == ((), 1000.0)
    assert wake(done.far, RULES) == NEVER


def test_3_7_auto_revives_at_once() -> None:
    done = dead_for_long(RULES)
    assert kinds(done) == [Spawn]
    assert names(done) == ["gateway_died", "gateway_revive_started"]
    assert (done.far.attempts, shown(done.far)) == ((1300.0,), "reviving")


def test_3_7_auto_that_cannot_be_started_is_an_incident() -> None:
    far = dead_for_long(RULES).far
    done = step(far, RULES, SpawnFailed(generation=1, why="no such program"), 1300.1)
    assert names(done) == ["gateway_revive_failed", "gateway_escalated"]
    assert seen(done.far, RULES, DEAD, 9000.0).told == ()


def test_3_7_never_is_an_incident_only_and_said_once() -> None:
    done = dead_for_long(NOBODY)
    assert names(done) == ["gateway_died", "gateway_escalated"]
    assert done.orders == ()
    assert seen(done.far, NOBODY, DEAD, 9000.0) == FarStep(done.far)


def test_3_7_ask_waits_and_a_yes_looks_again_before_it_revives() -> None:
    done = dead_for_long(ASK)
    assert kinds(done) == [Ask]
    done = step(done.far, ASK, Decided(generation=1, approved=True, by="ada"), 1400.0)
    assert kinds(done) == [LookAt]
    assert kinds(seen(done.far, ASK, DEAD, 1400.1)) == [Spawn]
    assert seen(done.far, ASK, WELL, 1400.1).orders == ()


@pytest.mark.parametrize("generation", [0, 2])
def test_an_answer_to_another_request_changes_nothing(generation: int) -> None:
    far = dead_for_long(ASK).far
    assert step(far, ASK, Decided(generation=generation, approved=True), 1301.0) == FarStep(far)


def test_3_7_no_and_silence_are_incidents() -> None:
    far = dead_for_long(ASK).far
    denied = step(far, ASK, Decided(generation=1, approved=False), 1301.0)
    assert names(denied) == ["approval_denied", "gateway_escalated"]
    assert step(far, ASK, Tick(), 1599.9) == FarStep(far)
    assert names(step(far, ASK, Tick(), 1600.0)) == ["approval_expired", "gateway_escalated"]


def test_a_second_death_is_asked_about_anew() -> None:
    far = seen(dead_for_long(ASK).far, ASK, HALF, 1310.0).far
    assert far.phase is FarPhase.WATCHED
    far = seen(far, ASK, DEAD, 1320.0).far
    again = seen(far, ASK, DEAD, 1620.0)
    assert [order.generation for order in again.orders] == [2]


def test_3_8_only_health_is_success() -> None:
    far = dead_for_long(RULES).far
    assert seen(far, RULES, HALF, 1350.0).told == ()
    done = seen(far, RULES, WELL, 1360.0)
    assert [(line.event, line.data["by"]) for line in done.told] == [("gateway_recovered", "pool")]
    assert (done.far.first_dead_at, done.far.attempts) == (None, ())
    assert done.far.generation == 1


def test_attempts_have_backoff_and_a_cap_and_one_escalation() -> None:
    far, now = dead_for_long(RULES).far, 1300.0
    begun, told = 1, list[str]()
    for _ in range(200):
        now += 10.0
        done = seen(far, RULES, DEAD, now)
        begun += len(done.orders)
        told += names(done)
        far = done.far
    assert begun == RULES.max_revive_attempts
    assert told.count("gateway_escalated") == 1
    assert (far.phase, far.reason) == (FarPhase.ESCALATED, "attempts_exhausted")
    done = seen(far, RULES, WELL, now)
    assert [line.data["by"] for line in done.told] == ["itself"]


def test_a_late_start_that_is_half_well_is_a_failure_but_no_reason_to_act() -> None:
    far = dead_for_long(RULES).far
    done = seen(far, RULES, HALF, 1420.0)
    assert names(done) == ["gateway_revive_failed"]
    assert (done.orders, done.far.phase) == ((), FarPhase.WATCHED)


def test_no_instant_lies_further_ahead_than_its_rules_allow_after_a_restart() -> None:
    far = dead_for_long(ASK).far
    back = resumed(far, ASK, "", 500.0)
    assert (back.due, back.first_dead_at) == (800.0, 500.0)
    assert back.phase is FarPhase.AWAITING


def test_another_plan_takes_no_word_and_no_surrender_of_the_old_one() -> None:
    waiting = resumed(dead_for_long(ASK).far, ASK, "new", 1310.0)
    given_up = resumed(dead_for_long(NOBODY).far, RULES, "new", 1310.0)
    assert waiting.phase is given_up.phase is FarPhase.WATCHED
    assert waiting.first_dead_at == 1000.0
