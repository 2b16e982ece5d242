"""Rounds are noticed whatever came before them, and nothing else is taken for one."""

from __future__ import annotations

import json
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from lazarus_pit import rounds

THINGS = st.lists(st.sampled_from("abcde"), max_size=40)
DISTINCT = st.lists(st.sampled_from("vwxyz"), min_size=1, max_size=rounds.LONGEST, unique=True)


def trail(things: list[str]) -> rounds.Trail:
    return reduce(rounds.after, things, rounds.NOTHING)


def counted(things: list[str]) -> int:
    """The same by looking at everything, slowly: whole rounds at the very end."""
    most = 0
    for size in range(1, rounds.LONGEST + 1):
        back = 0
        while back + size < len(things) and things[-1 - back] == things[-1 - back - size]:
            back += 1
        most = max(most, 1 + back // size)
    return most if things else 0


@given(THINGS)
def test_as_many_rounds_are_seen_as_there_are(things: list[str]) -> None:
    assert rounds.rounds(trail(things)) == counted(things)


@given(THINGS, DISTINCT, st.integers(1, 30))
def test_a_round_counts_whatever_came_before(before: list[str], one: list[str], n: int) -> None:
    assert rounds.rounds(trail(before + one * n)) == n


@given(THINGS, DISTINCT, st.integers(2, 30))
def test_one_thing_that_differs_ends_it(before: list[str], one: list[str], n: int) -> None:
    assert rounds.rounds(trail([*before, *one * n, "new"])) == 1


@given(st.lists(st.text(max_size=3), max_size=200))
def test_what_is_kept_is_bounded_and_survives_the_file(things: list[str]) -> None:
    kept = trail(things)
    assert [len(part) for part in kept] == [min(len(things), rounds.LONGEST), rounds.LONGEST]
    assert rounds.read(*json.loads(json.dumps(kept))) == kept


STRANGE = st.one_of(st.none(), st.integers(), st.text(), st.lists(st.none() | st.integers()))


@given(STRANGE, STRANGE)
def test_a_stranger_in_place_of_it_is_nothing_kept(last: object, same: object) -> None:
    found = rounds.read(last, same)
    assert rounds.rounds(rounds.after(found, "a")) >= 1
    assert len(rounds.after(found, "a")[0]) <= rounds.LONGEST
