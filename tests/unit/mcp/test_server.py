"""The tools by the official client, and what a model is told when it asks for what cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from lazarus_pit import beat
from lazarus_pit.formats import heartbeat
from lazarus_pit.mcp.server import main, server_for

MEMBERS = [
    {"name": "ada", "role": "developer"},
    {"name": "ben", "role": "reviewer"},
    {"name": "eve", "role": "coordinator", "kind": "human"},
]
MANIFEST = {"mission": "Chart it", "success_criteria": ["ten ponds"], "agents": MEMBERS}
LIFE = {"generation": 3, "ended_at": "2026-04-06T00:00:00Z", "ending": "signal 9"}


class Seat:
    """One member's directories."""

    def __init__(self, folder: Path, role: str = "developer") -> None:
        self.folder = folder
        for name in ("hb", "home", "inbox", "outbox", "pub"):
            (folder / name).mkdir()
        (folder / "pub" / "cell.json").write_text(json.dumps(MANIFEST))
        (folder / "pub" / "life.json").write_text(json.dumps(LIFE | {"unanswered": ["Bash: make"]}))
        self.environ = {
            beat.FILE: str(folder / "hb" / "ada.json"),
            "HOME": str(folder / "home"),
            "NOTIFY_SOCKET": str(folder / "pub" / "notify.sock"),
            "LAZARUS_AGENT": "ada",
            "LAZARUS_ROLE": role,
            "LAZARUS_GENERATION": "3",
            "LAZARUS_INBOX": str(folder / "inbox"),
            "LAZARUS_OUTBOX": str(folder / "outbox"),
        }

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(p.read_bytes()) for p in sorted((self.folder / "outbox").glob("[!.]*"))]

    def deliver(self, number: int, **said: Any) -> None:
        whole = {"id": f"mail-000{number}", "from": "ben", "to": "ada", "body": "hi"} | said
        (self.folder / "inbox" / f"{number:020}.json").write_text(json.dumps(whole))

    def call(self, tool: str, **given: Any) -> Any:
        """Call one tool; a refusal is its text."""

        async def called() -> Any:
            async with Client(server_for(self.environ)) as client:
                result = await client.call_tool(tool, given)
            if result.is_error:
                return str(getattr(result.content[0], "text", ""))
            return result.structured_content

        return asyncio.run(called())

    def tools(self) -> dict[str, Any]:
        async def listed() -> dict[str, Any]:
            async with Client(server_for(self.environ)) as client:
                return {one.name: one for one in (await client.list_tools()).tools}

        return asyncio.run(listed())


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    return Seat(tmp_path)


COMMON = {
    "send_message",
    "reply_message",
    "read_inbox",
    "acknowledge_message",
    "list_agents",
    "mission",
    "heartbeat",
}
ASKING = {"request_approval", "await_approval"}


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("observer", COMMON),
        ("reviewer", COMMON | ASKING),
        ("coordinator", COMMON | ASKING | {"checkpoint", "revive_agent"}),
    ],
)
def test_a_role_is_shown_its_own_tools_and_what_they_answer(
    tmp_path: Path, role: str, names: set[str]
) -> None:
    tools = Seat(tmp_path, role).tools()
    assert set(tools) == names
    assert all(tool.output_schema and tool.description for tool in tools.values())


def test_the_mission_says_who_and_what_for_and_what_happened(seat: Seat) -> None:
    seat.deliver(1)
    assert seat.call("mission") == {
        "objective": "Chart it",
        "success_criteria": ["ten ponds"],
        "you": "ada",
        "role": "developer",
        "life": 3,
        "last_life": {
            "ended_at": "2026-04-06T00:00:00Z",
            "ending": "signal 9",
            "unanswered_calls": ["Bash: make"],
        },
        "messages_waiting": 1,
        "requests": [],
    }
    seat.environ["LAZARUS_GENERATION"] = "4"
    assert seat.call("mission")["last_life"] is None, "that was another life's"


def test_mail_goes_out_comes_in_is_answered_and_done_with(seat: Seat) -> None:
    sent = seat.call("send_message", to="reviewer", body="ready", subject="two\nlines", order=True)
    assert (
        seat.sent()[0] | {"id": sent["id"], "subject": "two lines", "kind": "order"}
        == (seat.sent()[0])
    )
    seat.deliver(1, subject="Page")
    seat.deliver(2)
    read = seat.call("read_inbox", limit=1)
    assert ([one["id"] for one in read["messages"]], read["more"]) == (["mail-0001"], 1)
    seat.call("reply_message", message_id="mail-0001", body="done")
    assert (seat.sent()[1]["to"], seat.sent()[1]["reply_to"]) == ("ben", "mail-0001")
    assert seat.call("acknowledge_message", ids=["mail-0001"]) == {"ids": ["mail-0001"]}
    assert seat.call("read_inbox")["messages"][0]["id"] == "mail-0002"


def test_refusals_say_what_to_do_instead(seat: Seat) -> None:
    assert "ben, eve" in seat.call("send_message", to="nobody", body="x")
    assert "workspace" in seat.call("send_message", to="ben", body="x" * 70_000)
    assert "read_inbox" in seat.call("reply_message", message_id="gone", body="x")
    assert "expected the id" in seat.call("acknowledge_message", ids=[""])
    assert seat.sent() == []
    seat.environ["LAZARUS_ROLE"] = "observer"
    assert "without order" in seat.call("send_message", to="ben", body="x", order=True)


def test_a_beat_says_how_long_it_may_be_silent(seat: Seat) -> None:
    assert seat.call("heartbeat", status="testing", busy_seconds=900) == {"status": "testing"}
    said = heartbeat.parse(Path(seat.environ[beat.FILE]).read_bytes())
    assert (said.status, said.cycle) == ("testing", 1)
    assert said.busy_until is not None
    seat.call("heartbeat", status="testing", progress=False)
    assert heartbeat.parse(Path(seat.environ[beat.FILE]).read_bytes()).cycle == 1
    del seat.environ[beat.FILE]
    assert "heartbeat" not in seat.tools(), "a person has none"


def publish(seat: Seat, state: str, **more: str) -> None:
    said = {"id": "mail-0042", "question": "May I merge?", "state": state} | more
    (seat.folder / "pub" / "questions.json").write_text(json.dumps({"questions": [said]}))


def test_a_request_waits_for_people_and_outlives_the_one_who_made_it(seat: Seat) -> None:
    publish(seat, "waiting")
    waiting = seat.call("await_approval", request_id="mail-0042", wait_seconds=0)
    assert waiting["state"] == "waiting"
    seat.deliver(1, reply_to="mail-0042", body="approved")
    forged = seat.call("await_approval", request_id="mail-0042", wait_seconds=0)
    assert forged["state"] == "waiting", "ben is nobody to approve anything"
    publish(seat, "denied", by="eve", comment="not on a Friday")
    answer = seat.call("await_approval", request_id="mail-0042")
    assert answer == {
        "id": "mail-0042",
        "question": "May I merge?",
        "state": "denied",
        "by": "eve",
        "comment": "not on a Friday",
    }
    assert seat.call("mission")["requests"] == [answer], "a later life learns of it"


def test_a_request_that_there_is_not_says_so(seat: Seat) -> None:
    assert "request_approval makes another" in seat.call("await_approval", request_id="mail-0042")
    sent = seat.call("send_message", to="pit", body="May I?", subject="ask")["id"]
    unheard = seat.call("await_approval", request_id=sent, wait_seconds=0)
    assert unheard["state"] == "waiting", "the daemon is down, and will hear it"
    seat.deliver(1, reply_to="mail-0042", kind="bounce", body="enough", **{"from": "lazarus-pit"})
    assert "nobody was asked: enough" in seat.call("await_approval", request_id="mail-0042")


@pytest.mark.parametrize("kind", ["note", "bounce"])
def test_whether_people_are_asked_is_said_at_once(seat: Seat, kind: str) -> None:
    async def played() -> Any:
        async with Client(server_for(seat.environ)) as client:
            call = asyncio.create_task(client.call_tool("request_approval", {"question": "May I?"}))
            while not (sent := seat.sent()):  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0)
            assert [sent[0][name] for name in ("to", "subject", "body")] == [
                "lazarus-pit",
                "ask",
                "May I?",
            ]
            said: Mapping[str, str] = {"from": "lazarus-pit", "kind": kind, "body": "so be it"}
            seat.deliver(7, reply_to=sent[0]["id"], **said)
            return sent[0]["id"], await call

    asked, answer = asyncio.run(played())
    assert answer.is_error is (kind == "bounce")
    if kind == "note":
        assert answer.structured_content == {"id": asked, "note": "so be it"}


def test_a_request_to_the_daemon_comes_back_as_its_answer(tmp_path: Path) -> None:
    seat = Seat(tmp_path, "coordinator")

    async def played(kind: str) -> Any:
        async with Client(server_for(seat.environ)) as client:
            call = asyncio.create_task(client.call_tool("checkpoint", {"note": "before it"}))
            while not (sent := seat.sent()):  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0)
            assert (sent[0]["to"], sent[0]["subject"]) == ("lazarus-pit", "checkpoint before it")
            said: Mapping[str, str] = {"from": "lazarus-pit", "kind": kind, "body": "taken"}
            seat.deliver(7, reply_to=sent[0]["id"], **said)
            return await call

    assert asyncio.run(played("note")).structured_content == {"answer": "taken"}
    assert "ack" in seat.sent()[1]
    for file in (*(tmp_path / "outbox").iterdir(), *(tmp_path / "inbox").iterdir()):
        file.unlink()
    refused = asyncio.run(played("bounce"))
    assert refused.is_error


def test_outside_a_cell_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main((), {}) == 2
    assert "LAZARUS_INBOX" in capsys.readouterr().err
    assert main(("x",), {}) == 2
