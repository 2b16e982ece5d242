"""A real API process beside a real daemon: started as people do, asked over real sockets."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2

from integration.pit import Pit
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.web import keys


class Website:
    """One ``lazarus web serve`` and how to ask it."""

    def __init__(self, pit: Pit, *flags: str) -> None:
        self.pit = pit
        argv = [sys.executable, "-m", "lazarus_pit", "web", "serve", "--port", "0"]
        argv += ["--config", str(pit.config), *flags]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self.process.stdout is not None
        first = self.process.stdout.readline().decode()
        assert first.startswith("the page: http://127.0.0.1:"), first
        self.url, _, self.link = first.removeprefix("the page: ").strip().partition("#login=")

    def client(self, token: str = "", **headers: str) -> httpx2.Client:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def by_socket(self) -> httpx2.Client:
        transport = httpx2.HTTPTransport(uds=str(PitPaths(self.pit.root).web_socket))
        return httpx2.Client(base_url="http://pit/", transport=transport, timeout=60)

    def login(self, role: keys.Role | None = None, who: str = "") -> str:
        """Return a token: by the first link, or by one of a role and for somebody."""
        link = self.new_link(role, who) if role else self.link
        with self.client() as client:
            answer = client.post("/api/v1/login", json={"link": link})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def new_link(self, role: keys.Role, who: str = "") -> str:
        """Make a link as the command does, without the start of a program."""
        return keys.new_link(PitPaths(self.pit.root), role, who)

    def printed_link(self, role: keys.Role, who: str = "") -> str:
        """Return the secret of the link that ``lazarus web link`` prints."""
        argv = [sys.executable, "-m", "lazarus_pit", "web", "link", "--role", role]
        argv += ["--config", str(self.pit.config), *(["--as", who] if who else [])]
        done = subprocess.run(argv, capture_output=True, check=True, text=True)
        return done.stdout.strip().partition("#login=")[2]

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)


@contextlib.contextmanager
def website(pit: Pit, *flags: str) -> Iterator[Website]:
    """Serve until the block ends."""
    served = Website(pit, *flags)
    try:
        yield served
    finally:
        served.close()


def agents_of(cell: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {agent["name"]: agent for agent in cell["agents"]}
