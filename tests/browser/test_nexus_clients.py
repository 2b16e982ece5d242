"""The hub spoken to by three clients that others made: Python's websockets, Node's ws, Chromium."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from browser.chromium import Page, chromium
from nexus import DEADLINE, Gateway, eventually, running

_NODE = """
const { WebSocket } = require("ws");
const socket = new WebSocket(process.argv[1], process.argv.slice(2));
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\\n");
socket.on("open", () => tell(["open"]));
socket.on("message", (data, binary) =>
  tell(binary ? ["bytes", data.toString("hex")] : ["text", data.toString()]));
socket.on("error", (error) => { tell(["error", error.message]); process.exit(1); });
socket.on("close", (code) => { tell(["close", code]); process.exit(0); });
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [kind, said] = JSON.parse(line);
  socket.send(kind === "bytes" ? Buffer.from(said, "hex") : said);
});
"""
_LISTEN = """
window.heard = []; window.ended = null;
window.nexus = new WebSocket(%s); nexus.binaryType = "arraybuffer";
nexus.onmessage = ({ data }) => heard.push(
  typeof data === "string" ? ["text", data] : ["bytes", [...new Uint8Array(data)].join(" ")]);
nexus.onclose = ({ code }) => { window.ended = code; };
"""


class Node:
    """A Node process that is one client."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self.hear() == ["open"]

    def say(self, kind: str, said: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([kind, said]) + "\n")
        self._process.stdin.flush()

    def hear(self) -> list[object]:
        assert self._process.stdout is not None
        heard: list[object] = json.loads(self._process.stdout.readline())
        return heard


@contextlib.contextmanager
def node(url: str) -> Iterator[Node]:
    argv = ["node", "-e", _NODE, url]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Node(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An address that serves an empty page."""
    (folder := tmp_path_factory.mktemp("site")).joinpath("index.html").write_text("<p>here")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def page(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        page = browser.page(origin)
        page.wait("document.querySelector('p')")
        yield page


def listen(page: Page, gateway: Gateway, path: str = "") -> None:
    page.js(_LISTEN % json.dumps(gateway.url + path))


needs_node = pytest.mark.skipif(
    not shutil.which("node") or not Path(os.environ.get("NODE_PATH", "/nowhere"), "ws").is_dir(),
    reason="needs node and npm's ws below NODE_PATH: `make test-browser` brings it",
)


@needs_node
def test_three_libraries_hear_each_other_and_not_themselves(page: Page, origin: str) -> None:
    with (
        running("--origin", origin) as gateway,
        connect(gateway.url) as python,
        node(gateway.url) as other,
    ):
        listen(page, gateway)
        page.wait("nexus.readyState === 1", "the browser let in")
        python.send("from Python: é")
        assert other.hear() == ["text", "from Python: é"]
        page.wait("heard.length === 1")
        other.say("bytes", "00ff80")
        assert python.recv(DEADLINE) == b"\x00\xff\x80"
        page.wait("heard.length === 2")
        page.js("nexus.send('from the browser'); nexus.send(new Uint8Array([1, 2]))")
        assert [python.recv(DEADLINE), python.recv(DEADLINE)] == [
            "from the browser",
            b"\x01\x02",
        ]
        assert [other.hear(), other.hear()] == [["text", "from the browser"], ["bytes", "0102"]]
        heard = page.js("JSON.stringify(heard)")
        assert json.loads(heard) == [["text", "from Python: é"], ["bytes", "0 255 128"]]
        assert gateway.health()["connected_clients"] == 3
        gateway.stop()
        assert other.hear() == ["close", 1001]
        assert page.wait("ended") == 1001


@needs_node
def test_a_browser_that_leaves_and_a_killed_node_harm_nobody(page: Page, origin: str) -> None:
    with running("--origin", origin) as gateway, connect(gateway.url) as python:
        with node(gateway.url) as other:
            other.say("text", "last words")
            assert python.recv(DEADLINE) == "last words"
        listen(page, gateway, "?replay=1")
        page.wait("heard.length === 1", "what was said before it came")
        page.js("nexus.close()")
        eventually(lambda: gateway.health()["connected_clients"] == 1)


def test_a_page_of_another_origin_is_not_let_in(page: Page) -> None:
    with running() as gateway:
        listen(page, gateway)
        assert page.wait("ended") == 1006
        assert gateway.health()["connected_clients"] == 0
