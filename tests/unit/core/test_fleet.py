"""What only a fleet can know: the storm gate, the admission gate, the budget, the heap."""

from __future__ import annotations

from msgspec.structs import replace

from lazarus_pit.core import health
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import (
    Beat,
    CellSaved,
    Dismissed,
    Enlisted,
    Exited,
    Kill,
    LookAt,
    Looked,
    ObserverBlinded,
    ObserverDoubted,
    ObserverSaw,
    Order,
    Prepare,
    Prepared,
    SaveCell,
    Spawn,
    SpawnFailed,
)
from lazarus_pit.core.fleet import Fleet, restamp
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    FleetRules,
    Hold,
    HoldKind,
    Instant,
    Look,
    OnRevive,
    Phase,
    Rules,
)
from unit.core.lives import BORN, LIFE, an_agent


def a_fleet(count: int, rules: FleetRules | None = None, agent: Agent | None = None) -> Fleet:
    template = agent or an_agent(warned=health.Finding.STALE)
    agents = [replace(template, key=f"cell/{number}") for number in range(count)]
    return Fleet(rules or FleetRules(), agents)


def ticked(fleet: Fleet, now: Instant) -> list[Order]:
    fleet.tick(now)
    return fleet.take().orders


def silent(fleet: Fleet, now: Instant, *keys: str) -> None:
    for key in keys:
        look = Look(output_age=500.0, computing=False)
        fleet.step(key, Looked(generation=3, look=look), now)


def until(fleet: Fleet, end: Instant, *, dead: bool) -> list[Order]:
    """Let time pass to ``end``; every look finds silence if ``dead``, else a beat comes first."""
    kills: list[Order] = []
    now = BORN
    while fleet.wake() <= end:
        now = max(now, fleet.wake())
        for order in ticked(fleet, now):
            if isinstance(order, SaveCell):
                fleet.step(order.key, CellSaved(generation=3, why="no room"), now)
                kills += fleet.take().orders
            elif isinstance(order, Kill):
                kills.append(order)
            elif isinstance(order, LookAt):
                if not dead:
                    fleet.step(order.key, Beat(generation=3), now)
                silent(fleet, now + 0.1, order.key)
    return kills


# ---------------------------------------------------------------- doubt


def test_many_silent_at_once_are_doubted_first_and_believed_later() -> None:
    fleet = a_fleet(5)
    assert ticked(fleet, BORN + 119.5) == []
    assert [told.event for told in fleet.turn.told] == []
    assert fleet.wake() == BORN + 149.5
    kills = until(fleet, BORN + 151, dead=True)
    assert len(kills) == 5


def test_nobody_else_of_a_cell_begins_while_it_is_restored() -> None:
    rules = Rules(on_revive=OnRevive.RESTORE)
    dead = an_agent(Phase.BACKOFF, rules=rules, revived=True, due=BORN)
    keys = ("pond/a", "pond/b", "lake/a")
    fleet = Fleet(FleetRules(), [replace(dead, key=key, died=BORN) for key in keys])
    began = ticked(fleet, BORN + 1)
    assert [(type(order), order.key) for order in began] == [
        (Prepare, "lake/a"),
        (Prepare, "pond/a"),
    ]
    assert fleet.wake() > BORN + 1
    again = Fleet(FleetRules(), fleet.agents.values())
    assert [order.key for order in again.owed()] == ["pond/a", "lake/a"]
    for one in (fleet, again):
        one.step("pond/a", Prepared(generation=4, done="put back"), BORN + 2)
        first, *rest = ticked(one, BORN + 2)
        assert (type(first), first.key, rest[0].key) == (Spawn, "pond/a", "pond/b")
        assert isinstance(rest[0], Spawn), "pond/a lives by then: pond/b resumes"
        assert len(rest) == 1


def test_doubt_spares_those_whose_beats_come_back() -> None:
    fleet = a_fleet(5)
    ticked(fleet, BORN + 119.5)
    for number in range(5):
        fleet.step(f"cell/{number}", Beat(generation=3), BORN + 130)
    assert until(fleet, BORN + 189, dead=False) == []


def test_a_few_silent_among_many_are_not_doubted() -> None:
    fleet = a_fleet(5)
    for number in range(3):
        fleet.step(f"cell/{number}", Beat(generation=3), BORN + 100)
    looks = [order.key for order in ticked(fleet, BORN + 119.5) if isinstance(order, LookAt)]
    assert looks == ["cell/3", "cell/4"]


def test_less_than_five_are_never_a_storm() -> None:
    assert len(ticked(a_fleet(4), BORN + 119.5)) == 4


def test_verdicts_wait_while_the_pit_doubts_its_eyes() -> None:
    fleet = a_fleet(2)
    fleet.observe(ObserverDoubted(why="late_sweep"), BORN + 119)
    assert ticked(fleet, BORN + 119.5) == []
    assert len(ticked(fleet, BORN + 149)) == 2


def test_nobody_is_judged_while_blind() -> None:
    fleet = a_fleet(2)
    fleet.observe(ObserverBlinded(why="overflow"), BORN)
    for hour in range(1, 4):
        assert ticked(fleet, BORN + 3600.0 * hour) == []
    fleet.observe(ObserverSaw(), BORN + 10_801)
    assert len(ticked(fleet, BORN + 10_802)) == 2


# ---------------------------------------------------------------- admission and budget

DEAD = an_agent(Phase.BACKOFF, due=BORN, revived=True)


def test_so_many_start_at_once_and_the_rest_wait_for_a_place() -> None:
    fleet = a_fleet(5, FleetRules(starts_in_flight=2, start_slot=2.0), DEAD)
    assert [order.key for order in ticked(fleet, BORN)] == ["cell/0", "cell/1"]
    assert fleet.wake() == BORN + 2.0
    fleet.step("cell/0", SpawnFailed(generation=4, why="no memory"), BORN + 1)
    assert [order.key for order in ticked(fleet, BORN + 1)] == ["cell/2"]
    assert [order.key for order in ticked(fleet, BORN + 2)] == ["cell/3"]


def test_the_oldest_death_comes_first() -> None:
    fleet = a_fleet(3, FleetRules(starts_in_flight=1), DEAD)
    for number, died in enumerate((30.0, 10.0, 20.0)):
        key = f"cell/{number}"
        fleet.agents[key] = replace(fleet.agents[key], died=died)
    assert [order.key for order in ticked(fleet, BORN)] == ["cell/1"]


def test_the_fleet_revives_within_a_budget_and_says_once_when_it_is_spent() -> None:
    rules = FleetRules(starts_in_flight=99, storm_floor=2, storm_per_agent=0.5, storm_window=60.0)
    fleet = a_fleet(5, rules, DEAD)
    fleet.tick(BORN)
    turn = fleet.take()
    assert len(turn.orders) == 2
    assert [told.event for told in turn.told] == ["revival_storm"]
    assert fleet.wake() == BORN + 60.0
    fleet.tick(BORN + 60.0)
    again = fleet.take()
    assert len(again.orders) == 2


def test_a_budget_of_nothing_still_lets_one_revive_at_a_time() -> None:
    """Else the wait for it would have no end."""
    rules = FleetRules(storm_floor=0, storm_per_agent=0.0, storm_window=60.0)
    fleet = a_fleet(2, rules, DEAD)
    assert len(ticked(fleet, BORN)) == 1
    assert fleet.wake() == BORN + 60.0
    assert len(ticked(fleet, BORN + 60.0)) == 1


def test_who_joins_the_queue_at_a_restart_gets_a_turn_with_the_next_tick() -> None:
    fleet = a_fleet(1, agent=replace(DEAD, queued=True))
    assert fleet.owed() == []
    assert fleet.wake() <= BORN
    assert [type(order) for order in ticked(fleet, BORN)] == [Spawn]


# ---------------------------------------------------------------- coming and going


def test_an_agent_that_is_removed_is_ended_and_then_forgotten() -> None:
    fleet = a_fleet(1)
    fleet.step("cell/0", Dismissed(), BORN + 1)
    assert [type(order) for order in fleet.take().orders] == [Kill]
    fleet.step("cell/0", Exited(generation=3, exit=Exit(signal=15)), BORN + 2)
    assert fleet.take().changed == {"cell/0": None}
    assert fleet.agents == {}


def test_an_agent_that_is_removed_while_it_starts_is_forgotten_if_the_start_fails() -> None:
    fleet = a_fleet(1, agent=an_agent(Phase.STARTING, life=None))
    fleet.step("cell/0", Dismissed(), BORN + 1)
    fleet.step("cell/0", SpawnFailed(generation=3, why="no memory"), BORN + 2)
    assert fleet.agents == {}


def test_who_is_enlisted_again_before_the_end_stays() -> None:
    fleet = a_fleet(1)
    fleet.step("cell/0", Dismissed(), BORN + 1)
    fleet.step("cell/0", Enlisted(rules=Rules(), desired=Desired.RUN), BORN + 2)
    fleet.take()
    fleet.step("cell/0", Exited(generation=3, exit=Exit(signal=15)), BORN + 3)
    assert [order.generation for order in ticked(fleet, BORN + 3)] == [4]


def test_who_comes_back_is_not_taken_for_who_was() -> None:
    fleet = a_fleet(1, agent=an_agent(Phase.ESCALATED))
    fleet.step("cell/0", Dismissed(), BORN)
    fleet.step("cell/0", Enlisted(rules=Rules(), desired=Desired.RUN), BORN)
    assert [order.generation for order in ticked(fleet, BORN)] == [4]


def test_who_is_removed_and_enlisted_in_one_turn_is_recorded() -> None:
    fleet = a_fleet(1, agent=an_agent(Phase.STOPPED, desired=Desired.STOP))
    fleet.step("cell/0", Dismissed(), BORN)
    fleet.step("cell/0", Enlisted(rules=Rules(), desired=Desired.RUN), BORN)
    assert fleet.take().changed["cell/0"] is not None


# ---------------------------------------------------------------- the heap, the boot


def test_beats_are_not_written_down_and_leave_one_entry_in_the_heap() -> None:
    fleet = a_fleet(1, agent=an_agent())
    for second in range(1, 2000):
        fleet.step("cell/0", Beat(generation=3, cycle=second), BORN + second)
        fleet.tick(BORN + second)
    turn = fleet.take()
    assert (turn.changed, turn.orders) == ({}, [])
    assert len(fleet._heap) < 3


def test_a_deadline_that_has_passed_does_not_wake_twice() -> None:
    fleet = a_fleet(1)
    while fleet.wake() < BORN + 500:
        before = fleet.wake()
        fleet.tick(before)
        assert fleet.wake() > before


def test_instants_of_another_boot_are_not_believed() -> None:
    held = an_agent(
        Phase.HELD, attempts=(BORN,), hold=Hold(kind=HoldKind.QUOTA_WAIT, until=BORN + 5)
    )
    assert restamp(held, 7.0, same_boot=True) is held
    anew = restamp(held, 7.0, same_boot=False)
    assert (anew.since, anew.attempts, anew.vitals) == (7.0, (7.0,), health.fresh(7.0))
    assert anew.hold == Hold(kind=HoldKind.QUOTA_WAIT, until=907.0)
    waits = replace(held, hold=Hold(kind=HoldKind.AUTH_HOLD), life=LIFE)
    assert restamp(waits, 7.0, same_boot=False).hold == Hold(kind=HoldKind.AUTH_HOLD, until=NEVER)
