"""What the daemon, its children and the proxy say to each other, one JSON object a message."""

from __future__ import annotations

import msgspec
from msgspec import Struct

PROTOCOL = 1
"""Raised when an older proxy would misunderstand; a daemon replaces one of another number."""
MAX_BYTES = 65_536
"""Bytes of one message; a list at its longest fits."""
MAX_SOCKETS = 40
"""Descriptors that come with one ``Take``."""


class Take(Struct, frozen=True, kw_only=True, tag="take"):
    """Serve one life. With it come its pidfd, the proxy's listener and one for each forward."""

    key: str
    agent: str
    generation: int
    allow: tuple[str, ...]
    forward: tuple[int, ...]


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    """The daemon wants to hear what is refused, and with ``verbose`` what is let through."""

    verbose: bool = False


class Welcome(Struct, frozen=True, kw_only=True, tag="welcome"):
    """The proxy's answer: what it speaks and whom it serves, by key and generation."""

    protocol: int
    lives: tuple[tuple[str, int], ...] = ()


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    """The answer to ``Take``; ``fault`` is empty if the life is served."""

    fault: str = ""


class Denied(Struct, frozen=True, kw_only=True, tag="denied"):
    """Somebody tried to reach what is not allowed."""

    key: str
    host: str
    port: int
    why: str
    times: int = 1
    """How often since it was last told."""
    others: int = 0
    """Attempts at yet other places of this agent's that are not told one by one."""


class Passed(Struct, frozen=True, kw_only=True, tag="passed"):
    """Somebody was let through."""

    key: str
    host: str
    port: int


Message = Take | Hello | Welcome | Done | Denied | Passed

encode = msgspec.json.Encoder().encode
"""Return a message's bytes."""
decode = msgspec.json.Decoder(Message).decode
"""Return the message in these bytes, or raise ``msgspec.MsgspecError``."""
