"""What the API says, as types: the OpenAPI document is made of these."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Agent(Struct, frozen=True, kw_only=True):
    """A member of a cell; ``null`` is what no daemon has said."""

    name: str
    role: str
    kind: str
    desired: str
    state: str
    phase: str | None = None
    reason: str | None = None
    verdict: str | None = None
    healthy: bool | None = None
    generation: int | None = None
    pid: int | None = None
    last_seen: float | None = None
    """Unix seconds."""
    heartbeat_age: float | None = None
    """Seconds."""
    attempts: int | None = None
    max_attempts: int | None = None
    revive_count: int | None = None
    status: str | None = None
    """What it says of itself."""
    need: str | None = None
    """Why it goes on only when a person acts."""


class Cell(Struct, frozen=True, kw_only=True):
    """A cell and its members."""

    uuid: str
    name: str | None
    mission: str | None
    status: str
    problem: str | None
    """Why it cannot be read."""
    agents: tuple[Agent, ...]


class Checkpoint(Struct, frozen=True):
    """A saved state of a cell."""

    id: str
    at: str
    """RFC 3339."""
    size: int
    """Bytes."""


class CellWhole(Cell, frozen=True, kw_only=True):
    """A cell with what is read only when somebody looks at it."""

    checkpoints: tuple[Checkpoint, ...]
    """The oldest first."""


class Approval(Struct, frozen=True, kw_only=True):
    """A request to revive somebody who died, and what became of it."""

    id: str
    subject: str
    """``<uuid>/<agent>``, or ``pool/<gateway>``."""
    cell: str | None
    """``null`` for a gateway outside every cell."""
    agent: str
    generation: int
    """The life that died."""
    outcome: Literal["open", "approved", "denied", "expired", "superseded"]
    asked: float
    """Unix seconds, as are the others."""
    expires: float
    died: float | None
    attempts: int | None
    closed: float | None
    by: str
    """Who decided; empty while nobody has."""
    via: str
    """By which way the answer came."""


class Fleet(Struct, frozen=True, kw_only=True):
    """Everything at a glance."""

    now: float
    daemon: dict[str, Any]
    cells: tuple[Cell, ...]
    approvals: tuple[Approval, ...]
    """The open ones, then those that were closed last."""


class Approvals(Struct, frozen=True):
    """Requests, the open ones first."""

    approvals: tuple[Approval, ...]


class Events(Struct, frozen=True):
    """Lines of a journal, the newest last; each with its ``sentence``."""

    events: tuple[dict[str, Any], ...]
    cursor: int | None
    """Where older ones end: for ``cursor`` of the next question. ``null``: there are none."""


class Lines(Struct, frozen=True):
    """Text for people."""

    lines: list[str]


class Login(Struct, frozen=True):
    """What a one-time link was exchanged for."""

    token: str
    role: Literal["viewer", "operator", "approver"]


class Health(Struct, frozen=True, omit_defaults=True):
    """Whether something is well."""

    status: str
    service: str = ""
    version: str = ""


class Refusal(Struct, frozen=True):
    """Why not."""

    error: str
