"""``lazarus beat`` for the list of verbs; the door in ``main`` takes the fast way to it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit import beat as client


def beat(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Send a heartbeat from inside a cell."""
    return client.main(list(words))
