"""Posts arrive in order and once, whatever is lost and whoever dies between any two steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge import LOST, REPO, TOKEN, Forge, Trouble, serving
from lazarus_pit.channels import incidents
from lazarus_pit.channels.forge import Forge as Client
from lazarus_pit.channels.forge import ForgeDownError
from lazarus_pit.channels.incidents import Action, Close, Open, Say
from lazarus_pit.channels.outbox import MOST_REFUSALS, Outbox
from lazarus_pit.records import outbox
from lazarus_pit.records.database import opened_records

TITLE = "[pool] timmy: agent dead (312s)"
DIED = Open("[pool] timmy:", TITLE, "it died", "again", reopen=False)
AGAIN = Open("[pool] timmy:", TITLE, "it died", "again", reopen=True)
LIFE: list[Action] = [DIED, Say("failed"), Close("back", close=True), AGAIN, Close("b", close=True)]
SHORT: list[Action] = [DIED, Close("back", close=True), AGAIN]
"""Each sort of request: find, mark, open, say, close, open again."""


@pytest.fixture(name="forge")
def _forge() -> Iterator[Forge]:
    with serving() as forge:
        yield forge


@pytest.fixture(name="records")
def _records(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


def queue(records: Path, *actions: Action, subject: str = "pool/timmy") -> None:
    with opened_records(records) as db:
        for action in actions:
            outbox.add(db, "q", subject, incidents.to_object(action))


def left(records: Path) -> int:
    with opened_records(records) as db:
        return outbox.count(db, "q")


def deliver(records: Path, forge: Forge, url: str = "") -> bool:
    """Deliver as a process that has just begun; whether the forge was there all the time."""

    async def once() -> bool:
        async with Client(url or forge.url, REPO, TOKEN) as client:
            try:
                await Outbox(records, client, "q").deliver()
            except ForgeDownError:
                return False
            return True

    return asyncio.run(once())


def refusing(status: int, where: str) -> Trouble:
    return lambda _method, path: status if path == where else None


def test_a_life_is_told_in_one_issue(records: Path, forge: Forge) -> None:
    queue(records, *LIFE)
    assert deliver(records, forge)
    (issue,) = forge.issues
    assert (issue["title"], issue["state"]) == (TITLE, "closed")
    assert [one["name"] for one in issue["labels"]] == ["resurrection-pool"]
    assert forge.texts(1) == ["failed", "back", "again", "b"]
    assert left(records) == 0


@pytest.mark.parametrize("how", [LOST, 503])
def test_nothing_is_lost_or_said_twice(tmp_path: Path, how: int) -> None:
    """The answer to each request in turn is lost after the deed, or there is no deed.

    The process dies of it there: a death between any two steps leaves one of these two behind.
    """
    with serving() as forge:
        queue(tmp_path / "calm.db", *SHORT)
        deliver(tmp_path / "calm.db", forge)
        calm = len(forge.asked)
    assert calm > len(SHORT)
    for number in range(calm):
        with serving() as forge:
            records = tmp_path / f"{number}.db"
            queue(records, *SHORT)
            forge.trouble = lambda *_, f=forge, n=number: how if len(f.asked) == n + 1 else None
            assert not deliver(records, forge)
            assert deliver(records, forge)
            assert [one["state"] for one in forge.issues] == ["open"]
            assert forge.texts(1) == ["back", "again"], number
            assert [one["name"] for one in forge.labels] == ["resurrection-pool"]


def test_an_outage_is_waited_out(records: Path, forge: Forge) -> None:
    queue(records, *LIFE)
    assert not deliver(records, forge, "http://127.0.0.1:1")
    for status in (500, 429, 401):
        forge.trouble = lambda *_, s=status: s
        assert not deliver(records, forge)
    for status in (403, 404):  # The repository, not one post: renamed, or a token too weak.
        forge.trouble = refusing(status, "/issues")
        for _ in range(MOST_REFUSALS):
            assert not deliver(records, forge)
    assert left(records) == len(LIFE)
    forge.trouble = lambda *_: None
    assert deliver(records, forge)
    assert forge.texts(1) == ["failed", "back", "again", "b"]


def test_an_issue_opened_before_is_found_on_the_last_of_many_pages(
    records: Path, forge: Forge
) -> None:
    old = forge.open("[pool] timmy: agent dead (7s)", "opened by another program")
    for number in range(130):
        forge.open(f"[pool] timmy{number}: agent dead (1s)")
    queue(records, DIED)
    assert deliver(records, forge)
    assert len(forge.issues) == 131
    assert forge.texts(old) == ["again"]


def test_a_namesake_of_another_cell_has_an_issue_of_its_own(records: Path, forge: Forge) -> None:
    for subject in ("one/timmy", "two/timmy"):
        queue(records, DIED, subject=subject)
    assert deliver(records, forge)
    assert len(forge.issues) == 2
    queue(records, Say("of the second"), subject="two/timmy")
    assert deliver(records, forge)
    assert forge.texts(2) == ["of the second"]


def test_a_lost_record_finds_its_issue_by_the_marker(tmp_path: Path, forge: Forge) -> None:
    queue(tmp_path / "a.db", DIED)
    assert deliver(tmp_path / "a.db", forge)
    forge.issues[0]["title"] = "renamed by people"
    queue(tmp_path / "b.db", DIED)
    assert deliver(tmp_path / "b.db", forge)
    assert len(forge.issues) == 1


def test_what_was_removed_or_is_refused_keeps_nothing_back(records: Path, forge: Forge) -> None:
    queue(records, DIED)
    assert deliver(records, forge)
    del forge.said[1]
    queue(records, Say("into nothing"), DIED)
    assert deliver(records, forge)
    assert (len(forge.issues), forge.texts(2)) == (2, [])
    forge.trouble = refusing(403, "/issues/2/comments")
    forge.issues[1]["is_locked"] = True
    queue(records, Say("locked"), Close("back", close=True))
    queue(records, DIED, subject="pool/other")
    for _ in range(2 * MOST_REFUSALS):
        assert deliver(records, forge)
    assert left(records) == 0
    assert len(forge.issues) == 3
    assert forge.issues[1]["state"] == "closed"


def test_what_our_account_may_not_write_is_kept_until_it_may(records: Path, forge: Forge) -> None:
    queue(records, DIED)
    assert deliver(records, forge)
    forge.trouble = refusing(403, "/issues/1/comments")
    queue(records, Say("failed"), Close("back", close=True))
    queue(records, DIED, subject="pool/other")
    for _ in range(2 * MOST_REFUSALS):
        assert deliver(records, forge)
    assert left(records) == 2
    assert len(forge.issues) == 2
    forge.trouble = lambda *_: None
    assert deliver(records, forge)
    assert forge.texts(1) == ["failed", "back"]
    assert forge.issues[0]["state"] == "closed"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_repository_that_has_moved_loses_nothing(
    records: Path, forge: Forge, status: int
) -> None:
    queue(records, DIED)
    assert deliver(records, forge)
    queue(records, *LIFE[1:])
    forge.trouble = lambda *_: status
    for _ in range(MOST_REFUSALS + 1):
        assert not deliver(records, forge)
    forge.trouble = lambda *_: None
    assert deliver(records, forge)
    assert forge.texts(1) == ["failed", "back", "again", "b"]


def test_what_strangers_write_at_length_keeps_nothing_back(
    records: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lazarus_pit.channels.forge.MAX_BYTES", 20_000)
    forge.open("hello", "x" * 30_000)
    old = forge.open("[pool] timmy: agent dead (7s)", "opened by another program")
    for _ in range(3):
        forge.open("hello", "x" * 15_000)
    forge.open("hello", "x" * 30_000)
    queue(records, DIED)
    assert deliver(records, forge)
    assert forge.texts(old) == ["again"]
    forge.comment(old, "x" * 30_000)
    forge.trouble = lambda *_: LOST
    queue(records, Say("tried"))
    assert not deliver(records, forge)
    forge.trouble = lambda *_: None
    assert deliver(records, forge)
    assert "tried" in forge.texts(old)[-1]
    forge.issues[old - 1]["body"] = "x" * 30_000
    queue(records, DIED)
    assert deliver(records, forge)
    assert forge.issues[-1]["title"] == TITLE
    assert left(records) == 0


def test_the_comments_are_heard_beside_one_that_is_too_long(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lazarus_pit.channels.forge.MAX_BYTES", 20_000)
    issue = forge.open("hello")
    for body in ("one", "x" * 30_000, "two"):
        forge.comment(issue, body)

    async def look() -> list[str]:
        async with Client(forge.url, REPO, TOKEN) as client:
            return [one.text for one in await client.comments_since("2020-01-01T00:00:00Z")]

    assert asyncio.run(look()) == ["one", "two"]


def test_github_is_spoken_to_in_its_own_way(records: Path, forge: Forge) -> None:
    forge.github = True
    old = forge.open("[pool] timmy: agent dead (7s)", "opened by another program")
    forge.issues[0]["pull_request"] = {"url": "a pull request, among the issues"}
    right = forge.open("[pool] timmy: agent dead (8s)")
    for number in range(60):
        forge.open(f"issue {number}")
    queue(records, DIED)
    queue(records, DIED, subject="pool/other")
    assert deliver(records, forge, f"{forge.url}/api/v3")
    assert (forge.texts(old), forge.texts(right)) == ([], ["again"])
    assert forge.issues[-1]["labels"][0]["name"] == "resurrection-pool"
