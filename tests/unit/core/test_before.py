"""What comes before: a checkpoint before a kill of its own, a restore before a revive."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lazarus_pit.core.agent import Agent, is_void, owed, wake
from lazarus_pit.core.events import (
    Admitted,
    CellSaved,
    Enlisted,
    Prepare,
    Prepared,
    SaveCell,
    Tick,
)
from lazarus_pit.core.health import Finding
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import Desired, Look, OnRevive, Phase, Rules
from unit.core.lives import BORN, an_agent, events, names


def test_a_kill_of_its_own_waits_for_a_checkpoint_and_not_for_ever() -> None:
    saving = an_agent(Phase.FENCING, saving=True, reason="hung")
    assert [type(order) for order in owed(saving)] == [SaveCell]
    saved = step(saving, CellSaved(generation=3, checkpoint="20260406T000000.000000Z"), BORN + 2)
    failed = step(saving, CellSaved(generation=3, why="the disk is full"), BORN + 2)
    late = step(saving, Tick(), BORN + 30)
    for outcome, event in ((saved, "saved"), (failed, "unsaved"), (late, "unsaved")):
        assert events(outcome) == [f"agent_{event}"]
        assert names(outcome) == ["Kill"]
    assert wake(saving) == BORN + 30
    assert step(late.agent, CellSaved(generation=3, checkpoint="x"), BORN + 31).told == ()


def test_what_people_end_and_what_shall_not_be_saved_is_killed_at_once() -> None:
    stop = Enlisted(rules=Rules(), desired=Desired.STOP)
    assert names(step(an_agent(), stop, BORN + 1)) == ["Kill"]
    unsaved = an_agent(rules=Rules(save_before_kill=0.0, start_timeout=1.0), phase=Phase.STARTING)
    looked = replace(unsaved, look=Look(computing=False), looked=BORN + 1, warned=Finding.STALE)
    assert names(step(looked, Tick(), BORN + 1)) == ["Kill"]


# ---------------------------------------------------------------- with what a life begins


def dead(on_revive: OnRevive, **changes: Any) -> Agent:
    rules = Rules(on_revive=on_revive)
    return an_agent(Phase.BACKOFF, rules=rules, queued=True, revived=True, **changes)


def test_a_revive_begins_as_its_rule_says() -> None:
    for how in (OnRevive.RESTORE, OnRevive.FRESH):
        admitted = step(dead(how), Admitted(), BORN + 1)
        assert admitted.orders == (Prepare(key="cell/agent", generation=4, how=how),)
        done = step(admitted.agent, Prepared(generation=4, done="put back"), BORN + 9)
        assert (events(done), names(done)) == (["agent_prepared"], ["Spawn"])
        assert done.told[0].data == {"generation": 4, "how": how.value, "done": "put back"}
        vain = step(admitted.agent, Prepared(generation=4, why="no checkpoint"), BORN + 9)
        assert (events(vain), names(vain)) == (["agent_resumed"], ["Spawn"])
    assert names(step(dead(OnRevive.RESUME), Admitted(), BORN + 1)) == ["Spawn"]


def test_nothing_is_put_back_under_others_after_a_reboot_or_a_persons_hand() -> None:
    crowded = step(dead(OnRevive.RESTORE), Admitted(alone=False), BORN + 1)
    assert (events(crowded), names(crowded)) == (["agent_resumed"], ["Spawn"])
    fresh = step(dead(OnRevive.FRESH), Admitted(alone=False), BORN + 1)
    assert names(fresh) == ["Prepare"]
    for nobodys in (
        dead(OnRevive.RESTORE, free=True),
        replace(dead(OnRevive.FRESH), revived=False),
    ):
        assert names(step(nobodys, Admitted(), BORN + 1)) == ["Spawn"]


def test_a_life_that_is_unwanted_before_it_began_does_not_begin() -> None:
    preparing = step(dead(OnRevive.RESTORE), Admitted(), BORN + 1).agent
    stopped = step(preparing, Enlisted(rules=Rules(), desired=Desired.STOP), BORN + 2).agent
    assert step(stopped, Prepared(generation=4, done="put back"), BORN + 3).orders == ()
    frozen = step(preparing, Enlisted(rules=Rules(), desired=Desired.FREEZE), BORN + 2).agent
    prepared = step(frozen, Prepared(generation=4, done="put back"), BORN + 3)
    assert prepared.orders == ()
    thawed = step(prepared.agent, Enlisted(rules=Rules(), desired=Desired.RUN), BORN + 4)
    assert names(thawed) == ["Spawn"]


def test_a_restore_that_is_asked_for_again_and_done_in_one_turn_is_not_begun_again() -> None:
    """Thawed, which asks for it again, and told that it is done: the life begins, on all of it."""
    frozen = an_agent(Phase.STARTING, life=None, begin=OnRevive.RESTORE, frozen_at=BORN)
    frozen = replace(frozen, desired=Desired.FREEZE)
    thawed = step(frozen, Enlisted(rules=frozen.rules, desired=Desired.RUN), BORN + 9)
    done = step(thawed.agent, Prepared(generation=3, done="restored"), BORN + 9)
    assert (names(thawed), names(done)) == (["Prepare"], ["Spawn"])
    assert not is_void(thawed.orders[0], thawed.agent)
    assert is_void(thawed.orders[0], done.agent)
    assert not is_void(done.orders[0], done.agent)
