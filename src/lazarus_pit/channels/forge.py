"""A forge's issues over HTTP: Gitea, Forgejo, and GitHub where its API agrees.

A thin client over the few calls that are used. What a forge answers is read strictly where we use
it and passed over elsewhere; no redirect is followed, so that the token reaches nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from datetime import datetime
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from msgspec import Struct

from lazarus_pit.errors import ConfigError, FormatError, LazarusError, WorldError
from lazarus_pit.formats.text import decode, one_line

PAGE = 50
"""Entries asked for at once; a forge may give fewer."""
FEWER = (PAGE, 5, 1)
"""Entries asked for at once, where so many were too long an answer."""
MOST_ENTRIES = 100_000
"""A walk over more of them than this has lost its way."""
MOST_PASSED_OVER = 20
"""Entries in one walk that are too long by themselves."""
MAX_BYTES = 32 * 1024 * 1024
"""Of one answer. Whoever may write at a forge may well write more than that."""
PATIENCE = 30.0
"""Seconds that one call may take."""
_HERE = ("localhost", "127.0.0.1", "::1")
_REPO = re.compile(r"[\w.-]+/[\w.-]+\Z", re.ASCII)

log = logging.getLogger(__name__)

T = TypeVar("T", "Issue", "Comment", "Label")


class ForgeDownError(WorldError):
    """It cannot be reached, is overloaded or wants another token: the same call may work later."""

    def __init__(self, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after
        """Seconds to wait, where it said so."""


class ForgeRefusedError(LazarusError):
    """It understood this very call and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TooLongError(FormatError):
    """An answer is longer than we hold: a stranger may write so much to keep us from the rest."""

    def __init__(self, message: str, headers: httpx2.Headers) -> None:
        super().__init__(message)
        self.headers = headers


class User(Struct, frozen=True):
    """Who wrote something."""

    login: str = ""


class Label(Struct, frozen=True):
    """A label of the repository; Gitea wants the id of it, GitHub the name."""

    id: int
    name: str = ""


class Issue(Struct, frozen=True):
    """An issue, as far as we use it."""

    number: int
    title: str = ""
    body: str | None = None
    state: str = "open"
    user: User | None = None
    labels: list[Label] | None = None
    is_locked: bool | None = None
    """So Gitea says that nobody but maintainers may comment; GitHub says ``locked``."""
    locked: bool | None = None
    pull_request: Any = None
    """GitHub lists pull requests among the issues, Gitea says null."""

    @property
    def text(self) -> str:
        """The page."""
        return self.body or ""

    def bears(self, label: str) -> bool:
        """Whether it has a label, whatever the case of it."""
        return any(one.name.lower() == label.lower() for one in self.labels or [])


class Comment(Struct, frozen=True):
    """A comment, as far as we use it."""

    id: int
    body: str | None = None
    user: User | None = None
    created_at: str = ""
    updated_at: str = ""
    issue_url: str = ""

    @property
    def text(self) -> str:
        """What it says."""
        return self.body or ""

    @property
    def issue(self) -> int:
        """The number of its issue; 0 where it does not say."""
        tail = self.issue_url.rstrip("/").rpartition("/")[2]
        return int(tail) if tail.isascii() and tail.isdecimal() else 0


class Forge:
    """One repository at one forge."""

    def __init__(self, url: str, repo: str, token: str) -> None:
        """Nothing is connected before the first call.

        Raises:
            ConfigError: the address or the repository cannot be.
        """
        base, self._github = _api(url)
        if not _REPO.match(repo):
            raise ConfigError(f"repo: found {one_line(repo, 60)!r}, expected owner/name")
        owner, _, name = repo.partition("/")
        self._at = f"{base}/repos/{quote(owner)}/{quote(name)}"
        self.id = f"{base} {repo}"
        """What this repository is called in the records."""
        self._said: set[str] = set()
        self._client = httpx2.AsyncClient(
            # A proxy and certificates of the environment; but none to reach this machine.
            trust_env=urlsplit(base).hostname not in _HERE,
            follow_redirects=False,
            timeout=None,
            verify=base.startswith("https:"),  # To read all certificates for nothing is slow.
            headers={"Accept": "application/json"}
            | ({"Authorization": f"token {token}"} if token else {}),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    # ------------------------------------------------------------ reading

    async def issue(self, number: int) -> Issue | None:
        """Return an issue; ``None`` where there is none of that number, or it is too long."""
        try:
            _, data = await self._call("GET", f"/issues/{number}")
        except ForgeRefusedError as error:
            if error.status in (404, 410):
                return None
            raise
        except TooLongError as error:
            self._say_once(str(error))
            return None
        return decode(data, Issue, f"issue {number}")

    async def issues(self, *, state: str = "open", label: str = "") -> list[Issue]:
        """Return every issue of that state, and with that label where one is given."""
        query = {"state": state, "type": "issues"} | ({"labels": label} if label else {})
        found = await self._pages("/issues", query, Issue, "number")
        # A Gitea that does not know the label leaves it out of the question, and returns all.
        return [one for one in found if not one.pull_request and (not label or one.bears(label))]

    async def comments(self, number: int) -> list[Comment]:
        """Return the comments of an issue, of which a Gitea makes no pages.

        None where they are too long: who looks for words of its own must then say them again.
        """
        path = f"/issues/{number}/comments"
        try:
            return await self._walk(path, {}, Comment, "id", PAGE)
        except TooLongError as error:
            self._say_once(str(error))
            return []

    async def comments_since(self, since: str) -> list[Comment]:
        """Return the comments in the whole repository that are new or changed since a time."""
        return await self._pages("/issues/comments", {"since": since}, Comment, "id")

    # ------------------------------------------------------------ writing

    async def label(self, name: str, colour: str, description: str) -> Label:
        """Return the label of that name; it is made where it is missing."""
        found = await self._pages("/labels", {}, Label, "id")
        for one in found:
            if one.name.lower() == name.lower():
                return one
        wanted = {"name": name, "color": colour, "description": description}
        _, data = await self._call("POST", "/labels", wanted)
        return decode(data, Label, "label")

    async def open(self, title: str, body: str, labels: list[Label]) -> Issue:
        """Open an issue."""
        marks = [one.name if self._github else one.id for one in labels]
        wanted = {"title": title, "body": body, "labels": marks}
        _, data = await self._call("POST", "/issues", wanted)
        return decode(data, Issue, "issue")

    async def set_state(self, number: int, state: str) -> None:
        """Close an issue, or open it again."""
        await self._call("PATCH", f"/issues/{number}", {"state": state})

    async def comment(self, number: int, body: str) -> Comment:
        """Say something in an issue."""
        _, data = await self._call("POST", f"/issues/{number}/comments", {"body": body})
        return decode(data, Comment, "comment")

    # ------------------------------------------------------------ the wire

    async def _pages(self, path: str, query: dict[str, str], into: type[T], key: str) -> list[T]:
        """Return all entries: the forge, not we, decides how many stand on a page.

        Entries may move from page to page while we read; none is returned twice. Pages that are
        too long are made smaller; an entry that is too long by itself is passed over.
        """
        for size in FEWER[:-1]:
            with contextlib.suppress(TooLongError):
                return await self._walk(path, query, into, key, size)
        return await self._walk(path, query, into, key, FEWER[-1])

    async def _walk(
        self, path: str, query: dict[str, str], into: type[T], key: str, size: int
    ) -> list[T]:
        found: dict[int, T] = {}
        passed_over = 0
        for page in range(1, MOST_ENTRIES // size + 1):
            asked = {"page": str(page), "per_page" if self._github else "limit": str(size)}
            try:
                headers, data = await self._call("GET", path, query=query | asked)
            except TooLongError as error:
                passed_over += 1
                if size > 1 or passed_over > MOST_PASSED_OVER:
                    raise
                self._say_once(f"{path}: an entry is too long and passed over")
                if _is_last(error.headers, len(found) + passed_over):
                    break
                continue
            entries = decode(data, list[into], path)  # type: ignore[valid-type]
            before = len(found)
            found |= {getattr(entry, key): entry for entry in entries}
            if len(found) == before or _is_last(headers, len(found) + passed_over):
                break
        else:
            raise FormatError(f"{path}: more than {MOST_ENTRIES} entries")
        return list(found.values())

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("%s", what)

    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[httpx2.Headers, bytes]:
        what = f"{method} {path}"
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._client.stream(method, self._at + path, params=query, json=body) as answer,
            ):
                data = bytearray()
                async for block in answer.aiter_bytes():
                    data += block
                    if len(data) > MAX_BYTES:
                        said = f"{what}: more than {MAX_BYTES} bytes"
                        raise TooLongError(said, answer.headers)
        except TimeoutError:
            raise ForgeDownError(f"{what}: no answer in {PATIENCE:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ForgeDownError(
                f"{what}: {one_line(str(error) or type(error).__name__)}"
            ) from None
        if 200 <= answer.status_code < 300:
            return answer.headers, bytes(data)
        raise _fault(what, answer, bytes(data[:300]))


def unix(stamp: str) -> float:
    """Return a time as Unix seconds; forges write them in zones of their own. 0 for none."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo else 0.0


def _api(url: str) -> tuple[str, bool]:
    """Return where the API begins, and whether it is GitHub's."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ConfigError(f"url: found {one_line(url, 80)!r}, expected https://git.example.org")
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    if parts.hostname in ("github.com", "www.github.com", "api.github.com"):
        return "https://api.github.com", True
    if base.endswith("/api/v3"):  # GitHub Enterprise.
        return base, True
    return base if base.endswith("/api/v1") else f"{base}/api/v1", False


def _is_last(headers: httpx2.Headers, seen: int) -> bool:
    """Whether that was all, by the forge's own count; without one, whether it names a next page."""
    total = headers.get("X-Total-Count", "")
    if total.isascii() and total.isdecimal():
        return seen >= int(total)
    links = headers.get("Link")
    return links is not None and 'rel="next"' not in links


def _fault(what: str, answer: httpx2.Response, data: bytes) -> LazarusError:
    """Return the error that an answer means. Who we are is no matter of this one call."""
    said = one_line(data.decode("utf-8", "replace"), 200)
    text = f"{what}: status {answer.status_code}: {said}"
    status = answer.status_code
    limited = answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers
    if 300 <= status < 400:
        place = one_line(answer.headers.get("Location", "another place"), 200)
        return ForgeDownError(f"{what}: status {status}, the repository has moved to {place}")
    if status in (401, 408, 425, 429) or status >= 500 or (status == 403 and limited):
        return ForgeDownError(text, after=_seconds(answer.headers.get("Retry-After", "")))
    return ForgeRefusedError(text, status)


def _seconds(said: str) -> float:
    return min(float(said), 3600.0) if said.isascii() and said.isdecimal() else 0.0
