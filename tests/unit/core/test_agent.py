"""One agent's life: what each policy makes of a death, and what a life goes through."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lazarus_pit.core import health
from lazarus_pit.core.agent import is_void, owed, wake
from lazarus_pit.core.events import (
    Admitted,
    Adopted,
    Beat,
    Decided,
    Enlisted,
    Exited,
    Kill,
    Looked,
    Spawn,
    Spawned,
    SpawnFailed,
    Thawed,
    Tick,
)
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    Hold,
    HoldKind,
    Liveness,
    Look,
    OnStall,
    Phase,
    Restart,
    RevivePolicy,
    Rules,
)
from unit.core.lives import BORN, KEY, LIFE, an_agent, events, live, names

CRASH = Exit(code=1)


def exited(ending: Exit = CRASH, generation: int = 3) -> Exited:
    return Exited(generation=generation, exit=ending)


def want(desired: Desired, request: int = 0, rules: Rules | None = None) -> Enlisted:
    return Enlisted(rules=rules or Rules(), desired=desired, request=request)


# ---------------------------------------------------------------- what follows a death


@pytest.mark.parametrize(
    ("rules", "ending", "phase", "reason"),
    [
        (Rules(), CRASH, Phase.BACKOFF, "exited"),
        (Rules(), Exit(signal=9), Phase.BACKOFF, "exited"),
        (Rules(), Exit(code=0), Phase.EXITED, "finished"),
        (Rules(), Exit(code=78), Phase.ESCALATED, "no_retry_exit_code"),
        (Rules(restart=Restart.ALWAYS), Exit(code=0), Phase.BACKOFF, "exited"),
        (Rules(restart=Restart.NEVER), CRASH, Phase.EXITED, "finished"),
        (Rules(revive_policy=RevivePolicy.ASK), CRASH, Phase.AWAITING, "ask"),
        (Rules(revive_policy=RevivePolicy.NEVER), CRASH, Phase.ESCALATED, "policy_never"),
        (Rules(max_revive_attempts=0), CRASH, Phase.ESCALATED, "attempts_exhausted"),
    ],
)
def test_a_death_by_policy(rules: Rules, ending: Exit, phase: Phase, reason: str) -> None:
    after = step(an_agent(rules=rules), exited(ending), BORN + 60).agent
    assert (after.phase, after.reason, after.life) == (phase, reason, None)


def test_a_life_that_lasted_is_followed_at_once_a_short_one_by_backoff() -> None:
    lasted = step(an_agent(), exited(), BORN + 60).agent
    assert lasted.due == BORN + 60
    short = step(an_agent(), exited(), BORN + 1).agent
    assert (short.failures, short.due) == (1, BORN + 2)


def test_a_temporary_agent_is_not_revived_after_a_hang_either() -> None:
    fencing = an_agent(Phase.FENCING, rules=Rules(restart=Restart.NEVER))
    outcome = step(fencing, exited(), BORN + 60)
    assert (outcome.agent.phase, outcome.agent.reason) == (Phase.ESCALATED, "restart_never")
    assert events(outcome) == ["agent_died", "agent_escalated"]


def test_giving_up_names_the_command_that_clears_it() -> None:
    outcome = step(an_agent(rules=Rules(max_revive_attempts=0)), exited(), BORN + 60)
    assert outcome.told[-1].data["clear"] == f"lazarus revive {KEY}"


def test_an_attempt_is_recorded_with_the_decision_to_start() -> None:
    queued = an_agent(Phase.BACKOFF, queued=True)
    outcome = step(queued, Admitted(), BORN + 5)
    assert outcome.agent.attempts == (BORN + 5,)
    assert outcome.agent.generation == 4
    assert outcome.orders == (Spawn(key=KEY, generation=4),)


def test_a_reboot_is_nobodys_failure() -> None:
    after = step(an_agent(), exited(Exit(note="reboot")), BORN + 1).agent
    assert (after.phase, after.free, after.failures) == (Phase.BACKOFF, True, 0)


def test_an_end_of_an_older_life_changes_nothing() -> None:
    agent = an_agent()
    assert step(agent, exited(generation=2), BORN + 5) == (agent, (), ())


# ---------------------------------------------------------------- starting


def test_a_start_is_ready_with_its_first_beat() -> None:
    starting = an_agent(Phase.STARTING, life=None)
    outcome = live(
        starting,
        (BORN + 1, Spawned(generation=3, life=LIFE)),
        (BORN + 2, Beat(generation=3, cycle=1)),
    )
    assert outcome.agent.phase is Phase.RUNNING
    assert events(outcome) == ["agent_started", "agent_ready"]


def test_a_start_that_is_not_ready_in_time_is_looked_at_and_then_ended() -> None:
    starting = an_agent(Phase.STARTING)
    assert wake(starting) == BORN + 60
    warned = live(starting, (BORN + 60, Tick()))
    assert events(warned) == ["heartbeat_stale"]
    assert wake(warned.agent) == BORN + 119.5
    outcome = live(
        warned.agent,
        (BORN + 119.5, Tick()),
        (BORN + 119.7, Looked(generation=3, look=Look(computing=False))),
        (BORN + 120.0, Tick()),
    )
    assert names(outcome) == ["LookAt", "SaveCell"]
    assert (outcome.agent.phase, outcome.agent.reason) == (Phase.FENCING, "start_timeout")


def test_the_time_of_a_start_runs_from_when_the_process_exists() -> None:
    late = step(an_agent(Phase.STARTING, life=None), Spawned(generation=3, life=LIFE), BORN + 50)
    assert wake(late.agent) == BORN + 110
    assert wake(replace(late.agent, warned=health.Finding.STALE)) == BORN + 169.5


def test_a_start_that_cannot_be_is_given_up_and_another_is_tried_again() -> None:
    starting = an_agent(Phase.STARTING, life=None)
    fatal = step(starting, SpawnFailed(generation=3, why="no program", fatal=True), BORN + 1)
    assert (fatal.agent.phase, fatal.agent.reason) == (Phase.ESCALATED, "cannot_start")
    again = step(starting, SpawnFailed(generation=3, why="no memory"), BORN + 1)
    assert (again.agent.phase, again.agent.failures) == (Phase.BACKOFF, 1)


# ---------------------------------------------------------------- hangs, stalls


def test_a_hang_is_warned_of_looked_at_and_only_then_ended() -> None:
    outcome = live(
        an_agent(),
        (BORN + 60.0, Tick()),
        (BORN + 119.5, Tick()),
        (BORN + 119.8, Looked(generation=3, look=Look(output_age=300.0, computing=False))),
        (BORN + 120.0, Tick()),
    )
    assert events(outcome) == ["heartbeat_stale", "agent_hung"]
    assert names(outcome) == ["LookAt", "SaveCell"]
    readings = outcome.told[-1].data
    assert (readings["beat_age"], readings["computing"]) == (120.0, False)


@pytest.mark.parametrize(
    "look",
    [Look(), Look(output_age=300.0), Look(output_age=1.0, computing=False), Look(computing=True)],
    ids=["saw nothing", "cannot tell if it computes", "writes", "computes"],
)
def test_a_look_that_does_not_confirm_spares_it(look: Look) -> None:
    outcome = live(
        an_agent(warned=health.Finding.STALE),
        (BORN + 119.5, Tick()),
        (BORN + 119.8, Looked(generation=3, look=look)),
        (BORN + 120.0, Tick()),
        (BORN + 121.0, Tick()),
    )
    assert outcome.agent.phase is Phase.RUNNING
    assert "Kill" not in names(outcome)
    assert wake(outcome.agent) > BORN + 121.0


def test_a_stall_is_told_or_ended_as_the_rules_say() -> None:
    for on_stall, ordered in ((OnStall.TELL, []), (OnStall.REVIVE, ["SaveCell"])):
        outcome = live(
            an_agent(rules=Rules(stall_after=50.0, on_stall=on_stall)),
            (BORN + 51.0, Beat(generation=3)),
            (BORN + 51.0, Tick()),
            (BORN + 51.2, Looked(generation=3, look=Look(output_age=60.0))),
            (BORN + 51.2, Tick()),
        )
        assert events(outcome) == ["agent_stalled"]
        assert names(outcome)[1:] == ordered


def test_a_stable_life_clears_its_attempts_an_unwell_one_does_not() -> None:
    rules = Rules(resurrect_after=900.0)
    tried = an_agent(rules=rules, attempts=(BORN,), failures=1)
    well = live(tried, (BORN + 299, Beat(generation=3)), (BORN + 300, Tick())).agent
    assert (well.attempts, well.failures) == ((), 0)
    unwell = live(tried, (BORN + 60, Tick()), (BORN + 300, Tick())).agent
    assert unwell.attempts == (BORN,)


# ---------------------------------------------------------------- fencing


def test_fencing_grows_sterner_and_says_once_that_it_is_stuck() -> None:
    outcome = live(
        an_agent(Phase.FENCING),
        *((BORN + 2.0 * turn, Tick()) for turn in range(1, 6)),
    )
    assert [order.force for order in outcome.orders if isinstance(order, Kill)] == [True] * 5
    assert events(outcome) == ["agent_fence_stuck"]


def test_nothing_but_proof_leads_out_of_fencing() -> None:
    fencing = an_agent(Phase.FENCING)
    for fact in (Tick(), Beat(generation=3), Admitted(), want(Desired.RUN)):
        assert step(fencing, fact, BORN + 500).agent.phase is Phase.FENCING


# ---------------------------------------------------------------- held


def test_a_hold_burns_no_attempt() -> None:
    hold = Hold(kind=HoldKind.QUOTA_WAIT, until=BORN + 500)
    outcome = live(
        an_agent(),
        (BORN + 10, Beat(generation=3, hold=hold)),
        (BORN + 20, exited()),
        (BORN + 500, Tick()),
        (BORN + 500, Tick()),
        (BORN + 500, Admitted()),
    )
    assert events(outcome) == ["agent_held", "agent_left_waiting"]
    assert (outcome.agent.phase, outcome.agent.attempts) == (Phase.STARTING, ())


def test_a_quota_that_names_no_time_is_tried_again() -> None:
    held = an_agent(Phase.HELD, life=LIFE, hold=Hold(kind=HoldKind.QUOTA_WAIT))
    assert wake(step(held, exited(), BORN + 5).agent) == BORN + 905


def test_a_beat_without_a_hold_releases() -> None:
    held = an_agent(Phase.HELD, life=LIFE, hold=Hold(kind=HoldKind.NEEDS_INPUT))
    outcome = step(held, Beat(generation=3), BORN + 5000)
    assert (outcome.agent.phase, events(outcome)) == (Phase.RUNNING, ["agent_released"])


# ---------------------------------------------------------------- approvals


def test_a_yes_starts_and_counts_as_an_attempt() -> None:
    asked = step(an_agent(rules=Rules(revive_policy=RevivePolicy.ASK)), exited(), BORN + 60)
    assert names(asked) == ["Ask"]
    yes = Decided(generation=3, approved=True, by="ann")
    outcome = live(asked.agent, (BORN + 70, yes), (BORN + 70, Tick()), (BORN + 70, Admitted()))
    assert (outcome.agent.generation, outcome.agent.attempts) == (4, (BORN + 70,))


def test_a_no_gives_up_and_a_later_yes_does_not_count() -> None:
    awaiting = an_agent(Phase.AWAITING, due=BORN + 300)
    no = Decided(generation=3, approved=False)
    outcome = live(awaiting, (BORN + 5, no), (BORN + 6, Decided(generation=3, approved=True)))
    assert (outcome.agent.phase, outcome.agent.reason) == (Phase.ESCALATED, "denied")


def test_a_yes_after_the_request_has_expired_does_not_count() -> None:
    awaiting = an_agent(Phase.AWAITING, due=BORN + 300)
    late = Decided(generation=3, approved=True)
    outcome = live(awaiting, (BORN + 300, Tick()), (BORN + 301, late))
    assert outcome.agent.reason == "approval_expired"


def test_a_yes_that_was_given_in_time_and_is_heard_after_it_counts() -> None:
    """The records take none that is late; this one came while no daemon ran."""
    awaiting = an_agent(Phase.AWAITING, due=BORN + 300)
    outcome = live(awaiting, (BORN + 900, Decided(generation=3, approved=True)))
    assert outcome.agent.reason == "approved"


def test_a_yes_for_another_death_does_not_count() -> None:
    awaiting = an_agent(Phase.AWAITING, due=BORN + 300)
    assert step(awaiting, Decided(generation=2, approved=True), BORN + 5).agent is awaiting


# ---------------------------------------------------------------- what people want


def test_what_was_stopped_stays_so_until_people_want_it_again() -> None:
    outcome = live(
        an_agent(), (BORN + 5, want(Desired.STOP)), (BORN + 6, exited()), (BORN + 999, Tick())
    )
    assert (outcome.agent.phase, events(outcome)) == (Phase.STOPPED, ["agent_stopped"])
    again = live(outcome.agent, (BORN + 1000, want(Desired.RUN)), (BORN + 1000, Tick()))
    assert again.agent.queued


def test_a_freeze_suspends_every_deadline_and_a_thaw_begins_anew() -> None:
    frozen = step(an_agent(), want(Desired.FREEZE), BORN + 5)
    assert names(frozen) == ["Freeze"]
    assert wake(frozen.agent) == NEVER
    thawed = step(frozen.agent, want(Desired.RUN), BORN + 9000)
    assert names(thawed) == ["Thaw"]
    assert wake(thawed.agent) == BORN + 9060


def test_a_thaw_is_owed_until_it_is_confirmed() -> None:
    frozen = step(an_agent(), want(Desired.FREEZE), BORN + 5).agent
    thawing = step(frozen, want(Desired.RUN), BORN + 9).agent
    assert [type(order).__name__ for order in owed(thawing)] == ["Thaw"]
    assert owed(step(thawing, Thawed(generation=3), BORN + 10).agent) == []


def test_a_frozen_start_is_not_carried_out_before_the_thaw() -> None:
    frozen = step(an_agent(Phase.STARTING, life=None), want(Desired.FREEZE), BORN + 1)
    assert names(frozen) == []
    assert owed(frozen.agent) == []
    assert names(step(frozen.agent, want(Desired.RUN), BORN + 50)) == ["Spawn"]


@pytest.mark.parametrize("phase", [Phase.ESCALATED, Phase.EXITED, Phase.STOPPED, Phase.AWAITING])
def test_a_revive_by_hand_clears_what_barred_it(phase: Phase) -> None:
    spent = an_agent(phase, attempts=(BORN,), failures=2, due=BORN + 300)
    outcome = live(spent, (BORN + 5, want(Desired.RUN, request=1)), (BORN + 5, Tick()))
    assert outcome.agent.queued
    assert (outcome.agent.attempts, outcome.agent.failures, outcome.agent.free) == ((), 0, True)
    assert step(outcome.agent, want(Desired.RUN, request=1), BORN + 6).told == ()


def test_a_revive_by_hand_replaces_what_lives_even_while_it_is_ended() -> None:
    running = step(an_agent(), want(Desired.RUN, request=1), BORN + 5)
    assert (names(running), running.agent.reason) == (["Kill"], "operator")
    never = an_agent(Phase.FENCING, rules=Rules(revive_policy=RevivePolicy.NEVER))
    asked = want(Desired.RUN, request=1, rules=never.rules)
    outcome = live(never, (BORN + 5, asked), (BORN + 6, exited()))
    assert (outcome.agent.phase, outcome.agent.free) == (Phase.BACKOFF, True)


# ---------------------------------------------------------------- after the daemon's own death


def test_time_that_nobody_looked_is_not_held_against_it() -> None:
    adopted = step(an_agent(), Adopted(generation=3, life=LIFE), BORN + 9000).agent
    assert wake(adopted) == BORN + 9060
    starting = an_agent(Phase.STARTING)
    late = step(starting, Adopted(generation=3, life=LIFE), BORN + 9000).agent
    assert wake(late) == BORN + 9060
    assert wake(replace(late, warned=health.Finding.STALE)) == BORN + 9119.5


@pytest.mark.parametrize(
    ("phase", "orders"),
    [
        (Phase.STARTING, ["Spawn"]),
        (Phase.FENCING, ["Kill"]),
        (Phase.AWAITING, ["Ask"]),
        (Phase.RUNNING, []),
        (Phase.ESCALATED, []),
    ],
)
def test_what_each_phase_owes(phase: Phase, orders: list[str]) -> None:
    agent = an_agent(phase, life=None)
    assert [type(order).__name__ for order in owed(agent)] == orders


def test_what_a_pause_credits_does_not_show_that_a_start_works() -> None:
    """A thaw and an adoption forgive the silence; only what a look saw makes an agent ready."""
    starting = an_agent(Phase.STARTING, look_sent=BORN + 120)
    credited = replace(starting, vitals=health.resumed(starting.vitals, BORN + 60))
    silent = Looked(generation=3, look=Look(output_age=120.0, computing=False))
    assert step(credited, silent, BORN + 120).agent.phase is Phase.STARTING
    working = Looked(generation=3, look=Look(output_age=90.0, computing=False))
    assert step(credited, working, BORN + 120).agent.phase is Phase.RUNNING


def test_a_beat_that_says_nothing_leaves_the_last_word() -> None:
    spoken = step(an_agent(), Beat(status="serving"), BORN + 10)
    assert events(spoken) == ["heartbeat"]
    silent = step(spoken.agent, Beat(), BORN + 20)
    assert (silent.agent.status, events(silent)) == ("serving", [])


def test_a_revive_asked_for_before_we_knew_the_agent_replaces_nobody() -> None:
    unknown = an_agent(request=-1)
    heard = step(unknown, Enlisted(rules=Rules(), desired=Desired.RUN, request=4), BORN + 10)
    assert (heard.agent.phase, heard.agent.request, heard.orders) == (Phase.RUNNING, 4, ())
    again = step(heard.agent, Enlisted(rules=Rules(), desired=Desired.RUN, request=5), BORN + 20)
    assert again.agent.phase is Phase.FENCING


def test_a_start_that_is_overtaken_in_its_turn_is_void() -> None:
    starting = an_agent(Phase.STARTING, life=None)
    order = owed(starting)[0]
    assert not is_void(order, starting)
    stop = Enlisted(rules=Rules(), desired=Desired.STOP)
    freeze = Enlisted(rules=Rules(), desired=Desired.FREEZE)
    assert is_void(order, step(starting, stop, BORN).agent)
    assert is_void(order, step(starting, freeze, BORN).agent)
    assert is_void(order, replace(starting, generation=4))


def test_a_start_whose_new_rule_asks_for_no_beat_is_ready_at_once() -> None:
    starting, process = an_agent(Phase.STARTING), Rules(liveness=Liveness.PROCESS)
    for agent, rules, phase, told in (
        (starting, process, Phase.RUNNING, ["agent_ready"]),
        (starting, Rules(), Phase.STARTING, []),
        (replace(starting, life=None), process, Phase.STARTING, []),
    ):
        after = live(agent, (BORN + 9.0, want(Desired.RUN, rules=rules)))
        assert (after.agent.phase, events(after)) == (phase, told)
