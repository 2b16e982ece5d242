"""After a restart: the records are compared with the world."""

from __future__ import annotations

from msgspec.structs import replace

from lazarus_pit.core.agent import owed
from lazarus_pit.core.events import Adopted, Enlisted, Exited
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import Exit, OnRevive, Phase
from lazarus_pit.daemon.adopt import adopt
from unit.core.lives import BORN, KEY, LIFE, an_agent

NOW = BORN + 100


def test_what_lives_is_adopted() -> None:
    adoption = adopt([an_agent()], {(KEY, 3): LIFE}, {}, NOW)
    assert adoption.facts == [(KEY, Adopted(generation=3, life=LIFE))]
    assert adoption.strays == []


def test_what_ended_meanwhile_is_heard_of_with_its_exit() -> None:
    adoption = adopt([an_agent()], {}, {(KEY, 3): Exit(code=7)}, NOW)
    assert adoption.facts == [(KEY, Exited(generation=3, exit=Exit(code=7)))]


def test_what_is_gone_without_a_trace_ended_unseen() -> None:
    adoption = adopt([an_agent()], {}, {}, NOW)
    assert adoption.facts == [(KEY, Exited(generation=3, exit=Exit(note="unseen")))]


def test_a_start_that_was_never_carried_out_is_left_to_what_is_owed() -> None:
    adoption = adopt([an_agent(Phase.STARTING, life=None)], {}, {}, NOW)
    assert adoption.facts == []


def test_a_start_that_was_carried_out_but_not_recorded_is_found() -> None:
    starting = an_agent(Phase.STARTING, life=None)
    assert adopt([starting], {(KEY, 3): LIFE}, {}, NOW).facts == [
        (KEY, Adopted(generation=3, life=LIFE))
    ]
    assert adopt([starting], {}, {(KEY, 3): Exit(code=1)}, NOW).facts == [
        (KEY, Exited(generation=3, exit=Exit(code=1)))
    ]


def test_who_lives_is_not_begun_or_restored_by_any_wish_that_is_heard_before_it() -> None:
    """The records are behind a full disk: they say that its cell is to be restored for it."""
    owing = replace(an_agent(Phase.STARTING, life=None), begin=OnRevive.RESTORE)
    (agent,) = adopt([owing], {(KEY, 3): LIFE}, {}, NOW).agents
    assert (agent.life, agent.begin) == (LIFE, OnRevive.RESUME)
    assert owed(agent) == []
    assert step(agent, Enlisted(rules=agent.rules, desired=agent.desired), NOW).orders == ()


def test_remains_of_an_older_life_are_strays() -> None:
    older = replace(LIFE, pid=5)
    adoption = adopt([an_agent()], {(KEY, 2): older, (KEY, 3): LIFE}, {}, NOW)
    assert adoption.strays == [older]
    assert adoption.facts == [(KEY, Adopted(generation=3, life=LIFE))]


def test_what_lives_though_its_record_says_gone_is_a_stray() -> None:
    adoption = adopt([an_agent(Phase.BACKOFF)], {(KEY, 3): LIFE}, {}, NOW)
    assert (adoption.strays, adoption.facts) == ([LIFE], [])


def test_a_later_life_than_the_record_knows_is_caught_up_with() -> None:
    adoption = adopt([an_agent(Phase.ESCALATED)], {(KEY, 5): LIFE}, {}, NOW)
    (agent,) = adoption.agents
    assert (agent.generation, agent.phase) == (5, Phase.STARTING)
    assert adoption.facts == [(KEY, Adopted(generation=5, life=LIFE))]


def test_no_generation_is_used_twice_though_its_record_is_lost() -> None:
    adoption = adopt([an_agent()], {}, {(KEY, 3): Exit(code=1), (KEY, 4): Exit(code=2)}, NOW)
    (agent,) = adoption.agents
    assert agent.generation == 4
    assert adoption.facts == [(KEY, Exited(generation=4, exit=Exit(code=2)))]


def test_a_life_that_no_record_knows_is_found_as_well() -> None:
    adoption = adopt([], {(KEY, 1): LIFE}, {}, NOW)
    assert [(agent.key, agent.generation) for agent in adoption.agents] == [(KEY, 1)]
    gone = adopt([], {}, {(KEY, 1): Exit(code=1)}, NOW)
    assert [agent.generation for agent in gone.agents] == [1]
    assert adoption.facts == [(KEY, Adopted(generation=1, life=LIFE))]
