"""``preset``: which kind of program an agent is, and what it is to do; in ``cell.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

MAX_TASK = 64 * 1024
"""Bytes of a task; it is one argument of a program."""
_NAME = re.compile(r"[a-z0-9_]{1,32}\Z")


class Recipe(Struct, frozen=True, kw_only=True):
    """What a preset is told. An empty name is no preset."""

    name: str = ""
    task: str = ""
    model: str = ""
    arguments: tuple[str, ...] = ()
    """More arguments, the program's own."""
    permissions: str = "skip"
    """``ask``: people are asked before its tools do more than look and edit; ``skip``: nobody."""


_FIELDS: Mapping[str, tuple[Any, str]] = {
    "name": (str, "the name of a preset"),
    "task": (str, "a text"),
    "model": (str, "a text"),
    "arguments": (tuple[str, ...], "a list of texts"),
    "permissions": (Literal["skip", "ask"], "skip or ask"),
}


def check_recipe(found: Mapping[str, Any]) -> Recipe:
    """Return the recipe in an object of the manifest; an empty object is none.

    Raises:
        FormatError: names the field, what was found and what was expected.
    """
    if not found:
        return Recipe()
    known = {
        name: text.field(found[name], into, name, expected)
        for name, (into, expected) in _FIELDS.items()
        if name in found
    }
    recipe = Recipe(**known)
    if not _NAME.match(recipe.name):
        raise FormatError(f"name: found {text.shown(recipe.name)}, expected the name of a preset")
    if not recipe.task.strip():
        raise FormatError("task: empty, expected what the agent is to do")
    if (size := len(recipe.task.encode(errors="replace"))) > MAX_TASK:
        raise FormatError(
            f"task: {size} bytes, expected at most {MAX_TASK}: "
            "put it into a file of the workspace and name that"
        )
    if any("\0" in word for word in (recipe.task, recipe.model, *recipe.arguments)):
        raise FormatError("holds a zero byte")
    return recipe
