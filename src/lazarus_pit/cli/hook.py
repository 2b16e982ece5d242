"""``lazarus hook`` for the list of verbs; the door in ``main`` takes the fast way to it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit import hook as client


def hook(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Tell the pit what an agent program's hook says."""
    return client.main(list(words))
