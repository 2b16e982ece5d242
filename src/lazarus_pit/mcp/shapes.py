"""What the tools answer: each shape becomes the output schema that a client is shown."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Written(TypedDict):
    """A beat was written."""

    status: str


class Sent(TypedDict):
    """A message is on its way."""

    id: str


class Message(TypedDict):
    """One message that waits in the inbox."""

    id: str
    sender: str
    kind: str
    subject: str
    body: str
    sent_at: str
    reply_to: str | None


class Inbox(TypedDict):
    """Messages, the oldest first."""

    messages: list[Message]
    more: int
    """How many more wait beyond these."""


class Acknowledged(TypedDict):
    """Messages that will not be shown again."""

    ids: list[str]


class Fellow(TypedDict):
    """One member of the cell."""

    name: str
    role: str
    kind: str
    you: bool


class Fellows(TypedDict):
    """All members of the cell."""

    members: list[Fellow]


class LastLife(TypedDict):
    """How the last life ended, and what it left open."""

    ended_at: str
    ending: str
    unanswered_calls: list[str]


class Decision(TypedDict):
    """Where a request for approval stands."""

    id: str
    question: str
    state: Literal["waiting", "approved", "denied", "expired", "withdrawn"]
    by: str
    comment: str
    """What whoever decided had to say."""


class Mission(TypedDict):
    """What for, as whom, and what happened meanwhile."""

    objective: str
    success_criteria: list[str]
    you: str
    role: str
    life: int
    last_life: LastLife | None
    messages_waiting: int
    requests: list[Decision]
    """Your requests for approval, the latest first; a life before this one may have made them."""


class Done(TypedDict):
    """What the daemon answered."""

    answer: str


class Asked(TypedDict):
    """People are asked; the id is for ``await_approval``."""

    id: str
    note: str
