"""The Agent Client Protocol, against a small agent that speaks it as the real ones do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from launching import until
from lazarus_pit.core.model import HoldKind
from lazarus_pit.formats.heartbeat import Heartbeat
from unit.presets.test_drive import Cell, Run

AGENT = """
import json, sys

def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def update(**said):
    say(method="session/update", params={"sessionId": "s-1", "update": said})

heard, turns = open("heard", "a"), 0
for line in sys.stdin:
    heard.write(line)
    heard.flush()
    said = json.loads(line)
    method, number = said.get("method"), said.get("id")
    if method == "initialize":
        say(id=number, result={"protocolVersion": 1, "agentCapabilities": {"loadSession": True}})
    elif method == "session/new":
        say(id=number, result={"sessionId": "s-1"})
    elif method == "session/load":
        update(sessionUpdate="tool_call", toolCallId="old", title="an old call")
        if said["params"]["sessionId"] == "s-1":
            say(id=number, result=None)
        else:
            say(id=number, error={"code": -1, "message": "no such session"})
    elif method == "session/prompt":
        prompt, turns = number, turns + 1
        if MODE == "limit":
            say(id=prompt, error={"code": 429, "message": "Rate limit", "data": "too many"})
            continue
        say(id=90, method="fs/read_text_file", params={})
        call = {"toolCallId": "c-1", "kind": "execute", "rawInput": {"command": "make"}}
        kinds = {"no": "reject_once", "go": "allow_once"}
        options = [{"optionId": name, "kind": kind} for name, kind in kinds.items()]
        asked = {"toolCall": call, "options": options}
        say(id=91, method="session/request_permission", params=asked)
    elif number == 91:
        expected = "no" if MODE == "refused" else "go"
        assert said["result"]["outcome"] == {"outcome": "selected", "optionId": expected}
        if MODE != "open":
            over = {"toolCallId": "c-1", "status": "completed", "rawOutput": 1}
            update(sessionUpdate="tool_call_update", **over)
        say(id=prompt, result={"stopReason": "end_turn"})
"""


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.chdir(tmp_path)
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    cell = Cell(tmp_path)
    cell.environ |= {
        "LAZARUS_INBOX": str(tmp_path / "inbox"),
        "LAZARUS_OUTBOX": str(tmp_path / "outbox"),
    }
    return cell


def talked(cell: Cell, how: str = "--begin", session: str = "", mode: str = "") -> Run:
    program = [sys.executable, "-c", f"MODE = {mode!r}\n{AGENT}"]
    with cell.begin("acp", how, session, "--", *program, "chart the ponds") as process:
        out, _ = process.communicate(timeout=30)
    return Run(process.returncode, out, cell.said(), cell.known())


def heard(method: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path("heard").read_text().splitlines()]
    return [one["params"] for one in lines if one.get("method") == method]


def told(found: Run) -> Heartbeat:
    assert found.beat is not None
    return found.beat


def test_a_task_is_given_leave_is_granted_and_the_end_is_the_turns_end(cell: Cell) -> None:
    found = talked(cell)
    assert (found.code, found.known.session, found.known.unanswered) == (0, "s-1", ())
    assert (told(found).turns, told(found).tool, told(found).status) == (1, "execute", "finished")
    (new,) = heard("session/new")
    assert new["mcpServers"][0]["args"] == ["mcp"]
    assert heard("session/prompt")[0]["prompt"][0]["text"] == "chart the ponds"


def test_a_conversation_is_loaded_and_what_it_replays_is_no_work(cell: Cell) -> None:
    found = talked(cell, "--resume", "s-1", "open")
    assert (told(found).session, told(found).session_asked) == ("s-1", "s-1")
    assert "an old call" not in str(told(found))
    lost = talked(cell, "--resume", "s-2")
    assert (lost.code, lost.known.lost, told(lost).session) == (1, True, "")


def test_a_limit_is_a_hold(cell: Cell) -> None:
    found = talked(cell, mode="limit")
    assert (found.code, told(found).hold) == (1, HoldKind.QUOTA_WAIT)


def test_new_mail_is_a_further_turn(cell: Cell, tmp_path: Path) -> None:
    mail = {"id": "mail-0001", "from": "ben", "to": "ada", "body": "and the sea wall"}
    (tmp_path / "inbox" / f"{1:020}.json").write_text(json.dumps(mail))
    assert told(talked(cell)).turns == 2
    assert "and the sea wall" in heard("session/prompt")[1]["prompt"][0]["text"]


@pytest.mark.parametrize(("state", "mode"), [("approved", ""), ("denied", "refused")])
def test_where_people_are_asked_their_word_is_what_the_program_hears(
    cell: Cell, tmp_path: Path, state: str, mode: str
) -> None:
    cell.environ |= {"NOTIFY_SOCKET": str(tmp_path / "pub" / "notify.sock")}
    (tmp_path / "pub").mkdir()
    program = [sys.executable, "-c", f"MODE = {mode!r}\n{AGENT}"]
    with cell.begin("acp", "--begin", "", "--ask", "--", *program, "chart the ponds") as process:
        outbox = tmp_path / "outbox"
        until(lambda: any(outbox.glob("[0-9]*")))
        mail = json.loads(next(outbox.glob("[0-9]*")).read_text())
        assert mail["body"].startswith("May I use execute?")
        assert "make" in mail["body"]
        questions = [{"id": mail["id"], "state": state, "by": "ada"}]
        part = tmp_path / "pub" / "part"
        part.write_text(json.dumps({"questions": questions}))
        part.rename(tmp_path / "pub" / "questions.json")
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    chosen = [json.loads(line) for line in Path("heard").read_text().splitlines()]
    assert any(one.get("id") == 91 for one in chosen), "it was answered"
