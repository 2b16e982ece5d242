"""A forge of our own for tests: issues, comments and labels as Gitea keeps them, and its troubles.

It caps pages, wants label ids, answers a PATCH with 201 and gives times by the second, as Gitea
does. ``trouble`` is asked before each request: it may answer instead, or have the answer lost
after the deed was done.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token"  # noqa: S105 - of a forge that lives as long as a test
REPO = "timmy/missions"
MOST_ON_A_PAGE = 50
LOST = 0
"""As the answer of ``trouble``: do it, and cut the line before the answer."""

Trouble = Callable[[str, str], int | None]


class Forge:
    """The state, and what was asked of it."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.said: dict[int, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.trouble: Trouble = lambda _method, _path: None
        self.changed = threading.Condition()
        self.url = ""
        self.github = False
        """Speak as GitHub does, where that is otherwise."""

    @property
    def base(self) -> str:
        """Where its API begins."""
        return f"/api/{'v3' if self.github else 'v1'}/repos/{REPO}"

    @property
    def size(self) -> str:
        """What a page's size is called."""
        return "per_page" if self.github else "limit"

    def texts(self, number: int) -> list[str]:
        """The comments of an issue, without what nobody sees."""
        return [one["body"].partition("-->\n")[2] or one["body"] for one in self.said[number]]

    def all_texts(self) -> list[str]:
        """The comments of all issues."""
        return [text for number in self.said for text in self.texts(number)]

    def until(self, met: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something is so."""
        with self.changed:
            assert self.changed.wait_for(met, seconds), (self.issues, self.said, self.asked)

    def open(
        self, title: str, body: str = "", labels: list[int] | None = None, by: str = "ada"
    ) -> int:
        """Open an issue, as somebody may."""
        number = len(self.issues) + 1
        marked = [one for one in self.labels if one["id"] in (labels or [])]
        self.issues.append(
            {
                "id": 1000 + number, "number": number, "title": title, "body": body,
                "state": "open", "user": _user(by), "labels": marked, "comments": 0,
                "created_at": _now(), "updated_at": _now(), "pull_request": None,
                "html_url": f"{self.url}/{REPO}/issues/{number}",
            }
        )  # fmt: skip
        self.said[number] = []
        return number

    def comment(self, number: int, body: str, by: str = "ada", edited: str = "") -> dict[str, Any]:
        """Say something in an issue."""
        made = {
            "id": 5000 + sum(map(len, self.said.values())), "body": body, "user": _user(by),
            "created_at": _now(), "updated_at": edited or _now(),
            "issue_url": f"{self.url}/api/v1/repos/{REPO}/issues/{number}",
        }  # fmt: skip
        self.said[number].append(made)
        self.issues[number - 1]["comments"] += 1
        return made

    def label(self, name: str) -> int:
        """Make a label and return its id."""
        self.labels.append({"id": 70 + len(self.labels), "name": name, "color": "8a2be2"})
        return int(self.labels[-1]["id"])

    # ------------------------------------------------------------ what is asked

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        match method, path.split("/")[1:]:
            case "GET", ["issues"]:
                return 200, self._listed(query)
            case "POST", ["issues"]:
                key = "name" if self.github else "id"
                ids = {one[key]: one["id"] for one in self.labels}
                if not all(one in ids for one in body["labels"]):
                    return 422, {"message": f"labels: expected {key}s"}
                marks = [ids[one] for one in body["labels"]]
                number = self.open(body["title"], body["body"], marks, "pit")
                return 201, self.issues[number - 1]
            case "GET", ["issues", "comments"]:
                said = [one for some in self.said.values() for one in some]
                return 200, [one for one in said if one["updated_at"] >= query["since"]]
            case "GET", ["labels"]:
                return 200, self.labels
            case "POST", ["labels"]:
                self.label(body["name"])
                return 201, self.labels[-1]
            case _, ["issues", number, *rest] if self._is_there(number):
                return self._of_issue(method, int(number), rest, body)
            case _:
                return 404, {"message": "not found"}

    def _is_there(self, number: str) -> bool:
        return number.isdecimal() and int(number) in self.said

    def _of_issue(self, method: str, number: int, rest: list[str], body: Any) -> tuple[int, Any]:
        match method, rest:
            case "GET", []:
                return 200, self.issues[number - 1]
            case "PATCH", []:
                self.issues[number - 1] |= body
                return 201, self.issues[number - 1]
            case "GET", ["comments"]:
                return 200, self.said[number]
            case "POST", ["comments"]:
                return 201, self.comment(number, body["body"], "pit")
            case _:
                return 404, {"message": "not found"}

    def _listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        known = [one["name"] for one in self.labels]
        # As Gitea does: a label that nobody knows is no part of the question.
        wanted = query.get("labels", "") if query.get("labels") in known else ""
        found = [
            one
            for one in reversed(self.issues)
            if query.get("state", "open") in (one["state"], "all")
            and (not wanted or wanted in [label["name"] for label in one["labels"]])
        ]
        return [one for one in found if one["number"] in self.said]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body in one packet: the peer's acknowledgement is not waited for.
    forge: Forge

    def _serve(self) -> None:
        forge, parts = self.forge, urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix(forge.base)
        with forge.changed:
            forge.asked.append(f"{self.command} {path}")
            verdict = forge.trouble(self.command, path)
            status, answer = verdict or 0, {"message": "trouble"}
            if not verdict:
                known = self.headers.get("Authorization") == f"token {TOKEN}"
                there = parts.path.startswith(f"{forge.base}/")
                if not known or not there:
                    status, answer = (404 if known else 401), {"message": "no"}
                else:
                    status, answer = forge.answer(self.command, path, query, body)
            forge.changed.notify_all()
            self._say(status, answer, query, lost=verdict == LOST)

    def _say(self, status: int, answer: Any, query: dict[str, str], *, lost: bool) -> None:
        if lost:
            self.close_connection = True
            return
        self.send_response(status)
        if isinstance(answer, list):
            size = min(int(query.get(self.forge.size, "30")), MOST_ON_A_PAGE)
            first = (int(query.get("page", "1")) - 1) * size
            if not self.forge.github:
                self.send_header("X-Total-Count", str(len(answer)))
            elif first + size < len(answer):
                self.send_header("Link", '<http://next>; rel="next", <http://last>; rel="last"')
            elif first:
                self.send_header("Link", '<http://first>; rel="first"')
            answer = answer[first : first + size]
        data = json.dumps(answer).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - http.server looks for these names

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # Whoever asked was killed.
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Forge]:
    """A forge that listens."""
    forge = Forge()
    handler = type("Handler", (_Handler,), {"forge": forge})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        forge.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _user(name: str) -> dict[str, Any]:
    return {"id": sum(name.encode()), "login": name}
