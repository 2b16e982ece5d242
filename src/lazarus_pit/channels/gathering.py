"""Many requests in one message: which of those that wait to be told are told together.

A service to people takes a few messages a minute. What one agent asks by itself is never told in
a heap: nobody can say yes to words that they have not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lazarus_pit.formats.question import CURBS
from lazarus_pit.records.approvals import Request

FEW = 5
"""So many of a sort are told one by one."""


class Heap(NamedTuple):
    """Requests that are told in one message."""

    digest: str
    """The digest that they are bound to; empty if none."""
    requests: list[Request]


def gathered(
    waiting: Sequence[Request], bound: Mapping[str, str], few: int = FEW
) -> list[Request | Heap]:
    """Return what is to be told, each in the place of its oldest request.

    More than ``few`` of a sort are told together.
    What is bound to a digest stays in it: it may have been sent before a crash.
    """
    sorts: dict[tuple[str, str], Heap] = {}
    for one in waiting:
        digest = bound.get(one.id, "")
        sort = (digest, "") if digest else ("", _sort(one))
        sorts.setdefault(sort, Heap(digest, [])).requests.append(one)
    found: list[Request | Heap] = []
    for (digest, shared), heap in sorts.items():
        if digest or (shared and len(heap.requests) > few):
            found.append(heap)
        else:
            found += heap.requests
    place = {one.id: number for number, one in enumerate(waiting)}
    return sorted(found, key=lambda one: place[_oldest(one).id])


def _oldest(one: Request | Heap) -> Request:
    return one.requests[0] if isinstance(one, Heap) else one


def _sort(one: Request) -> str:
    """Return what a request has in common with others; empty: it is told by itself."""
    why = one.facts.get("why")
    if why:
        return str(why) if why in CURBS else ""
    return "death" if "died" in one.facts else ""
