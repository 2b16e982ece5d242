"""A name in the configuration and the channel that it means; each is imported when it is used."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.channels.base import Channel
from lazarus_pit.channels.desk import Desk
from lazarus_pit.errors import ConfigError, FormatError, StoreError
from lazarus_pit.formats.channel_settings import Channels

_SECRET_BYTES = 64 * 1024


def makers(settings: Channels) -> dict[str, Callable[[Desk], Channel]]:
    """Return how each configured channel is made."""
    return {
        name: partial(_MAKERS[name], settings) for name in settings.configured if name in _MAKERS
    }


def secret(value: str, path: str, key: str) -> str:
    """Return a secret as it was given, or what its file holds, without the blanks around it.

    Raises:
        ConfigError: the file cannot be read or is empty; names it and the key.
    """
    if value or not path:
        return value
    try:  # A secret may well be a link, to a real file.
        place = Path(os.path.realpath(Path(path).expanduser()))
        data = read_hostile(place, _SECRET_BYTES) or b""
        found = data.decode().strip()
    except (FormatError, StoreError, ValueError, RuntimeError) as error:
        # What stands in the file is not shown.
        said = "not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(f"{key}: {said}") from None
    if not found:
        raise ConfigError(f"{key}: {path}: empty or not there, expected the secret alone")
    return found


def _telegram(settings: Channels, desk: Desk) -> Channel:
    from lazarus_pit.channels.telegram import Telegram  # noqa: PLC0415 - only who is configured

    return Telegram(settings.telegram, desk)


_MAKERS: dict[str, Callable[[Channels, Desk], Channel]] = {"telegram": _telegram}
