"""What the API says, as types: the OpenAPI document is made of these."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field


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
    unread: int
    """Mails that it has not acknowledged."""
    need: str | None = None
    """Why it goes on only when a person acts."""
    version: str
    """Changes with what is wanted of it, with its phase and with its lives: for ``If-Match``."""


class Cell(Struct, frozen=True, kw_only=True):
    """A cell and its members."""

    uuid: str
    name: str | None
    mission: str | None
    status: str
    asleep: bool
    """Whether it stands still because it was idle, though people want it active."""
    problem: str | None
    """Why it cannot be read."""
    agents: tuple[Agent, ...]
    version: str
    """Changes with its status and with the versions of its agents: for ``If-Match``."""


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
    """A request for a person's word, and what became of it.

    It is about somebody who died or was made to stand still, or an agent that lives asks something.
    """

    id: str
    subject: str
    """``<uuid>/<agent>``, or ``pool/<gateway>``."""
    cell: str | None
    """``null`` for a gateway outside every cell."""
    agent: str
    generation: int
    """The life that died, or asks."""
    outcome: Literal["open", "approved", "denied", "expired", "superseded"]
    asked: float
    """Unix seconds, as are the others."""
    expires: float
    died: float | None
    attempts: int | None
    why: str
    """Why one stands still, and so may go on or be ended; empty for one that died."""
    question: str | None
    """What an agent asks, in its own words on one line: hostile text. ``null``: none asks."""
    comment: str
    """What whoever decided had to say."""
    closed: float | None
    by: str
    """Who decided; empty while nobody has."""
    via: str
    """By which way the answer came."""


class Gateway(Struct, frozen=True, kw_only=True):
    """An agent outside every cell, as the resurrection pool remembers it."""

    name: str
    phase: str
    """``watched``, ``awaiting``, ``backoff``, ``reviving`` or ``escalated``."""
    reason: str
    """Why it is escalated."""
    dead_since: float | None
    """Unix seconds of its first death since it was last healthy."""
    attempts: int


class Fleet(Struct, frozen=True, kw_only=True):
    """Everything at a glance."""

    now: float
    daemon: dict[str, Any]
    cells: tuple[Cell, ...]
    approvals: tuple[Approval, ...]
    """The open ones, then those that were closed last."""
    approvals_problem: str | None
    """Why they cannot be read now; ``null``: they are all there."""
    gateways: tuple[Gateway, ...]


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


class Refusal(Struct, frozen=True, omit_defaults=True):
    """Why not."""

    error: str
    operation: str = ""
    """Which operation failed, where one was begun."""
    token: str = ""
    """What names that which would be lost: sent with the same wish, it is lost."""


class Accepted(Struct, frozen=True, kw_only=True):
    """What became of an action so far."""

    ok: bool
    done: bool
    """Whether its command has ended."""
    said: str
    operation: str
    """By which it can be asked for."""


class Operation(Struct, frozen=True, kw_only=True):
    """A command that was begun over the API."""

    id: str
    verb: str
    subject: str
    by: str
    """Whose wish it was; empty where its token was made for nobody by name."""
    state: Literal["running", "done", "failed", "unknown"]
    code: int | None
    """The command's exit code."""
    said: str
    began: float
    ended: float | None


class Operations(Struct, frozen=True):
    """What was begun, the newest last."""

    operations: tuple[Operation, ...]


class Invitation(Struct, frozen=True, kw_only=True):
    """One invitation; its token is told once, to whoever made it. Times are Unix seconds."""

    id: str
    cell: str
    name: str
    role: str
    kind: Literal["agent", "human"]
    by: str
    invited: float
    expires: float
    state: Literal["open", "accepted", "revoked", "expired"]


class Invitations(Struct, frozen=True):
    """Those that can still be accepted and those that are closed, the oldest first."""

    invitations: tuple[Invitation, ...]


class Mail(Struct, frozen=True, kw_only=True):
    """One mail in the box of one member. Subject and body are what an agent wrote: hostile text."""

    id: str
    sender: str = field(name="from")
    to: str
    """A member, a role, or ``*``."""
    receiver: str
    state: str
    """``waiting`` to be acknowledged, ``done``, or ``dead``: among the dead letters."""
    kind: str
    subject: str
    body: str
    is_cut: bool
    """Whether there is more of the body."""
    reply_to: str | None
    sent_at: str | None
    expires: str | None
    delivered: float
    """Unix seconds."""


class Mails(Struct, frozen=True):
    """Mail of a cell, the newest last."""

    mail: tuple[Mail, ...]
    total: int
    """How many there are, shown or not."""
