"""What those who may only look do not get to see: invitations that lie in mail and in logs."""

from __future__ import annotations

import re

from lazarus_pit.records.invitations import PREFIX, TOKEN_MAX
from lazarus_pit.web.keys import Role, may

USES: Role = "operator"
"""Who may let somebody in, and so may read a token."""
REACH = TOKEN_MAX
"""How far before a place a token may begin that reaches over it."""
_TOKEN = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{16,}")
_IN_BYTES = re.compile(_TOKEN.pattern.encode())


def masked(text: str, role: Role) -> str:
    """Return a text with stars for each token; it stays as long as it was."""
    if may(role, USES):
        return text
    return _TOKEN.sub(lambda found: PREFIX + "*" * (len(found[0]) - len(PREFIX)), text)


def masked_bytes(data: bytes, role: Role) -> bytes:
    """Do the same to bytes."""
    if may(role, USES):
        return data
    prefix = PREFIX.encode()
    return _IN_BYTES.sub(lambda found: prefix + b"*" * (len(found[0]) - len(prefix)), data)
