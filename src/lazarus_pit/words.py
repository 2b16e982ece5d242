"""The words of a command inside a cell, taken apart. Standard library only, and little of it."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WordsError(Exception):
    """What was typed is wrong use: names the flag, what was found and what was expected."""


class Words(NamedTuple):
    """A command line taken apart."""

    plain: list[str]
    given: dict[str, str]


def parse(words: Sequence[str], flags: Mapping[str, int]) -> Words:
    """Return the plain words and the flags by name.

    ``flags`` are those that there are, and whether a value follows each.

    Raises:
        WordsError: names the flag, and what was expected.
    """
    plain: list[str] = []
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if not word.startswith("--"):
            plain.append(word)
        elif word == "--":
            return Words(plain + rest, given)
        elif flag not in flags:
            raise WordsError(f"found {flag!r}, expected one of {' '.join(flags)}")
        elif not flags[flag]:
            given[flag] = ""
        elif not equals and not rest:
            raise WordsError(f"{flag}: expected a value after it")
        else:
            given[flag] = value if equals else rest.pop(0)
    return Words(plain, given)


def seconds(given: Mapping[str, str], flag: str) -> int | None:
    """Return the value of a flag in whole seconds; ``None``: it was not given.

    Raises:
        WordsError: it is no such number.
    """
    text = given.get(flag)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise WordsError(f"{flag}: found {text!r}, expected a whole number of seconds")
    return int(text)
