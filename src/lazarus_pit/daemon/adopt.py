"""After a restart: who lives, who ended meanwhile, what is owed. Pure; the seeing is done before.

What the records say is compared with what is there. Records may be behind (a full disk), never
ahead: a life is recorded before it begins, and its traces name its generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.core import budget, health
from lazarus_pit.core.agent import Agent, may_live
from lazarus_pit.core.events import Adopted, Exited, Fact
from lazarus_pit.core.model import Exit, Instant, Key, Life, OnRevive, Phase

Lives = Mapping[tuple[Key, int], Life]


class Adoption(NamedTuple):
    """What a new daemon begins with."""

    agents: list[Agent]
    facts: list[tuple[Key, Fact]]
    strays: list[Life]
    """Living remains of other generations: to be destroyed before the first turn, or there would
    be two copies."""


def adopt(
    recorded: Iterable[Agent], living: Lives, ended: Mapping[tuple[Key, int], Exit], now: Instant
) -> Adoption:
    """Compare the records with the world.

    Args:
        recorded: every agent as it was last persisted.
        living: every life of this pit that was found running, by agent and generation.
        ended: lives that left a trace of having begun and are gone, with how they ended.
        now: the instant at which the new daemon looks.
    """
    records = {record.key: record for record in recorded}
    for key, _ in (*living, *ended):
        records.setdefault(key, Agent(key=key, since=now, due=now))
    newest: dict[Key, int] = {}
    for key, generation in (*living, *ended):
        newest[key] = max(generation, newest.get(key, 0))
    agents: list[Agent] = []
    facts: list[tuple[Key, Fact]] = []
    for key, record in records.items():
        found = newest.get(key, 0)
        agent = _caught_up(record, found, now) if found > record.generation else record
        agents.append(agent)
        here = (key, agent.generation)
        if not may_live(agent):
            continue
        if here in living:
            if agent.life is None:
                # Known before any wish is heard: none of them may begin or restore what lives.
                begun = {"life": living[here], "begin": OnRevive.RESUME, "started": now}
                agents[-1] = replace(agent, **begun)
            facts.append((key, Adopted(generation=agent.generation, life=living[here])))
        elif agent.life is not None or here in ended:
            exit_ = ended.get(here, Exit(note="unseen"))
            facts.append((key, Exited(generation=agent.generation, exit=exit_)))
    kept = {(key, fact.generation) for key, fact in facts if isinstance(fact, Adopted)}
    strays = [life for here, life in living.items() if here not in kept]
    return Adoption(agents, facts, strays)


def _caught_up(agent: Agent, generation: int, now: Instant) -> Agent:
    """The records are behind: a later life than the last one written down has begun."""
    return replace(
        agent,
        phase=Phase.STARTING,
        reason="found",
        since=now,
        generation=generation,
        life=None,
        started=now,
        vitals=health.fresh(now),
        queued=False,
        begin=OnRevive.RESUME,
        saving=False,
        frozen_at=0.0,
        hold=None,
        curb=None,
        tab=budget.closed(agent.tab, 0.0),
        mailed=False,
    )
