"""Going in circles: the same few things one after another, round upon round.

Pure, of a bounded size whatever happens; standard library only.
"""

from __future__ import annotations

LONGEST = 4
"""Things in the longest round that is noticed."""

Trail = tuple[tuple[str, ...], tuple[int, ...]]
"""What has just happened, as much as is needed to notice a round: the latest things, the last one
last, at most ``LONGEST``; and, for rounds of 1, 2, … things, how many in a row were what was so
many things before."""

NOTHING: Trail = ((), (0,) * LONGEST)


def after(trail: Trail, thing: str) -> Trail:
    """Return the trail after one more thing has happened."""
    last, same = trail
    runs = tuple(
        run + 1 if len(last) >= size and last[-size] == thing else 0
        for size, run in enumerate(same, 1)
    )
    return (*last, thing)[-LONGEST:], runs


def rounds(trail: Trail) -> int:
    """Return how many times in a row the latest things were done, as whole rounds.

    A A A A is 4 and so is A B A B A B A B; A B C is 1, and nothing at all is 0.
    """
    last, same = trail
    return max(1 + run // size for size, run in enumerate(same, 1)) if last else 0


def read(last: object, same: object) -> Trail:
    """Return a trail that was kept as two lists; nothing where they are not what they were."""
    if not isinstance(last, list) or not isinstance(same, list) or len(same) != LONGEST:
        return NOTHING
    things = [one for one in last[-LONGEST:] if isinstance(one, str)]
    runs = [one for one in same if isinstance(one, int) and 0 <= one < 2**62]
    whole = len(things) == len(last) and len(runs) == len(same)
    return (tuple(things), tuple(runs)) if whole else NOTHING
