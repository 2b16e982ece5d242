"""Where a mission proposal is read from: a file, or an issue of the forge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.errors import FormatError, UsageError
from lazarus_pit.formats.forge_settings import Gitea
from lazarus_pit.formats.proposal import MAX_BYTES, Proposal, parse_proposal

_NUMBER = re.compile(r"#?([0-9]{1,9})\Z", re.ASCII)


class Found(NamedTuple):
    """A proposal, and the issue that it stands in."""

    proposal: Proposal
    issue: int | None = None
    repo: str | None = None


def read_from(source: str, gitea: Gitea, repo: str | None) -> Found:
    """Return the proposal in a file, or in the issue of that number.

    Raises:
        UsageError: there is no such file or issue, or no forge is configured.
        FormatError: it cannot be read; names section and line.
        LazarusError: the forge cannot be asked.
    """
    number = _NUMBER.match(source)
    if number is None:
        return Found(_of_file(Path(source)))
    at = repo or gitea.repo
    for key, value in {"url": gitea.url, "repo": at}.items():
        if not value:
            raise UsageError(f"--from-proposal {source}: [gitea] {key} is not configured")
    return Found(_of_issue(int(number[1]), gitea, at), int(number[1]), at)


def _of_file(path: Path) -> Proposal:
    data = read_hostile(path, MAX_BYTES)
    if data is None:
        raise UsageError(f"--from-proposal: {path}: there is no such file")
    return _parsed(data, str(path), "")


def _of_issue(number: int, gitea: Gitea, repo: str) -> Proposal:
    import asyncio  # noqa: PLC0415 - with the client it takes longer to import than all else here

    from lazarus_pit.channels.forge import Forge, Issue  # noqa: PLC0415

    async def fetch() -> Issue | None:
        async with Forge(gitea.url, repo, gitea.token) as forge:
            return await forge.issue(number)

    found = asyncio.run(fetch())
    if found is None:
        raise UsageError(f"--from-proposal: {repo} has no issue {number}, or not for this token")
    return _parsed(found.text.encode(), f"issue {number}", found.title)


def _parsed(data: bytes, what: str, title: str) -> Proposal:
    try:
        return parse_proposal(data, title)
    except FormatError as error:
        raise FormatError(f"{what}: {error}") from None
