"""``lazarus hook`` for the list of verbs; the door in ``main`` takes the fast way to it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit import hook as client
from lazarus_pit import permission


def hook(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Tell the pit what an agent program's hook says."""
    return permission.main(words) if "--ask" in words else client.main(words)
