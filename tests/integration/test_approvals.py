"""Ask, answer, revive: with a real daemon, killed between the steps."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import ASKING, Pit
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.daemon.requests import EARLY_SECONDS
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records

DIES_ONCE = "lazarus beat; echo life >> lives; [ -e died ] || { touch died; sleep 0.2; exit 3; }; "


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path, **ASKING)
    yield pit
    pit.close()


def lazarus(pit: Pit, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lazarus_pit", *words, "--root", str(pit.root)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def requests(pit: Pit) -> list[Request]:
    """Everything that was ever asked, oldest first."""
    with opened_records(PitPaths(pit.root).records) as db:
        return approvals.everything(db)


def pending(pit: Pit) -> list[Request]:
    with opened_records(PitPaths(pit.root).records) as db:
        return approvals.pending(db, time.time())


def listed(pit: Pit, *flags: str) -> list[dict[str, Any]]:
    """What ``lazarus approvals`` says."""
    found: list[dict[str, Any]] = json.loads(lazarus(pit, "approvals", "--json", *flags).stdout)
    return found


def asked(pit: Pit) -> tuple[CellPaths, Request]:
    """Let an agent die once, and return the request that follows."""
    cell = pit.cell(name="pond")
    again = "while :; do lazarus beat; sleep 0.2; done"
    pit.spawn(cell, "scribe", "/bin/sh", "-c", DIES_ONCE + again)
    pit.wait_event(cell, "approval_requested", "scribe")
    pit.wait(PitPaths(pit.root).records.exists, "a record")
    pit.wait(lambda: requests(pit), "a request")
    return cell, requests(pit)[0]


def lives(cell: CellPaths) -> int:
    return len((cell.workspace / "lives").read_text().splitlines())


def test_approved_it_comes_back_once(pit: Pit) -> None:
    pit.start()
    cell, request = asked(pit)
    assert request.subject == f"{cell.uuid}/scribe"
    assert [one["id"] for one in listed(pit)] == [request.id]
    done = lazarus(pit, "approve", request.id[:6], "--as", "ada")
    assert (done.returncode, done.stderr) == (0, "")
    pit.wait_event(cell, "approval_granted", "scribe", by="ada", via="cli")
    pit.wait_event(cell, "agent_revived", "scribe")
    again = lazarus(pit, "approve", request.id[:6])
    assert again.returncode == 1
    assert "approved before, by ada (cli)" in again.stderr
    assert listed(pit) == []
    assert [(one["id"], one["outcome"]) for one in listed(pit, "--all")] == [
        (request.id, "approved")
    ]
    assert lives(cell) == 2


def test_denied_it_stays_dead(pit: Pit) -> None:
    pit.start()
    cell, _ = asked(pit)
    assert lazarus(pit, "deny", "pond/scribe").returncode == 0
    pit.wait_event(cell, "agent_escalated", "scribe", reason="denied")
    assert lives(cell) == 1


def test_a_revive_by_hand_supersedes_the_request(pit: Pit) -> None:
    pit.start()
    cell, request = asked(pit)
    assert lazarus(pit, "revive", "pond/scribe").returncode == 0
    pit.wait(lambda: not pending(pit), "no open request")
    late = lazarus(pit, "approve", request.id)
    assert late.returncode == 1
    assert "needs no word any more" in late.stderr
    assert lives(cell) == 2


def test_what_was_said_in_time_while_no_daemon_ran_counts_and_silence_does_not(
    tmp_path: Path,
) -> None:
    """Killed while two wait; one is answered; and the time of both is over when it is back."""
    pit = Pit(tmp_path, **ASKING, approval_timeout=6.0)
    try:
        pit.start()
        cell, answered = asked(pit)
        pit.spawn(cell, "reader", "/bin/sh", "-c", "lazarus beat; sleep 0.2; exit 3")
        pit.wait(lambda: len(requests(pit)) == 2, "two requests")
        pit.kill9()
        assert lazarus(pit, "approve", answered.id, "--as", "ada").returncode == 0
        end = max(one.expires for one in requests(pit))
        pit.wait(lambda: time.time() > end + EARLY_SECONDS, "the end of their time")
        pit.start()
        pit.wait_event(cell, "approval_granted", "scribe", by="ada", via="cli")
        pit.wait_event(cell, "agent_revived", "scribe")
        pit.wait_event(cell, "agent_escalated", "reader", reason="approval_expired")
        outcomes = {one.subject: one for one in requests(pit)}
        silent = outcomes.pop(f"{cell.uuid}/reader")
        assert [one.outcome for one in outcomes.values()] == ["approved"]
        assert silent.outcome == "expired"
        late = lazarus(pit, "approve", silent.id)
        assert late.returncode == 1
        assert "its time is over" in late.stderr
        assert lives(cell) == 2
    finally:
        pit.close()


def test_who_is_taken_out_while_it_waits_needs_no_word(pit: Pit) -> None:
    pit.start()
    cell, _ = asked(pit)
    pit.spawn(cell, "reader", "/bin/sh", "-c", "lazarus beat; sleep 0.2; exit 3")
    pit.wait(lambda: len(pending(pit)) == 2, "two requests")
    assert lazarus(pit, "stop", "pond/scribe").returncode == 0
    assert lazarus(pit, "kick", "pond/reader").returncode == 0
    pit.wait(lambda: not pending(pit), "no open request")
    for one in requests(pit):
        late = lazarus(pit, "approve", one.id)
        assert late.returncode == 1
        assert "needs no word any more" in late.stderr
    assert lives(cell) == 1


@pytest.mark.parametrize("down", ["before the answer", "after the answer", "after the start"])
def test_a_daemon_that_dies_between_the_steps(pit: Pit, down: str) -> None:
    pit.start()
    cell, request = asked(pit)
    if down == "before the answer":
        pit.kill9()
    assert lazarus(pit, "approve", "scribe").returncode == 0
    if down == "after the start":
        pit.wait_event(cell, "agent_started", "scribe", count=2)
    if down != "before the answer":
        pit.kill9()
    pit.start()
    pit.wait_event(cell, "approval_granted", "scribe")
    if down == "after the answer" and asked_again(pit, cell):
        # The attempt that was granted went down with the daemon: it counts, and so does a new word.
        assert lazarus(pit, "approve", "scribe").returncode == 0
        pit.wait_event(cell, "agent_revived", "scribe", generation=3)
        assert len(pit.events(cell, "approval_granted")) == 2
    else:
        pit.wait_event(cell, "agent_revived", "scribe")
        assert [one.id for one in requests(pit)] == [request.id]
        assert len(pit.events(cell, "approval_requested")) == 1
        assert len(pit.events(cell, "approval_granted")) == 1
    assert lives(cell) == 2


def asked_again(pit: Pit, cell: CellPaths) -> bool:
    """Whether people are asked a second time, before the agent is back."""

    def seen() -> str | None:
        if pit.events(cell, "agent_revived"):
            return "revived"
        return "asked" if len(pit.events(cell, "approval_requested")) == 2 else None

    return bool(pit.wait(seen, "a revival or a second request") == "asked")


def test_who_names_nobody_is_told(pit: Pit) -> None:
    pit.start()
    asked(pit)
    wrong = lazarus(pit, "approve", "scrib")
    assert wrong.returncode == 2
    assert "no such request" in wrong.stderr
    assert len(pending(pit)) == 1
