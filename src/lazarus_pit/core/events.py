"""The verbs: facts (past tense) come in, orders (imperative) go out, told events are written down.

A fact about one life names its generation; one of another generation is a ghost.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from lazarus_pit.core.budget import Total
from lazarus_pit.core.model import (
    Desired,
    Exit,
    Hold,
    Instant,
    Key,
    Life,
    Look,
    OnRevive,
    Rules,
    Seconds,
)

# ---------------------------------------------------------------- facts


class Fact(Struct, frozen=True, kw_only=True):
    """Something that has happened."""


class Enlisted(Fact, frozen=True, kw_only=True):
    """The manifest names this agent: by which rules, and what people want of it.

    ``request`` counts the times that people asked for a revive by hand.
    """

    rules: Rules
    desired: Desired
    request: int = 0


class Dismissed(Fact, frozen=True, kw_only=True):
    """The manifest no longer names this agent."""


class Admitted(Fact, frozen=True, kw_only=True):
    """The fleet gives a due start its turn."""

    alone: bool = True
    """Whether nobody else of its cell may have a life now."""


class Doubted(Fact, frozen=True, kw_only=True):
    """The fleet does not trust its own eyes: what was looked at before must be looked at again."""


class Prepared(Fact, frozen=True, kw_only=True):
    """The answer to the order ``Prepare``: the life may begin."""

    generation: int
    done: str = ""
    """What was done, in words; empty where nothing was."""
    why: str = ""
    """Why nothing was done: the life begins as the last one left things."""


class CellSaved(Fact, frozen=True, kw_only=True):
    """The answer to the order ``SaveCell``."""

    generation: int
    checkpoint: str = ""
    why: str = ""
    """Why there is none."""


class Spawned(Fact, frozen=True, kw_only=True):
    """The life exists as a process."""

    generation: int
    life: Life


class SpawnFailed(Fact, frozen=True, kw_only=True):
    """The life never began. ``fatal``: trying again cannot help."""

    generation: int
    why: str
    fatal: bool = False


class Adopted(Fact, frozen=True, kw_only=True):
    """A daemon that has just begun found this life running."""

    generation: int
    life: Life


class Beat(Fact, frozen=True, kw_only=True):
    """A heartbeat arrived. ``generation`` is ``None`` where its writer did not say."""

    generation: int | None = None
    cycle: int | None = None
    status: str | None = None
    """``None``: it did not say, and its last word stands."""
    hold: Hold | None = None
    busy_for: Seconds = 0.0
    """How much longer the announced long step may take."""


class Spent(Fact, frozen=True, kw_only=True):
    """What this life has spent so far, as it says; ``None`` is what it did not say."""

    generation: int
    turns: int | None = None
    tokens: int | None = None


class CellSpent(Fact, frozen=True, kw_only=True):
    """What all agents of the cell have spent together has grown."""

    total: Total


class ToolUsed(Fact, frozen=True, kw_only=True):
    """The life has called a tool; it was in the ``repeats``-th of rounds that were alike."""

    generation: int
    repeats: int


class Mailed(Fact, frozen=True, kw_only=True):
    """Mail has come for this agent."""


class Progressed(Fact, frozen=True, kw_only=True):
    """The agent got something done; ``source`` says how we know."""

    generation: int
    source: str


class Looked(Fact, frozen=True, kw_only=True):
    """The answer to the order ``LookAt``."""

    generation: int
    look: Look


class Exited(Fact, frozen=True, kw_only=True):
    """Nothing of this life is left: its main process has ended and its cgroup is empty."""

    generation: int
    exit: Exit
    luck: float = 0.5
    """In [0, 1): spreads the backoff, since the core has no chance of its own."""


class Frozen(Fact, frozen=True, kw_only=True):
    """The life stands still on our order."""

    generation: int


class Thawed(Fact, frozen=True, kw_only=True):
    """The life moves again."""

    generation: int


class Decided(Fact, frozen=True, kw_only=True):
    """A person answered the request that belongs to the death of ``generation``."""

    generation: int
    approved: bool
    by: str = ""
    via: str = ""
    hold: int = 0
    """Which curb was asked about; 0: a death."""


class Tick(Fact, frozen=True, kw_only=True):
    """Time alone has passed."""


# facts about the observer, not about an agent


class ObserverDoubted(Fact, frozen=True, kw_only=True):
    """The pit's own eyes were shut: suspend, a late sweep, a broken probe. Verdicts wait."""

    why: str


class ObserverBlinded(Fact, frozen=True, kw_only=True):
    """The event queue overflowed; nobody is judged until ``ObserverSaw``."""

    why: str


class ObserverSaw(Fact, frozen=True, kw_only=True):
    """The rescan after a blinding is done."""


# ---------------------------------------------------------------- orders


class Order(Struct, frozen=True, kw_only=True):
    """Something to be done to one life; its outcome comes back as a fact."""

    key: Key
    generation: int


class RequestStart(Order, frozen=True, kw_only=True):
    """Ask the fleet for a turn. Never leaves the core."""


class Prepare(Order, frozen=True, kw_only=True):
    """Restore the cell or empty the home before this life begins. It may be asked again."""

    how: OnRevive


class SaveCell(Order, frozen=True, kw_only=True):
    """Take a checkpoint of the cell before this life is ended. It may be asked again."""


class Spawn(Order, frozen=True, kw_only=True):
    """Begin this life: once per generation, however often it is asked."""


class Kill(Order, frozen=True, kw_only=True):
    """End this life: a polite signal, or with ``force`` the whole of it at once."""

    force: bool


class LookAt(Order, frozen=True, kw_only=True):
    """Take a fresh look before a verdict."""


class Freeze(Order, frozen=True, kw_only=True):
    """Make the life stand still."""


class Thaw(Order, frozen=True, kw_only=True):
    """Let it move again."""

    stray: bool = False
    """It should be moving; if it does not, whoever froze it for a checkpoint may have died."""


class Ask(Order, frozen=True, kw_only=True):
    """Ask people whether to revive; nobody's wait for this holds up anybody else."""

    expires: Instant


# ---------------------------------------------------------------- told


class Told(Struct, frozen=True, kw_only=True):
    """One line for the journal: a past-tense name and what it rests on."""

    event: str
    key: Key = ""
    data: dict[str, Any] = field(default_factory=dict)
