"""How one line of the fleet looks: glyph, words, tone, and how urgent it is. Pure."""

from __future__ import annotations

from typing import NamedTuple

from lazarus_pit.cells.view import AgentView, CellView
from lazarus_pit.cli.status import attempts_left, needs_a_person, state_words
from lazarus_pit.core.model import Phase, Verdict
from lazarus_pit.records.approvals import Request

Key = tuple[str, str]
"""The UUID of a cell and the name of an agent; no name for a cell that shows no agents."""
Order = tuple[int, str, str, str]
"""What lines are sorted by; its last part makes it unlike any other."""


POOL = "pool"
"""Stands for the UUID of a cell on the lines of gateways outside every cell."""


class Look(NamedTuple):
    """How a state is drawn. The tone only repeats in colour what glyph and word say."""

    glyph: str
    tone: str
    rank: int
    """The smaller, the sooner somebody should look."""


_TABLE = (
    ("unreadable", "✕", "bad"),
    ("escalated", "✕", "bad"),
    ("dead", "✕", "bad"),
    ("awaiting", "?", "ask"),
    ("full", "‖", "ask"),
    ("held", "‖", "ask"),
    ("silent", "◐", "warn"),
    ("quota", "‖", "warn"),
    ("reviving", "↻", "move"),
    ("stopping", "↓", "move"),
    ("backoff", "↻", "move"),
    ("starting", "↑", "move"),
    ("waiting", "…", "move"),
    ("frozen", "❄", "cold"),
    ("running", "●", "good"),
    ("stopped", "■", "quiet"),
    ("exited", "✓", "quiet"),
    ("human", "☺", "quiet"),
    ("invited", "○", "quiet"),
    ("no command", "○", "quiet"),
    ("no agents", "○", "quiet"),
    ("-", "○", "quiet"),
)
LOOKS = {state: Look(glyph, tone, rank) for rank, (state, glyph, tone) in enumerate(_TABLE)}
"""Every state a line is shown in, the worst first; the page on the web orders them the same."""
GONE = frozenset(
    {"reviving", "stopping", Phase.ESCALATED, Phase.AWAITING, Phase.STOPPED, Phase.EXITED}
)
"""States in which a verdict of death is an old one: the life it was about is no more."""


class Row(NamedTuple):
    """One line of the fleet: an agent, or a cell that has none to show."""

    cell: CellView
    agent: AgentView | None
    seen: float
    """When it was looked at, in Unix seconds."""
    state: str
    """Which of ``LOOKS``."""
    words: str
    """The state as ``lazarus status`` calls it."""
    needs: bool
    """Whether it goes on only when a person acts."""
    request: Request | None = None
    """What people are asked about it, or what it asks them."""

    @property
    def key(self) -> Key:
        """What stays the same whatever happens to it."""
        return (self.cell.uuid, self.agent.name if self.agent else "")

    @property
    def label(self) -> str:
        """The name that commands know it by."""
        return f"{self.cell.label}/{self.agent.name}" if self.agent else self.cell.label

    @property
    def look(self) -> Look:
        """How it is drawn."""
        return LOOKS[self.state]

    @property
    def calls(self) -> bool:
        """Whether somebody should look: it goes on only then, or waits for an answer."""
        return self.needs or self.request is not None

    @property
    def rank(self) -> int:
        """How soon somebody should look; whoever waits for an answer is no less urgent."""
        asks = LOOKS[Phase.AWAITING].rank if self.request is not None else self.look.rank
        return min(asks, self.look.rank)

    @property
    def beat(self) -> float | None:
        """When its newest beat came, in Unix seconds, as far as was seen."""
        age = self.agent.beat_age if self.agent else None
        return None if age is None else self.seen - age

    @property
    def is_far(self) -> bool:
        """Whether it is a gateway outside every cell."""
        return self.cell.uuid == POOL

    @property
    def lives(self) -> bool:
        """Whether a process of it is there that could lose work."""
        return (
            self.agent is not None
            and self.agent.health is not None
            and (self.agent.health.pid is not None)
        )


def rows_of(cell: CellView, seen: float) -> list[Row]:
    """Return a cell's lines; one that cannot be read, or has no agents, has one for itself."""
    if cell.manifest is None:
        return [Row(cell, None, seen, "unreadable", "unreadable", needs=True)]
    if not cell.agents:
        return [Row(cell, None, seen, "no agents", "no agents", needs=False)]
    return [
        Row(cell, agent, seen, state_of(agent), state_words(agent), needs_a_person(agent))
        for agent in cell.agents
    ]


def state_of(agent: AgentView) -> str:
    """Return which look an agent has."""
    health = agent.health
    if health is None:
        return agent.shown if agent.shown in LOOKS else "-"
    if agent.shown == Phase.HELD and not needs_a_person(agent):
        return "quota"
    if agent.shown == "frozen" and needs_a_person(agent):
        return "full"
    if health.verdict == Verdict.DEAD and health.pid is not None and agent.shown not in GONE:
        return "dead"
    if agent.shown == Phase.RUNNING and health.verdict == Verdict.DEGRADED:
        return "silent"
    return agent.shown if agent.shown in LOOKS else "-"


def worst_first(row: Row) -> Order:
    """Order by urgency, then by name."""
    uuid, name = row.key
    return (row.rank, row.cell.label, name, uuid)


def by_name(row: Row) -> Order:
    """Order by cell, then by agent."""
    uuid, name = row.key
    return (0, row.cell.label, name, uuid)


ORDERS = {"worst first": worst_first, "by name": by_name}


def matches(row: Row, needle: str) -> bool:
    """Whether a line has every word of ``needle`` in its names, its state or what it says."""
    agent = row.agent
    said = [row.label, row.cell.uuid, row.words]
    if agent is not None:
        said += [agent.role]
    if agent is not None and agent.health is not None:
        said += [agent.health.verdict, agent.health.status]
    text = " ".join(said).lower()
    return all(word in text for word in needle.lower().split())


def numbers(row: Row) -> tuple[str, str, str]:
    """Return verdict, generation and attempts left as the table shows them."""
    agent = row.agent
    if agent is None or agent.health is None:
        return ("-", "-", "-")
    left = attempts_left(agent)
    return (agent.health.verdict, str(agent.health.generation), "-" if left is None else str(left))
