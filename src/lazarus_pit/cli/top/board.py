"""The fleet's lines, in order, filtered and counted: what changes costs, what stays does not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from lazarus_pit.cells.view import CellView
from lazarus_pit.cli.top.asked import far_rows
from lazarus_pit.cli.top.looks import (
    LOOKS,
    ORDERS,
    POOL,
    Key,
    Order,
    Row,
    matches,
    rows_of,
    worst_first,
)
from lazarus_pit.records.approvals import Request

Entry = tuple[Order, Key]


class Board:
    """Every line of the fleet. A changed line costs a search in a sorted list, not a sort."""

    def __init__(self) -> None:
        """Begin empty, with the worst first and nothing filtered."""
        self.order = "worst first"
        self.needle = ""
        self.tally: Counter[str] = Counter()
        """How many agents there are of each look."""
        self._asked: Mapping[Key, Request] = {}
        self._rows: dict[Key, Row] = {}
        self._keys: dict[str, list[Key]] = {}
        self._shown: list[Entry] = []
        self._needy: list[Entry] = []

    # ------------------------------------------------------------ what is there

    def __len__(self) -> int:
        """How many lines the filter lets through."""
        return len(self._shown)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a line, shown or not."""
        return key in self._rows

    def at(self, index: int) -> Row:
        """Return a shown line by its place."""
        return self._rows[self._shown[index][1]]

    def get(self, key: Key | None) -> Row | None:
        """Return a line by its key, shown or not."""
        return None if key is None else self._rows.get(key)

    def index(self, key: Key) -> int | None:
        """Return the place of a line; ``None`` where it is not shown."""
        row = self._rows.get(key)
        if row is None:
            return None
        entry = (ORDERS[self.order](row), key)
        at = bisect_left(self._shown, entry)
        return at if at < len(self._shown) and self._shown[at] == entry else None

    @property
    def cells(self) -> int:
        """How many cells there are, shown or not."""
        return len(self._keys) - (POOL in self._keys)

    @property
    def agents(self) -> int:
        """How many agents there are, shown or not."""
        return self.tally.total()

    def counted(self) -> list[tuple[str, int]]:
        """Return how many agents there are of each look that occurs, the worst first."""
        found = [(state, number) for state, number in self.tally.items() if number]
        return sorted(found, key=lambda pair: LOOKS[pair[0]].rank)

    @property
    def needy(self) -> int:
        """How many lines need a person."""
        return len(self._needy)

    def first_needy(self, most: int) -> list[Row]:
        """Return the most urgent lines that need a person, whatever the filter hides."""
        return [self._rows[key] for _, key in self._needy[:most]]

    # ------------------------------------------------------------ what changes

    def put(self, cell: CellView, seen: float) -> None:
        """Take a cell as it was seen. One that is no longer watched leaves, as in ``status``."""
        if not cell.is_watched and cell.manifest is not None:
            self.drop(cell.uuid)
            return
        rows = rows_of(cell, seen)
        self._put(cell.uuid, [row._replace(request=self._asked.get(row.key)) for row in rows])

    def ask(self, asked: Mapping[Key, Request], seen: float) -> None:
        """Take the open requests as seen; a far gateway has a line while it is asked about."""
        before, self._asked = self._asked, asked
        for key in set(before) | set(asked):
            row = self._rows.get(key)
            if row is not None and not row.is_far:
                self._replace(row._replace(request=asked.get(key)))
        if far := far_rows(asked, seen):
            self._put(POOL, far)
        else:
            self.drop(POOL)

    def _put(self, uuid: str, rows: list[Row]) -> None:
        now = [row.key for row in rows]
        for key in set(self._keys.get(uuid, ())) - set(now):
            self._remove(key)
        self._keys[uuid] = now
        for row in rows:
            self._replace(row)

    def drop(self, uuid: str) -> None:
        """Forget a cell."""
        keys = self._keys.pop(uuid, None)
        if keys is not None:
            for key in keys:
                self._remove(key)

    def show(self, *, needle: str | None = None, order: str | None = None) -> None:
        """Filter or order anew: the one thing that looks at every line."""
        self.needle = self.needle if needle is None else needle
        self.order = self.order if order is None else order
        self._shown = self._sorted(
            (row for row in self._rows.values() if matches(row, self.needle)), ORDERS[self.order]
        )

    @staticmethod
    def _sorted(rows: Iterable[Row], order: Callable[[Row], Order]) -> list[Entry]:
        return sorted((order(row), row.key) for row in rows)

    def _replace(self, row: Row) -> None:
        old = self._rows.get(row.key)
        self._rows[row.key] = row
        self.tally[row.state] += _counts(row)
        if old is not None:
            self.tally[old.state] -= _counts(old)
        order = ORDERS[self.order]
        _move(
            self._shown,
            (order(old), old.key) if old and matches(old, self.needle) else None,
            (order(row), row.key) if matches(row, self.needle) else None,
        )
        _move(
            self._needy,
            (worst_first(old), old.key) if old and old.calls else None,
            (worst_first(row), row.key) if row.calls else None,
        )

    def _remove(self, key: Key) -> None:
        old = self._rows.pop(key)
        self.tally[old.state] -= _counts(old)
        if matches(old, self.needle):
            _move(self._shown, (ORDERS[self.order](old), key), None)
        if old.calls:
            _move(self._needy, (worst_first(old), key), None)


def _counts(row: Row) -> bool:
    """Whether a line is an agent of a cell."""
    return row.agent is not None and not row.is_far


def _move(entries: list[Entry], old: Entry | None, new: Entry | None) -> None:
    """Take one entry out of a sorted list and put another in."""
    if old == new:
        return
    if old is not None:
        at = bisect_left(entries, old)
        if at < len(entries) and entries[at] == old:
            del entries[at]
    if new is not None:
        insort(entries, new)
