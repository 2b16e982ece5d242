"""An agent asks by MCP, and is answered by each way there is: every answer reaches it once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import botapi
import forge as forges
from botapi import BotApi
from forge import Forge
from integration.pit import Pit
from integration.typing_it import Typist
from integration.website import Website, website
from lazarus_pit.formats.envelope import parse_delivered

CLIENT = """
import json, subprocess
server = subprocess.Popen(["lazarus", "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
count = 0

def call(method, **params):
    global count
    count += 1
    said = {"jsonrpc": "2.0", "id": count, "method": method, "params": params}
    server.stdin.write(json.dumps(said).encode() + b"\\n")
    server.stdin.flush()
    while (found := json.loads(server.stdout.readline())).get("id") != count:
        pass
    return found["result"]

def tool(name, **given):
    result = call("tools/call", name=name, arguments=given)
    assert not result.get("isError"), result
    return result["structuredContent"]

client = {"name": "test", "version": "1"}
call("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
server.stdin.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\\n')
for question in ("api", "cli", "button", "no button", "issue"):
    asked = tool("request_approval", question=f"May I, {question}?")
    found = {"state": "waiting"}
    while found["state"] == "waiting":
        found = tool("await_approval", request_id=asked["id"], wait_seconds=5)
    with open("answers", "a") as file:
        file.write(json.dumps(found) + "\\n")
server.stdin.close()
server.wait()
"""


def by_api(site: Website) -> Callable[[str], None]:
    def answer(request: str) -> None:
        with site.client(site.login("approver", "ada")) as client:
            shown = client.get("/api/v1/approvals").json()["approvals"]
            (one,) = (one for one in shown if one["id"].startswith(request))
            assert (one["question"], one["outcome"]) == ("May I, api?", "open")
            where = f"/api/v1/approvals/{one['id']}"
            said = client.post(f"{where}/approve", json={"comment": "go on"})
            assert said.status_code == 202, said.text
            assert client.post(f"{where}/deny").status_code == 409

    return answer


def by_command(lazarus: Typist) -> Callable[[str], None]:
    def answer(request: str) -> None:
        assert f"{request}  pond/scribe" in lazarus("approvals").out
        said = lazarus("deny", request, "--as", "bob", "--comment", "not now")
        assert said.out == "pond/scribe: denied, the agent is told\n"
        assert "denied before, by bob" in lazarus.fails(1, "approve", request)

    return answer


def by_button(api: BotApi, text: str, label: str) -> Callable[[str], None]:
    def answer(_: str) -> None:
        api.until(lambda: any(text in one for one in api.texts()))
        api.press(label)

    return answer


def by_comment(forge: Forge) -> Callable[[str], None]:
    def answer(request: str) -> None:
        forge.until(lambda: any(f"deny {request}" in one for one in forge.all_texts()), 60)
        with forge.changed:
            number = next(n for n, said in forge.said.items() if any(
                f"deny {request}" in one["body"] for one in said
            ))  # fmt: skip
            forge.comment(number, f"deny {request}: later", by="ada")

    return answer


def test_each_answer_reaches_the_agent_once(tmp_path: Path) -> None:
    with botapi.serving(BotApi()) as api, forges.serving() as forge:
        pit = Pit(tmp_path, liveness="process")
        with pit.config.open("a") as file:
            file.write(
                f'[telegram]\nbot_token = "{botapi.TOKEN}"\nchat_id = {botapi.CHAT}\n'
                f'api_url = "{api.url}"\nallowed_users = [7]\n'
                f'[gitea]\nurl = "{forge.url}"\nrepo = "{forges.REPO}"\ntoken = "{forges.TOKEN}"\n'
                'approvers = ["ada"]\npoll_interval = 0.1\n'
            )
        try:
            pit.start()
            cell = pit.cell(name="pond")
            pit.spawn(cell, "scribe", "python3", "-I", "-c", CLIENT)
            with website(pit) as site:
                for count, answer in enumerate(
                    (
                        by_api(site),
                        by_command(Typist(pit.root)),
                        by_button(api, "May I, button?", "Approve"),
                        by_button(api, "May I, no button?", "Deny"),
                        by_comment(forge),
                    ),
                    1,
                ):
                    asked = pit.wait_event(cell, "question_asked", "scribe", count=count)
                    answer(str(asked.data["request"]))
                    pit.wait_event(cell, "question_answered", "scribe", count=count)
            pit.wait_event(cell, "agent_exited", "scribe")
            said = list(map(json.loads, (cell.workspace / "answers").read_text().splitlines()))
            api.until(lambda: any("no button" in one and "denied by" in one for one in api.texts()))
            letters = [parse_delivered(one.read_bytes()) for one in _inbox(cell.inbox("scribe"))]
        finally:
            pit.close()
    assert api.wrong == []
    assert [(one["state"], one["by"], one["comment"]) for one in said] == [
        ("approved", "ada", "go on"),
        ("denied", "bob", "not now"),
        ("approved", "@ada 7", ""),
        ("denied", "@ada 7", ""),
        ("denied", "ada", "later"),
    ]
    told = [str(one.reply_to) for one in letters if one.id.startswith("decision-")]
    assert sorted(told) == sorted(one["id"] for one in said), "one mail for each"
    assert len(pit.events(cell, "question_answered")) == len(said)
    assert len(pit.events(cell, "agent_started")) == 1, "nobody was revived"


def _inbox(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*.json") if not one.name.startswith(".")]
