"""What a channel is: a way to ask people, and to hear them.

A channel is one file in this folder and a line in ``choose``. It knows its service and nothing of
the records: a ``Desk`` says what is to be carried and what an answer means, and ``serve`` calls
the methods below, one request at a time, again and again until they succeed. So a channel keeps no
queue and retries nothing; it raises:

- ``ChannelError``: the service cannot be reached or wants us to wait; all comes again later.
- ``NotYetError``: this very message must wait; the others are carried meanwhile.
- ``MessageRefusedError``: the service will not take this very message, however often; it is let go.

Whatever a message holds may be a stranger's: see ``formats.question.Style``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol, Self, runtime_checkable

from lazarus_pit.errors import LazarusError, WorldError
from lazarus_pit.formats.digest import Digest
from lazarus_pit.formats.question import Ending, Question
from lazarus_pit.formats.reply import Word


class ChannelError(WorldError):
    """The service cannot be used now. ``after``: seconds that it asks to be left alone, if any."""

    def __init__(self, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class NotYetError(ChannelError):
    """This one message cannot be carried yet; nothing is said about any other."""


class MessageRefusedError(LazarusError):
    """The service understood this message and will never take it."""


class Receipt(NamedTuple):
    """What a service knows a message of ours by."""

    id: str
    """Not empty; also what ``Heard.about`` names it by."""
    at: float
    """When it was there: Unix seconds by the clock that also stamps what people say."""


class Heard(NamedTuple):
    """Something that a person did, as the channel saw it; nothing of it is believed yet."""

    word: Word | None
    """``formats.reply.read`` of all that was said, or a button's meaning; ``None`` is just talk."""
    by: str
    """The person, as the records shall name them."""
    at: float
    """When: Unix seconds by the clock of ``Receipt.at``, as late as it can have been."""
    about: str = ""
    """The receipt of the message that it answers; whatever it answered if that was none of ours."""
    proves: bool = False
    """Whether nobody can name that receipt who has not seen the message."""
    request: str = ""
    """Of a button: the whole id of the request that it belongs to."""
    digest: str = ""
    """Of a button for many at once: the whole id of the digest that it belongs to."""
    forbidden: str = ""
    """Why this person may not answer here, to be told to them; empty if they may."""
    notes: Mapping[str, str] = {}
    """Kept for the channel in the transaction in which the answer counts: how far it has heard."""
    handle: Any = None
    """The channel's own, for its ``answer``."""


class Outcome(NamedTuple):
    """What became of an answer."""

    words: str
    """For the person; empty if there is nothing to say."""
    counts: bool
    """Whether it decided a request."""


class Channel(Protocol):
    """One way to reach people. Entered before anything else is called, left at the end."""

    @property
    def name(self) -> str:
        """The word for it in the configuration and the records."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def carry(self, question: Question) -> Receipt:
        """Ask. After a crash a question may come again that was already sent."""

    async def settle(self, question: Question, ending: Ending, receipt: str) -> None:
        """Show in the place of the question how it ended; may come again likewise.

        What is no longer there to be changed is settled.
        """

    def listen(self) -> AsyncGenerator[Heard | None, None]:
        """Hear people, from where the notes in the desk say; ends by an exception alone.

        The next is asked for when the one before has been written down. ``None`` says that the
        service was reached and nobody has spoken.
        """

    async def answer(self, heard: Heard, outcome: Outcome) -> None:
        """Tell a person what became of what they said."""


@runtime_checkable
class Gathering(Channel, Protocol):
    """A channel that tells many requests in one message; the others tell each by itself."""

    async def carry_all(self, digest: Digest) -> Receipt:
        """Ask about all of them; as ``carry``."""

    async def settle_all(self, digest: Digest, endings: Sequence[Ending], receipt: str) -> None:
        """Show in the place of the digest how they ended; as ``settle``."""


async def silence() -> NoReturn:
    """Wait for ever: all that who hears nobody does."""
    await asyncio.Event().wait()
    raise AssertionError
