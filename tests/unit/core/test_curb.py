"""An agent that runs away stands still until people say whether it may go on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lazarus_pit.core.agent import Agent, owed, wake
from lazarus_pit.core.budget import CURB_LONGEST, Tab
from lazarus_pit.core.events import (
    Ask,
    Beat,
    CellSaved,
    Decided,
    Enlisted,
    Exited,
    Mailed,
    Spent,
    Tick,
    ToolUsed,
)
from lazarus_pit.core.fleet import Fleet
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    FleetRules,
    Hold,
    HoldKind,
    Liveness,
    Phase,
    RevivePolicy,
    Rules,
)
from lazarus_pit.core.moves import Step
from unit.core.lives import BORN, an_agent, events, live, names

NOW = BORN + 600.0
TURNS = Rules(budget_turns=10)


def curbed(rules: Rules = TURNS, fact: Any = None, **changes: Any) -> Step:
    agent = an_agent(rules=rules, **changes)
    outcome = step(agent, fact or Spent(generation=3, turns=10), NOW)
    assert outcome.agent.phase is Phase.HELD
    return outcome


def yes(agent: Agent, hold: int = 1) -> Step:
    return step(agent, Decided(generation=3, approved=True, by="ann", hold=hold), NOW + 60.0)


def no(agent: Agent, hold: int = 1) -> Step:
    return step(agent, Decided(generation=3, approved=False, by="ann", hold=hold), NOW + 60.0)


@pytest.mark.parametrize(
    ("rules", "fact", "why"),
    [
        (TURNS, Spent(generation=3, turns=10), "budget_turns"),
        (Rules(budget_tokens=5000), Spent(generation=3, tokens=5001), "budget_tokens"),
        (Rules(budget_minutes=10.0), Tick(), "budget_minutes"),
        (Rules(loop_repeats=3), ToolUsed(generation=3, repeats=3), "loop"),
        (Rules(), ToolUsed(generation=3, repeats=20), "loop"),
    ],
)
def test_who_reaches_a_bound_stands_still_and_people_are_asked(
    rules: Rules, fact: Any, why: str
) -> None:
    outcome = curbed(rules, fact)
    assert outcome.agent.reason == why
    assert names(outcome) == ["Freeze", "Ask"]
    assert events(outcome) == ["agent_held", "approval_requested"]
    assert outcome.agent.attempts == ()
    assert [type(order) for order in owed(outcome.agent)] == [type(o) for o in outcome.orders]


@pytest.mark.parametrize(
    ("rules", "fact"),
    [
        (Rules(budget_turns=11), Spent(generation=3, turns=10)),
        (Rules(), Spent(generation=3, turns=10**9, tokens=10**12)),
        (Rules(budget_minutes=11.0), Spent(generation=3)),
        (Rules(loop_repeats=0), ToolUsed(generation=3, repeats=10**6)),
        (TURNS, Spent(generation=2, turns=10)),
    ],
)
def test_who_reaches_none_goes_on(rules: Rules, fact: Any) -> None:
    outcome = step(an_agent(rules=rules), fact, NOW)
    assert outcome.agent.phase is Phase.RUNNING
    assert outcome.orders == ()


def test_a_yes_lets_it_go_on_where_it_was_with_as_much_again() -> None:
    after = yes(curbed().agent)
    assert (after.agent.phase, after.agent.life is not None) == (Phase.RUNNING, True)
    assert names(after) == ["Thaw"]
    assert events(after) == ["approval_granted", "agent_released"]
    more = step(after.agent, Spent(generation=3, turns=19), NOW + 90.0)
    assert more.agent.phase is Phase.RUNNING
    again = step(more.agent, Spent(generation=3, turns=20), NOW + 95.0)
    assert (again.agent.phase, again.agent.curbs) == (Phase.HELD, 2)
    assert yes(again.agent, hold=1).agent is again.agent  # The answer was about the first.
    assert yes(again.agent, hold=2).agent.phase is Phase.RUNNING


def test_a_no_ends_it_and_only_a_person_brings_it_back() -> None:
    after = no(curbed().agent)
    assert after.agent.phase is Phase.FENCING
    assert names(after) == ["SaveCell"]  # What it did is saved; it stands still meanwhile.
    killed = step(after.agent, CellSaved(generation=3, checkpoint="x"), NOW + 61.0)
    assert names(killed) == ["Thaw", "Kill"]
    gone = step(killed.agent, Exited(generation=3, exit=Exit(signal=9)), NOW + 62.0)
    assert (gone.agent.phase, gone.agent.reason) == (Phase.ESCALATED, "denied")
    assert events(gone) == ["agent_stopped", "agent_escalated"]
    back = step(gone.agent, Enlisted(rules=TURNS, desired=Desired.RUN, request=1), NOW + 70.0)
    assert back.agent.phase is Phase.BACKOFF
    assert back.agent.tab.turns == 0


def test_silence_ends_it_after_a_week() -> None:
    agent = curbed().agent
    assert wake(agent) == NOW + CURB_LONGEST
    late = step(agent, Tick(), NOW + CURB_LONGEST)
    assert (late.agent.phase, late.agent.reason) == (Phase.FENCING, "approval_expired")


def test_a_curbed_life_that_ends_is_no_death_and_the_question_stands() -> None:
    gone = step(curbed().agent, Exited(generation=3, exit=Exit(signal=9)), NOW + 5.0)
    assert (gone.agent.phase, gone.agent.life) == (Phase.HELD, None)
    assert events(gone) == ["agent_left_waiting"]
    assert [type(order) for order in gone.orders] == [Ask]
    assert wake(gone.agent) == NOW + CURB_LONGEST
    assert yes(gone.agent).agent.phase is Phase.BACKOFF
    assert no(gone.agent).agent.phase is Phase.ESCALATED


def test_nothing_but_people_lets_it_go() -> None:
    agent = curbed().agent
    quota = Hold(kind=HoldKind.QUOTA_WAIT, until=NEVER)
    for fact in (
        Beat(generation=3, cycle=9),
        Beat(generation=3, hold=quota),
        Spent(generation=3, turns=1),
        Enlisted(rules=TURNS, desired=Desired.RUN),
        Enlisted(rules=TURNS, desired=Desired.FREEZE),
        Decided(generation=3, approved=True),
        Tick(),
        Mailed(),
    ):
        after = step(agent, fact, NOW + 30.0)
        assert (after.agent.phase, after.agent.curb) == (Phase.HELD, agent.curb), fact
        assert after.agent.frozen_at == agent.frozen_at
        assert "Thaw" not in names(after)


@pytest.mark.parametrize(
    ("want", "phase", "reason"),
    [
        (Enlisted(rules=Rules(budget_turns=50), desired=Desired.RUN), Phase.RUNNING, "rules"),
        (Enlisted(rules=Rules(), desired=Desired.RUN), Phase.RUNNING, "rules"),
        (Enlisted(rules=TURNS, desired=Desired.STOP), Phase.FENCING, "stop"),
        (Enlisted(rules=TURNS, desired=Desired.RUN, request=1), Phase.FENCING, "operator"),
    ],
)
def test_what_people_write_in_the_manifest_wins(want: Enlisted, phase: Phase, reason: str) -> None:
    after = step(curbed().agent, want, NOW + 30.0)
    assert (after.agent.phase, after.agent.reason) == (phase, reason)
    assert "Thaw" in names(after)


def test_an_answer_while_the_cell_is_frozen_waits_for_the_thaw() -> None:
    frozen = step(curbed().agent, Enlisted(rules=TURNS, desired=Desired.FREEZE), NOW + 10.0)
    after = yes(frozen.agent)
    assert (after.agent.phase, after.agent.frozen_at) == (Phase.RUNNING, NOW)
    thawed = step(after.agent, Enlisted(rules=TURNS, desired=Desired.RUN), NOW + 100.0)
    assert names(thawed) == ["Thaw"]


def test_nobody_pays_for_the_time_of_a_wait() -> None:
    rules = Rules(budget_minutes=20.0)
    want = Enlisted(rules=rules, desired=Desired.RUN)
    moving = live(
        an_agent(rules=rules),
        (BORN + 60.0, replace(want, desired=Desired.FREEZE)),
        (BORN + 60_000.0, want),
    ).agent
    assert moving.phase is Phase.RUNNING
    held = live(
        moving,
        (BORN + 60_060.0, Beat(generation=3, hold=Hold(kind=HoldKind.NEEDS_INPUT))),
        (BORN + 90_000.0, Beat(generation=3, cycle=2)),
    ).agent
    late = step(held, Spent(generation=3), BORN + 90_000.0 + 17 * 60.0)
    assert late.agent.phase is Phase.RUNNING
    over = step(held, Spent(generation=3), BORN + 90_000.0 + 18 * 60.0)
    assert over.agent.reason == "budget_minutes"


def test_a_budget_is_for_all_lives() -> None:
    agent = step(an_agent(rules=TURNS), Spent(generation=3, turns=6), NOW).agent
    gone = step(agent, Exited(generation=3, exit=Exit(code=1)), NOW).agent
    assert (gone.tab.turns, gone.tab.life_turns) == (6, 0)
    next_life = replace(an_agent(rules=TURNS), tab=gone.tab)
    assert step(next_life, Spent(generation=3, turns=3), NOW).agent.phase is Phase.RUNNING
    assert step(next_life, Spent(generation=3, turns=4), NOW).agent.phase is Phase.HELD


def test_a_life_that_begins_beyond_its_budget_is_held_at_once() -> None:
    spent = an_agent(Phase.STARTING, rules=TURNS, tab=Tab(turns=10))
    outcome = step(spent, Beat(generation=3, cycle=1), NOW)
    assert outcome.agent.phase is Phase.HELD
    assert events(outcome) == ["agent_ready", "agent_held", "approval_requested"]
    assert names(outcome) == ["Freeze", "Ask"]


def test_a_loop_that_people_know_of_is_asked_about_when_it_goes_on() -> None:
    rules = Rules(loop_repeats=5)
    first = curbed(rules, ToolUsed(generation=3, repeats=5))
    moving = yes(first.agent).agent
    assert step(moving, ToolUsed(generation=3, repeats=9), NOW + 70).agent.phase is Phase.RUNNING
    assert step(moving, ToolUsed(generation=3, repeats=10), NOW + 70).agent.phase is Phase.HELD
    same_round = step(moving, ToolUsed(generation=3, repeats=5), NOW + 70).agent
    assert (
        step(same_round, ToolUsed(generation=3, repeats=9), NOW + 71).agent.phase is Phase.RUNNING
    )
    other = step(moving, ToolUsed(generation=3, repeats=1), NOW + 70).agent
    assert step(other, ToolUsed(generation=3, repeats=5), NOW + 80).agent.phase is Phase.HELD


def test_mail_wakes_who_has_ended_well_where_that_is_the_rule() -> None:
    wakes = Rules(wake_on_mail=True)
    assert step(an_agent(Phase.EXITED), Mailed(), NOW).agent.phase is Phase.EXITED
    woken = step(an_agent(Phase.EXITED, rules=wakes), Mailed(), NOW).agent
    assert (woken.phase, woken.reason, woken.free) == (Phase.BACKOFF, "mail", True)
    for phase in (Phase.STOPPED, Phase.ESCALATED, Phase.AWAITING):
        assert step(an_agent(phase, rules=wakes), Mailed(), NOW).agent.phase is phase
    done = Exited(generation=3, exit=Exit(code=0))
    crossed = live(an_agent(rules=wakes), (NOW, Mailed()), (NOW, done)).agent
    assert (crossed.phase, crossed.reason) == (Phase.BACKOFF, "mail")
    assert crossed.tab.seconds == NOW - BORN
    assert live(an_agent(rules=wakes), (NOW, done)).agent.phase is Phase.EXITED


# ---------------------------------------------------------------- a whole mission


def a_mission(*cells: str) -> Fleet:
    agent = an_agent(rules=Rules(mission_turns=10, revive_policy=RevivePolicy.NEVER))
    return Fleet(FleetRules(), [replace(agent, key=key) for key in cells])


def held(fleet: Fleet) -> list[str]:
    return sorted(key for key, agent in fleet.agents.items() if agent.curb is not None)


def test_a_mission_beyond_its_budget_is_held_as_a_whole_and_no_other_is() -> None:
    fleet = a_mission("pond/a", "pond/b", "lake/a")
    fleet.step("pond/a", Spent(generation=3, turns=6), NOW)
    fleet.step("pond/a", Spent(generation=3, turns=6), NOW)  # The same beat again.
    fleet.step("lake/a", Spent(generation=3, turns=9), NOW)
    assert held(fleet) == []
    fleet.step("pond/b", Spent(generation=3, turns=4), NOW)
    assert held(fleet) == ["pond/a", "pond/b"]
    turn = fleet.take()
    assert {key for key, agent in turn.changed.items() if agent and agent.curb} == set(held(fleet))
    assert sorted(type(order).__name__ for order in turn.orders) == ["Ask", "Ask", *["Freeze"] * 2]
    assert fleet.agents["pond/a"].reason == "mission_turns"


def test_who_is_let_go_on_may_spend_as_much_again_and_the_others_wait() -> None:
    fleet = a_mission("pond/a", "pond/b")
    fleet.step("pond/a", Spent(generation=3, turns=10), NOW)
    assert held(fleet) == ["pond/a", "pond/b"]
    fleet.step("pond/a", Decided(generation=3, approved=True, hold=1), NOW + 1)
    fleet.step("pond/a", Spent(generation=3, turns=19), NOW + 2)
    assert held(fleet) == ["pond/b"]
    fleet.step("pond/a", Spent(generation=3, turns=20), NOW + 3)
    assert held(fleet) == ["pond/a", "pond/b"]


def test_what_a_mission_has_spent_outlives_lives_and_the_daemon() -> None:
    fleet = a_mission("pond/a", "pond/b")
    fleet.step("pond/a", Spent(generation=3, turns=9), NOW)
    fleet.step("pond/a", Exited(generation=3, exit=Exit(code=1)), NOW)
    assert held(fleet) == []
    again = Fleet(FleetRules(), fleet.agents.values())
    again.step("pond/b", Spent(generation=3, turns=1), NOW)
    assert held(again) == ["pond/b"]
    for bound, stays in ((10, ["pond/b"]), (11, [])):
        rules = replace(again.agents["pond/b"].rules, mission_turns=bound)
        again.step("pond/b", Enlisted(rules=rules, desired=Desired.RUN), NOW)
        assert held(again) == stays


def minutes(fleet: Fleet, until: float) -> list[float]:
    """Let time alone pass; return when somebody was held by it."""
    seen = []
    while (when := fleet.wake()) <= until:
        before = held(fleet)
        fleet.tick(when)
        seen += [round(when - NOW, 1)] if held(fleet) != before else []
    return seen


def a_mission_of_minutes(*cells: str) -> Fleet:
    """Each agent was born 10 minutes ago, and its cell has 30 for all its members."""
    rules = Rules(mission_minutes=30.0, liveness=Liveness.PROCESS, revive_policy=RevivePolicy.NEVER)
    agent = replace(an_agent(rules=rules), started=NOW - 600.0, tab=Tab())
    return Fleet(FleetRules(), [replace(agent, key=key) for key in cells])


def test_the_minutes_of_a_mission_are_those_of_all_its_members() -> None:
    fleet = a_mission_of_minutes("pond/a", "pond/b", "lake/a")
    assert minutes(fleet, NOW + 1000.0) == [300.0]
    assert held(fleet) == ["pond/a", "pond/b"]
    assert fleet.agents["pond/a"].reason == "mission_minutes"
    assert minutes(fleet, NOW + 2000.0) == [1200.0]
    assert held(fleet) == ["lake/a", "pond/a", "pond/b"]


def test_minutes_pass_for_those_alone_who_live_and_move() -> None:
    fleet = a_mission_of_minutes("pond/a", "pond/b")
    fleet.step("pond/b", Exited(generation=3, exit=Exit(code=1)), NOW)
    assert minutes(fleet, NOW + 599.0) == []
    frozen = Enlisted(rules=fleet.agents["pond/a"].rules, desired=Desired.FREEZE)
    fleet.step("pond/a", frozen, NOW + 100.0)
    assert minutes(fleet, NOW + 5000.0) == []
    moving = Enlisted(rules=fleet.agents["pond/a"].rules, desired=Desired.RUN)
    fleet.step("pond/a", moving, NOW + 5000.0)
    assert minutes(fleet, NOW + 9000.0) == [5500.0]
    fleet.step("pond/a", Decided(generation=3, approved=True, hold=1), NOW + 9000.0)
    assert held(fleet) == []
    assert minutes(fleet, NOW + 20000.0) == [10800.0]


def test_minutes_of_a_mission_outlive_the_daemon_and_a_higher_bound_lets_go() -> None:
    first = a_mission_of_minutes("pond/a", "pond/b")
    again = Fleet(FleetRules(), first.agents.values())
    assert minutes(again, NOW + 300.0) == [300.0]
    rules = replace(again.agents["pond/a"].rules, mission_minutes=31.0)
    again.step("pond/a", Enlisted(rules=rules, desired=Desired.RUN), NOW + 400.0)
    assert held(again) == ["pond/b"]
    assert minutes(again, NOW + 2000.0) == [460.0]


def test_a_new_daemon_that_hears_the_same_rules_lets_nobody_go() -> None:
    rules = Rules(loop_repeats=5)
    agent = curbed(rules, ToolUsed(generation=3, repeats=5)).agent
    gone = step(agent, Exited(generation=3, exit=Exit(signal=9)), NOW + 5.0).agent
    same = Enlisted(rules=rules, desired=Desired.RUN)
    assert step(gone, same, NOW + 6.0).agent.curb == agent.curb
    more = Enlisted(rules=Rules(loop_repeats=6), desired=Desired.RUN)
    assert step(gone, more, NOW + 6.0).agent.phase is Phase.BACKOFF
