"""A real pit tells of a death and of the word that it wants, and `lazarus channels` says so."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from integration.pit import ASKING, Pit


class _Handler(BaseHTTPRequestHandler):
    taken: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_pit_tells(tmp_path: Path) -> None:
    taken: list[dict[str, Any]] = []
    handler = type("Handler", (_Handler,), {"taken": taken})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    pit = Pit(tmp_path, **ASKING)
    with pit.config.open("a") as file:
        file.write(f'[apprise]\nurls = ["json://127.0.0.1:{server.server_address[1]}/"]\n')
    try:
        pit.start()
        pit.spawn(pit.cell(name="pond"), "scribe", "/bin/sh", "-c", "lazarus beat; exit 3")
        pit.wait(lambda: taken, "a notice")
        assert taken[0]["title"] == "pond/scribe died and waits for a word"
        assert "lazarus approve pond/scribe" in taken[0]["message"]
        argv = [sys.executable, "-m", "lazarus_pit", "channels", "--config", str(pit.config)]
        said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        assert "apprise    tells" in said.stdout
    finally:
        pit.close()
        server.shutdown()
        server.server_close()
