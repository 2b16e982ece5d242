"""Telegram's own description of its Bot API, against which every call is checked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parents[2] / "shared" / "contracts" / "telegram-bot-api.json"
SPECIAL = frozenset("_*[]()~`>#+-=|{}.!")


@cache
def contract() -> Any:
    """The document, or nothing where it is not there."""
    return json.loads(CONTRACT.read_text()) if CONTRACT.exists() else None


def violations(method: str, given: dict[str, Any]) -> list[str]:
    """What is wrong with a call; nothing is said where there is no document."""
    found = contract()
    if found is None:
        return []
    if method not in found["methods"]:
        return [f"{method}: no such method"]
    wrong = _fields(method, found["methods"][method].get("fields", []), given)
    text = given.get("text", "x")
    if not 1 <= len(text) <= (200 if method == "answerCallbackQuery" else 4096):
        wrong.append(f"{method}: text of {len(text)} characters")
    for row in given.get("reply_markup", {}).get("inline_keyboard", []):
        for button in row:
            if not 1 <= len(button.get("callback_data", "x").encode()) <= 64:
                wrong.append(f"{method}: callback_data too long")
    return wrong


def _fields(where: str, known: list[Any], given: dict[str, Any]) -> list[str]:
    types = {one["name"]: one["types"] for one in known}
    wrong = [f"{where}: {name} is missing" for name in _required(known) - given.keys()]
    for name, value in given.items():
        if name not in types:
            wrong.append(f"{where}: {name} is no parameter")
        elif not any(_fits(kind, value) for kind in types[name]):
            wrong.append(f"{where}: {name} is {value!r}, expected {types[name]}")
    return wrong


def _required(known: list[Any]) -> set[str]:
    return {one["name"] for one in known if one["required"]}


def _fits(kind: str, value: Any) -> bool:
    if kind.startswith("Array of "):
        inner = kind.removeprefix("Array of ")
        return isinstance(value, list) and all(_fits(inner, one) for one in value)
    match kind:
        case "Integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "String":
            return isinstance(value, str)
        case "Boolean" | "True":
            return isinstance(value, bool)
    described = contract()["types"][kind]
    if "subtypes" in described:
        return any(_fits(sub, value) for sub in described["subtypes"])
    return isinstance(value, dict) and not _fields(kind, described.get("fields", []), value)


def shown(marked: str) -> str:
    """What people see of MarkdownV2, as far as we write it; what Telegram refuses raises."""
    seen: list[str] = []
    bold = code = False
    signs = iter(marked)
    for sign in signs:
        if sign == "\\":
            meant = next(signs, "")
            if not meant.isascii() or not meant:
                raise ValueError("nothing to escape")
            seen.append(meant)
        elif sign == "`":
            code = not code
        elif code:
            seen.append(sign)
        elif sign == "*":
            bold = not bold
        elif sign in SPECIAL:
            raise ValueError(f"character '{sign}' is reserved")
        else:
            seen.append(sign)
    if bold or code:
        raise ValueError("an entity has no end")
    return "".join(seen)
