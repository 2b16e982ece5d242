"""Bytes from strangers made fit to handle: bounded JSON, and text that stays on its line."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeVar

import msgspec

from lazarus_pit.errors import FormatError

T = TypeVar("T")

MAX_DEPTH = 64
MARKS = 2
"""Accents on one letter that ``spoken`` leaves: a tower of them covers other lines."""
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Called letters, and yet nothing is seen of them."""
# Control characters of both sets, line and paragraph separators, the marks that turn text around
# (a terminal obeys them, and a log line would lie), and halves of characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

_OBEYED = re.compile(f"(?![\t\n]){_UNSEEN.pattern}")


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def one_line(text: str, limit: int = 200) -> str:
    r"""Return the text on one line, inert in a terminal, at most ``limit`` characters long.

    What a terminal would obey is shown as ``\u001b``; what is cut off ends in ``…``.
    """
    clean = _UNSEEN.sub(_escape, text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def inert_lines(text: str) -> str:
    r"""Return text with its lines and tabs, and all else that a terminal would obey as ``\u001b``.

    The last guard of what is printed: whoever puts a stranger's words into it uses ``one_line``.
    """
    return _OBEYED.sub(_escape, text)


def spoken(text: str) -> str:
    r"""Return a stranger's words on one line, in which nothing hides and nothing is pushed away.

    Lines are joined by ``⏎`` and blanks are single. What cannot be seen, or is drawn over what
    stands beside it, is shown as ``\u200b``. The closing mark ``”`` becomes ``"``, so that it can
    be quoted.
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    said = " ⏎ ".join(line for line in lines if line).replace("”", '"')
    shown: list[str] = []
    marks = 0
    for one in said:
        marks = marks + 1 if unicodedata.category(one).startswith("M") else 0
        hidden = not one.isprintable() or one in _BLANKS or marks > MARKS
        shown.append((f"\\u{ord(one):04x}") if hidden else one)
    return "".join(shown)


def inert(encoded: bytes) -> bytes:
    """Return JSON with everything that a terminal would obey written as a JSON escape.

    In JSON such characters occur inside strings alone, so that the value stays the same.
    """
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return _UNSEEN.sub(_escape, encoded.decode()).encode()


def decode(data: bytes, into: type[T], what: str) -> T:
    """Return JSON bytes as ``into``.

    Args:
        data: the bytes as found.
        into: a msgspec struct or a built-in type.
        what: how to call the source in an error.

    Raises:
        FormatError: anything else than that; the text names the field.
    """
    try:
        return msgspec.json.decode(data, type=into)
    except RecursionError:
        raise FormatError(f"{what}: nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise FormatError(f"{what}: {one_line(str(error))}") from None


def decode_object(data: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object of unknown make, in its order, at most 64 levels deep.

    Raises:
        FormatError: it is no object, or a hostile one.
    """
    found: dict[str, Any] = decode(data, dict[str, Any], what)
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return found
    raise FormatError(f"{what}: nested more than {MAX_DEPTH} levels deep")


def _inside(value: object) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


def encode(value: object, what: str) -> bytes:
    """Return ``value`` as one line of JSON without its newline.

    Raises:
        FormatError: it holds what JSON cannot say.
    """
    try:
        return inert(msgspec.json.encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FormatError(f"{what}: {one_line(str(error))}") from None


def field(value: Any, into: Any, name: str, expected: str) -> Any:
    """Return one field of an object, converted strictly.

    Raises:
        FormatError: names the field, what was found and what was expected.
    """
    try:
        return msgspec.convert(value, into)
    except (msgspec.ValidationError, ValueError, OverflowError):
        raise FormatError(f"{name}: found {shown(value)}, expected {expected}") from None


def shown(value: object) -> str:
    """Return a found value as an error may show it: short, on one line, in the words of JSON."""
    match value:
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return f'"{one_line(value, 60)}"'
        case _:
            return one_line(str(value), 60)
