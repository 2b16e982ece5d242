"""What the removal of a cell would lose, and the token by which a person agrees to lose it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.unsaved import Unsaved, UnsavedRequest
from lazarus_pit.cells.checkpoint.worker import Order
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import committed, say
from lazarus_pit.cli.committed import Repository
from lazarus_pit.cli.names import Found
from lazarus_pit.cli.progress import shown
from lazarus_pit.config import Config
from lazarus_pit.errors import RefusedError

SHOWN = 3
"""Paths and repositories that a refusal names; the rest is counted."""


class Losses(NamedTuple):
    """Work that is nowhere but in the cell."""

    unsaved: Unsaved
    repositories: tuple[Repository, ...]
    """Those that are not clean."""

    def __bool__(self) -> bool:
        return bool(self.unsaved.paths or self.repositories)


def find_losses(config: Config, pit: PitPaths, found: Found, *, saved: bool = False) -> Losses:
    """Compare the cell with its newest sound checkpoint, and its repositories with their remotes.

    ``saved``: a checkpoint will be taken before anything goes, so only the repositories count.

    Raises:
        StoreError: the cell cannot be looked at.
    """
    paths = found.paths
    request = UnsavedRequest(cell=str(paths.cell), store=str(paths.checkpoints))
    with shown("comparing with the last checkpoint"):
        unsaved: Unsaved = asyncio.run(run(Order(request=request), Still(), lambda _: None))
    with shown("asking git in the workspace"):
        seen = committed.look(config, pit, found, unsaved.repositories)
    if saved:
        unsaved = replace(unsaved, paths=(), unsound=())
    return Losses(unsaved, tuple(one for one in seen if not one.is_clean))


def token_of(losses: Losses) -> str:
    """Name what would be lost: ``2-files-3-commits-4f1c09ab``. It fits these losses and no others.

    A token that was read some time ago is of no use where more would be lost by now.
    """
    counts = (
        (len(losses.unsaved.paths), "files"),
        (sum(one.uncommitted for one in losses.repositories), "changes"),
        (sum(one.unpushed for one in losses.repositories), "commits"),
        (sum(bool(one.fault) for one in losses.repositories), "unknown"),
    )
    words = [f"{number}-{what}" for number, what in counts if number]
    whole = hashlib.sha256(losses.unsaved.digest.encode() if losses.unsaved.paths else b"")
    for one in losses.repositories:
        whole.update(b"\0%b\0%b" % (os.fsencode(one.path), one.state.encode()))
    return "-".join([*words, whole.hexdigest()[:8]])


def agree(cell: str, losses: Losses, token: str) -> None:
    """Pass where nothing would be lost, or a person has named it.

    Raises:
        RefusedError: it says what would be lost, and the token.
    """
    wanted = token_of(losses)
    if not losses or token == wanted:
        return
    before = f"--token {say.clean(token, 80)} is not what would be lost now; " if token else ""
    raise RefusedError(
        f"{before}destroying {cell} would lose {_words(losses)}. Nothing was removed. "
        f"To lose it for good: --token {wanted}"
    )


def _words(losses: Losses) -> str:
    said = []
    if paths := losses.unsaved.paths:
        since = losses.unsaved.checkpoint
        what = f"not as in checkpoint {since}" if since else "in no checkpoint"
        said.append(f"{say.count(len(paths), 'file')} {what} ({_some(list(paths))})")
    if unsound := losses.unsaved.unsound:
        said.append(f"unsound checkpoints ({_some(list(unsound))})")
    if losses.repositories:
        said.append(_some([_repository(one) for one in losses.repositories], "; "))
    return "; ".join(said)


def _repository(one: Repository) -> str:
    name = os.path.normpath(os.path.join("workspace", one.path))
    if one.fault:
        return f"whatever is in {name} ({one.fault})"
    counts = ((one.uncommitted, "uncommitted change"), (one.unpushed, "unpushed commit"))
    return f"{' and '.join(say.count(n, what) for n, what in counts if n)} in {name}"


def _some(names: list[str], between: str = ", ") -> str:
    shown = [say.clean(name, 200) for name in names[:SHOWN]]
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return between.join([*shown, *more])
