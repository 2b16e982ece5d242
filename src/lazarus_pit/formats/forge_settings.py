"""``[gitea]``: one repository at a forge, in the daemon's TOML and in the pool's JSON."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import fields

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import rules, text


class Gitea(Struct, frozen=True, kw_only=True):
    """Gitea, Forgejo or GitHub. The environment wins over ``token``, for the pool over all three.

    Without an address, a repository and a token nothing is sent.
    """

    url: str = ""
    repo: str = ""
    """``owner/name``."""
    token: str = ""
    approvers: tuple[str, ...] = ()
    """Whose comments on an issue are answers, by login; empty: nobody's."""
    poll_interval: float = 15.0
    """Seconds between two looks at comments and proposals."""
    reopen_within: float = 86_400.0
    """Seconds after a recovery within which a death goes on in the same issue."""
    provision_approved: bool = False
    """Whether an issue with the label ``mission-approved`` becomes a cell."""
    webhook_port: int = 0
    """On loopback; where the forge may say that there is something to look at. 0: nowhere."""
    webhook_secret: str = ""

    def __repr__(self) -> str:
        """Say what is set, and no value: two of them are secrets."""
        given = [info.name for info in fields(self) if getattr(self, info.name) != info.default]
        return f"Gitea({', '.join(f'{name}=…' for name in given)})"

    @property
    def missing(self) -> str:
        """The key without which nothing is sent; empty if there is all."""
        return next((key for key in ("url", "repo", "token") if not getattr(self, key)), "")

    @property
    def answers(self) -> bool:
        """Whether people can answer there."""
        return not self.missing and bool(self.approvers)


class Notifications(Struct, frozen=True, kw_only=True):
    """``[notifications]``: what is told there."""

    open_issue_on_death: bool = True
    close_issue_on_revive: bool = True


_SECRET = ("token", "webhook_secret")
_REPO = re.compile(r"[\w.-]+/[\w.-]+\Z", re.ASCII)
_BOUNDS = {"poll_interval": (0.05, 86_400.0), "webhook_port": (0, 65_535)}


def check(key: str, value: object, *, shape: bool = True) -> Any:
    """Return one value, converted; without ``shape`` an address may be any text.

    Raises:
        FormatError: wrong type or impossible; names the key, what was found and expected.
    """
    kind = next(info.type for info in fields(Gitea) if info.name == key)
    expected = "a list of logins" if key == "approvers" else rules.expectation(kind)
    try:
        found = text.field(value, kind, key, expected)
    except FormatError:
        if key in _SECRET:
            raise FormatError(f"{key}: expected {expected}") from None
        raise
    if isinstance(found, int | float) and not isinstance(found, bool):
        rules.check_number(found, *_BOUNDS.get(key, (0, rules.LONGEST)), key)
    for part in found if isinstance(found, tuple) else (found,):
        # A header and an address are made of these.
        if isinstance(part, str) and not (part.isprintable() and (part.isascii() or key == "url")):
            raise FormatError(f"{key}: expected a text of printable characters")
    if shape and key == "repo" and found and not _REPO.match(found):
        raise FormatError(f"repo: found {text.shown(found)}, expected owner/name")
    if shape and key == "url" and found:
        _check_url(found)
    return found


def _check_url(found: str) -> None:
    try:
        parts = urlsplit(found)
        plain = not (parts.username or parts.query or parts.port == 0)
        fit = bool(parts.scheme in ("http", "https") and parts.hostname and plain)
    except ValueError:
        fit = False
    if not fit:
        raise FormatError(f"url: found {text.shown(found)}, expected https://git.example.org")
