"""Refusals on their way to the journal: each told, a flood of them counted. Pure.

A place is told at once and, while it is tried again, once in a while with a count. An agent that
tries ever new places is told for so many, then more slowly; the rest is a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lazarus_pit.sandboxes.egress.messages import Denied

QUIET = 60.0
"""Seconds in which one place is told once."""
BURST = 20
REFILL = 6.0
"""Places that are told of one agent at once, and seconds for one more."""
KEPT = 64
"""Places of one agent that wait to be told; of more only their number is kept."""

_Place = tuple[str, int]


@dataclass(slots=True)
class _Agent:
    waiting: dict[_Place, tuple[str, int]] = field(default_factory=dict)
    """Why, and how often."""
    told: dict[_Place, float] = field(default_factory=dict)
    """When each place may be told again."""
    others: int = 0
    tokens: float = BURST
    counted: float = 0.0


class Denials:
    """What was refused and is not told yet."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}

    def note(self, key: str, host: str, port: int, why: str) -> None:
        """Take note of one refusal."""
        agent = self._agents.setdefault(key, _Agent())
        place = (host, port)
        if place in agent.waiting:
            agent.waiting[place] = (why, agent.waiting[place][1] + 1)
        elif len(agent.waiting) < KEPT:
            agent.waiting[place] = (why, 1)
        else:
            agent.others += 1

    def due(self, now: float) -> Iterator[Denied]:
        """What is to be told now; each is taken for told when the next one is asked for."""
        for key, agent in list(self._agents.items()):
            agent.tokens = min(BURST, agent.tokens + (now - agent.counted) / REFILL)
            agent.counted = now
            agent.told = {place: at for place, at in agent.told.items() if at > now}
            for place, (why, times) in list(agent.waiting.items()):
                if agent.tokens < 1 or place in agent.told:
                    continue
                host, port = place
                yield Denied(
                    key=key, host=host, port=port, why=why, times=times, others=agent.others
                )
                del agent.waiting[place]
                agent.told[place] = now + QUIET
                agent.tokens -= 1
                agent.others = 0
            if not agent.waiting and not agent.told:
                del self._agents[key]

    @property
    def waiting(self) -> bool:
        """Whether anything is left to be told."""
        return any(agent.waiting for agent in self._agents.values())
