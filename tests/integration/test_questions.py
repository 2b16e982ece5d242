"""An agent asks by plain files, people answer, and it reads the answer: with a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import Pit
from integration.test_approvals import lazarus
from lazarus_pit.cells.layout import CellPaths

ASKS = (
    "echo life >> lives; [ -e asked ] || {{ touch asked; "
    'lazarus mail send --to pit --subject ask "May I push?" {more}; }}; '
    "while :; do lazarus beat; lazarus mail inbox > mail; sleep 0.2; done"
)


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path, revive_policy="auto")
    yield pit
    pit.close()


def asked(pit: Pit, more: str = "") -> tuple[CellPaths, dict[str, Any]]:
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "/bin/sh", "-c", ASKS.format(more=more))
    pit.wait_event(cell, "question_asked", "scribe", question="May I push?")
    (found,) = json.loads(lazarus(pit, "approvals", "--json").stdout)
    return cell, found


def mail(cell: CellPaths) -> str:
    read = cell.workspace / "mail"
    return read.read_text() if read.exists() else ""


def test_an_answer_given_while_the_daemon_is_dead_reaches_the_next_life(pit: Pit) -> None:
    pit.start()
    cell, request = asked(pit)
    assert "  pond/scribe  " in (listed := lazarus(pit, "approvals").stdout)
    assert "“May I push?”" in listed
    answers = f"`lazarus approve {request['id'][:8]}` or `lazarus deny {request['id'][:8]}`"
    needs = f"needs you: pond/scribe asks “May I push?”: {answers}"
    assert needs in lazarus(pit, "status").stdout
    assert "it asks people: “May I push?”" in (why := lazarus(pit, "why", "scribe").stdout)
    assert f"lazarus approve {request['id'][:8]}   yes to its question" in why
    pit.kill9()
    done = lazarus(pit, "deny", request["id"][:6], "--as", "ada", "--comment", "not\ntoday")
    assert (done.returncode, done.stdout) == (0, "pond/scribe: denied, the agent is told\n")
    assert "needs you" not in lazarus(pit, "status").stdout
    assert "denied before, by ada" in lazarus(pit, "approve", request["id"][:6]).stderr
    pit.start()
    told = pit.wait_event(cell, "question_answered", "scribe", outcome="denied", by="ada")
    assert told.data["comment"] == "not today"
    pit.wait(lambda: "denied by ada (cli)" in mail(cell), "the answer in the agent's hands")
    assert len((cell.workspace / "lives").read_text().splitlines()) == 1, "nobody was revived"


def test_a_question_that_nobody_answers_is_told_as_over(pit: Pit) -> None:
    pit.start()
    cell, _ = asked(pit, "--expires-in 2")
    pit.wait_event(cell, "question_answered", "scribe", outcome="expired")
    pit.wait(lambda: "lazarus-pit: expired" in mail(cell), "word of it")
