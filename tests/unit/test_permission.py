"""``lazarus hook --ask``: the real command in an agent's environment; the test is the daemon."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit import beat, permission, session

PUSH = {"tool_name": "Bash", "tool_input": {"command": "git push"}, "permission_mode": "default"}
WAIT = 20.0
SOURCE = str(Path(beat.__file__).parent.parent)
CODE = (
    f"import sys; sys.path.insert(0, {SOURCE!r}); from lazarus_pit.permission import main; "
    "sys.exit(main(sys.argv[1:]))"
)
"""As an agent's ``lazarus`` does."""


class Cell:
    """An agent's environment, in directories as a cell has them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("hb", "home", "inbox", "outbox", "pub"):
            (path / name).mkdir()
        self.environ = {
            beat.FILE: str(path / "hb" / "timmy.json"),
            "HOME": str(path / "home"),
            "NOTIFY_SOCKET": str(path / "pub" / "notify.sock"),
            "LAZARUS_GENERATION": "4",
            "LAZARUS_INBOX": str(path / "inbox"),
            "LAZARUS_OUTBOX": str(path / "outbox"),
        }
        self.hooks: list[subprocess.Popen[str]] = []

    def fire(self, event: str, said: object, *flags: str, **more: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-I", "-S", "-c", CODE, "--ask", *flags, event]
        pipe = subprocess.PIPE
        environ = self.environ | more
        hook = subprocess.Popen(words, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.hooks.append(hook)
        assert hook.stdin is not None
        hook.stdin.write(json.dumps(said))
        hook.stdin.close()
        hook.stdin = None
        return hook

    def asked(self, number: int = 1) -> list[dict[str, Any]]:
        """Wait until so many questions have been sent, and return them."""
        deadline = time.monotonic() + WAIT
        while True:
            mails = [json.loads(one.read_text()) for one in (self.path / "outbox").glob("[0-9]*")]
            found = [one for one in mails if one.get("subject") == "ask"]
            if len(found) >= number:
                return found
            assert time.monotonic() < deadline, "no question has been asked"
            time.sleep(0.02)

    def publish(self, asked: str, state: str, **more: str) -> None:
        """Say where a question stands; where it has ended, by mail too."""
        if state != "waiting":
            self.deliver(asked, "decision-1", subject=state)
        said = {"questions": [{"id": asked, "state": state, **more}]}
        part = self.path / "pub" / "part"
        part.write_text(json.dumps(said))
        part.rename(self.path / "pub" / "questions.json")

    def deliver(self, asked: str, name: str, **more: str) -> None:
        said = {"id": name, "from": "lazarus-pit", "reply_to": asked, **more}
        inbox = self.path / "inbox"
        (inbox / f"{len(list(inbox.iterdir())) + 1:020}.json").write_text(json.dumps(said))

    def acknowledged(self) -> list[str]:
        acks = (self.path / "outbox").glob("*-ack-*")
        return [name for one in acks for name in json.loads(one.read_text())["ack"]]


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    cell = Cell(tmp_path)
    yield cell
    for hook in cell.hooks:
        hook.kill()
        hook.communicate()


def told(hook: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = hook.communicate(timeout=WAIT)
    assert (hook.returncode, err) == (0, "")
    return json.loads(out) if out else {}


@pytest.mark.parametrize("state", ["approved", "denied"])
def test_the_answer_of_people_is_the_answer_of_the_hook(cell: Cell, state: str) -> None:
    hook = cell.fire("PreToolUse", PUSH)
    (mail,) = cell.asked()
    assert (mail["to"], mail["body"]) == ("lazarus-pit", "May I use Bash? git push")
    status = json.loads(Path(cell.environ[beat.FILE]).read_bytes())["status"]
    assert status in {"asks leave: Bash", "in tool: Bash"}
    cell.publish(mail["id"], state, by="ada", comment="after lunch")
    said = told(hook)["hookSpecificOutput"]
    assert said["permissionDecision"] == {"approved": "allow", "denied": "deny"}[state]
    assert f"{state} by ada: after lunch" in said["permissionDecisionReason"]
    assert cell.acknowledged() == ["00000000000000000001.json"], "its mail is done with"


def test_the_next_life_waits_on_for_the_same_answer_which_is_good_for_one_call(cell: Cell) -> None:
    first = cell.fire("PreToolUse", PUSH)
    (mail,) = cell.asked()
    first.kill()
    cell.publish(mail["id"], "waiting")
    cell.environ["LAZARUS_GENERATION"] = "5"
    second = cell.fire("PreToolUse", PUSH)
    cell.publish(mail["id"], "approved", by="ada")
    assert told(second)["hookSpecificOutput"]["permissionDecision"] == "allow"
    assert len(cell.asked()) == 1, "people were asked once"
    cell.fire("PreToolUse", PUSH)
    assert len({one["id"] for one in cell.asked(2)}) == 2, "the same call again is asked about"


def test_a_question_that_the_daemon_never_heard_is_sent_again_as_the_same(cell: Cell) -> None:
    cell.fire("PreToolUse", PUSH)
    (mail,) = cell.asked()
    cell.hooks[0].kill()
    for sent in (cell.path / "outbox").glob("[0-9]*"):
        sent.unlink()
    cell.fire("PreToolUse", PUSH)
    assert [one["id"] for one in cell.asked()] == [mail["id"]]


QUICK = {permission.SECONDS: "1"}
ASK = QUICK | {permission.FALLBACK: "ask"}


@pytest.mark.parametrize(
    ("mode", "environ", "allowed"),
    [("default", QUICK, "deny"), ("default", ASK, None), ("bypassPermissions", ASK, "deny")],
    ids=["denied", "left to the program", "nobody else would ask"],
)
def test_without_an_answer(
    cell: Cell, mode: str, environ: dict[str, str], allowed: str | None
) -> None:
    hook = cell.fire("PreToolUse", {**PUSH, "permission_mode": mode}, **environ)
    (mail,) = cell.asked()
    assert mail["expires"]
    cell.publish(mail["id"], "expired")
    said = told(hook).get("hookSpecificOutput", {})
    assert said.get("permissionDecision") == allowed
    if allowed:
        assert "nobody answered in time" in said["permissionDecisionReason"]


def test_a_refusal_of_the_daemon_is_told_to_the_model(cell: Cell) -> None:
    hook = cell.fire("PermissionRequest", PUSH)
    (mail,) = cell.asked()
    cell.deliver(mail["id"], "bounce-1", kind="bounce", body="ask: observers may not")
    decision = told(hook)["hookSpecificOutput"]["decision"]
    assert decision["behavior"] == "deny"
    assert "observers may not" in decision["message"]


def test_nobody_is_asked_what_cannot_be_shown_whole(cell: Cell) -> None:
    long = {**PUSH, "tool_input": {"command": "echo " + "x" * 1000}}
    said = told(cell.fire("PreToolUse", long))["hookSpecificOutput"]
    assert said["permissionDecision"] == "deny"
    assert "too many to ask people about" in said["permissionDecisionReason"]
    assert not list((cell.path / "outbox").glob("[0-9]*"))


@pytest.mark.parametrize(
    ("event", "said", "environ"),
    [
        ("PreToolUse", {"tool_name": "Read"}, {}),
        ("PreToolUse", {"tool_name": "mcp__lazarus__mission"}, {}),
        ("BeforeTool", {"tool_name": "write_file"}, {permission.MODE: "ask"}),
        ("PreToolUse", {"tool_name": "Edit", "permission_mode": "acceptEdits"}, {}),
        ("PreToolUse", PUSH, {permission.MODE: "skip"}),
    ],
)
def test_nobody_is_asked_for_nothing(
    cell: Cell, event: str, said: dict[str, Any], environ: dict[str, str]
) -> None:
    assert told(cell.fire(event, said, **environ)) == {}
    assert not list((cell.path / "outbox").glob("[0-9]*"))
    assert session.load(cell.environ)["open"], "and yet a tool is known to run"


@pytest.mark.parametrize("said", [[], {"tool_input": {}}], ids=["no object", "no tool"])
def test_what_is_no_call_of_a_tool_is_blocked(cell: Cell, said: object) -> None:
    hook = cell.fire("PreToolUse", said)
    out, err = hook.communicate(timeout=WAIT)
    assert (hook.returncode, out) == (2, "")
    assert "tool_name" in err


def test_each_program_reads_the_answer_in_its_own_format() -> None:
    def said(name: str, mode: str = "", *, allowed: bool) -> Any:
        return permission.rendered(name, mode, allowed=allowed, reason="denied by ada")

    codex = said("PermissionRequest", allowed=True)["hookSpecificOutput"]
    assert codex == {"hookEventName": "PermissionRequest", "decision": {"behavior": "allow"}}
    assert said("PreToolUse", "bypassPermissions", allowed=True) is None
    assert said("BeforeTool", allowed=True) is None
    assert said("BeforeTool", allowed=False)["decision"] == "deny"
    assert said("BeforeTool", allowed=False)["reason"].startswith("denied by ada. ")
    claude = said("PreToolUse", "default", allowed=True)["hookSpecificOutput"]
    assert claude["permissionDecision"] == "allow"


def test_when_people_were_asked_enough_a_call_waits_its_turn(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permission, "AGAIN", 0.1)
    with ThreadPoolExecutor() as pool:
        waits = pool.submit(permission.decide, "Bash", {"command": "make"}, cell.environ)
        (first,) = cell.asked()
        enough = f"10 {permission.FLOODED} within 1 h: ask again in 5 min"
        cell.deliver(first["id"], "bounce-1", kind="bounce", body=enough)
        (second,) = (one for one in cell.asked(2) if one["id"] != first["id"])
        assert second["expires"] == first["expires"], "people have no longer for it"
        cell.publish(second["id"], "approved", by="ada")
        assert waits.result(WAIT).allowed
