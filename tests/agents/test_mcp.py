"""The official client and a real ``lazarus mcp``: both inside a real cell, and at the host."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx2
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from integration.pit import Pit
from lazarus_pit.cells import provision
from lazarus_pit.core.model import Desired, Role
from lazarus_pit.formats.manifest import Kind

CLIENT = """
import sys
sys.path[:0] = ["/lazarus/packages"]
import asyncio, json
from mcp import ClientSession, StdioServerParameters, stdio_client
from os import environ, rename

async def main():
    server = StdioServerParameters(command="lazarus", args=["mcp"], env=dict(environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        tools = [one.name for one in (await client.list_tools()).tools]
        answers = {}
        for name, given in (
            ("heartbeat", {"status": "by MCP"}),
            ("mission", {}),
            ("list_agents", {}),
            ("send_message", {"to": "ben", "body": "hello"}),
            ("checkpoint", {"note": "by MCP"}),
            ("revive_agent", {"name": "nobody"}),
        ):
            result = await client.call_tool(name, given)
            answers[name] = result.structured_content or result.content[0].text
    with open("part", "w") as file:
        json.dump({"tools": tools, "answers": answers}, file)
    rename("part", "answers.json")

asyncio.run(main())
"""


def test_a_coordinator_is_served_inside_its_cell(tmp_path: Path) -> None:
    pit = Pit(tmp_path, heartbeat_stale_threshold=30, resurrect_after=60).start()
    try:
        cell = pit.cell(name="pond", rules={"restart": "never"})
        pit.spawn(cell, "ben", "sh", "-c", "exec sleep 600", rules={"liveness": "process"})
        pit.spawn(cell, "ada", "python3.11", "-I", "-c", CLIENT, role=Role.COORDINATOR)
        found = cell.workspace / "answers.json"
        pit.wait(lambda: found.exists() or pit.events(cell, "agent_died", "ada"), "answers")
        assert found.exists(), cell.log("ada").read_text()
        said = json.loads(found.read_text())
        assert {"heartbeat", "checkpoint", "request_approval"} <= set(said["tools"])
        answers = said["answers"]
        assert (answers["mission"]["you"], answers["mission"]["life"]) == ("ada", 1)
        assert [one["name"] for one in answers["list_agents"]["members"]] == ["ben", "ada"]
        pit.wait(lambda: list(cell.inbox("ben").glob("[!.]*")), "the message")
        assert pit.events(cell, "checkpoint_taken"), answers["checkpoint"]
        assert "nobody" in answers["revive_agent"]
        pit.wait_event(cell, "heartbeat", "ada", status="by MCP")
    finally:
        pit.close()


def test_a_person_gives_a_program_of_their_own_a_seat(tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    cell = pit.cell(name="pond")
    pit.spawn(cell, "eve", kind=Kind.HUMAN, role=Role.COORDINATOR)
    pit.spawn(cell, "ada", "true", desired=Desired.STOP)
    words = ["-m", "lazarus_pit", "mcp", "--cell", "pond", "--as", "eve", "--root", str(pit.root)]

    async def asked() -> tuple[set[str], str]:
        server = StdioServerParameters(command=sys.executable, args=words)
        async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
            await client.initialize()
            tools = {one.name for one in (await client.list_tools()).tools}
            sent = await client.call_tool("send_message", {"to": "ada", "body": "hello"})
        assert sent.structured_content is not None
        return tools, str(sent.structured_content["id"])

    tools, message = asyncio.run(asked())
    assert "checkpoint" in tools
    assert "heartbeat" not in tools
    (letter,) = cell.outbox("eve").iterdir()
    assert json.loads(letter.read_bytes())["id"] == message


def test_over_http_the_token_is_the_member(tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    cell = pit.cell(name="pond")
    pit.spawn(cell, "eve", kind=Kind.HUMAN)
    words = ["-m", "lazarus_pit", "mcp", "--cell", "pond", "--as", "eve", "--root", str(pit.root)]
    argv = [sys.executable, *words, "--http", "0"]

    async def asked(address: str, header: str) -> list[str]:
        name, _, value = header.partition(": ")
        async with (
            httpx2.AsyncClient(headers={name: value}) as http,
            streamable_http_client(address, http_client=http) as (read, write),
            ClientSession(read, write) as client,
        ):
            await client.initialize()
            found = await client.call_tool("list_agents", {})
        assert found.structured_content is not None
        return [one["name"] for one in found.structured_content["members"] if one["you"]]

    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address, header = (server.stdout.readline().strip() for _ in range(2))
        try:
            assert asyncio.run(asked(address, header)) == ["eve"]
            for wrong in (b"", b"Bearer x", b"Bearer \xe9"):
                refused = httpx2.post(address, headers=[(b"authorization", wrong)], json={})
                assert refused.status_code == 401
            name, _, value = header.partition(": ")
            foreign = {name: value, "Host": "evil.example"}
            assert httpx2.post(address, headers=foreign, json={}).status_code == 421
            provision.remove_member(cell, "eve")
            pit.spawn(cell, "eve", kind=Kind.HUMAN, role=Role.REVIEWER)  # A namesake.
            assert httpx2.post(address, headers={name: value}, json={}).status_code == 401
        finally:
            server.terminate()
