"""Secrets that stand in files of their own; none is ever said."""

from __future__ import annotations

import os
from pathlib import Path

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.errors import ConfigError, FormatError, StoreError

_SECRET_BYTES = 64 * 1024


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
