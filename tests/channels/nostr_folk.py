"""Two relays, each a process that can be killed, and people who use another library than we do."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest

MODULES = os.environ.get("LAZARUS_NODE_MODULES", "")
PATIENCE = 60.0
"""Seconds after which a test gives up; never how long something should take."""
_CONFIG = """\
relay_name: test
storage:
  sqlalchemy.url: sqlite+aiosqlite:///{folder}/events.db
  num_concurrent_reqs: 10
  num_concurrent_adds: 2
  validators: [nostr_relay.validators.is_not_too_large, nostr_relay.validators.is_signed]
verification: {{nip05_verification: disabled}}
gunicorn: {{bind: "127.0.0.1:{port}", workers: 1, loglevel: info, reload: false}}
authentication: {{enabled: false}}
"""
_BUILT_IN = """\
import asyncio, sys
import nostr_sdk as sdk
async def main():
    relay = sdk.LocalRelayBuilder().addr("127.0.0.1").port(int(sys.argv[1])).build()
    await relay.run()
    await asyncio.Event().wait()
asyncio.run(main())
"""


class RelayProcess:
    """A relay on a port of its own, until it is killed; started again it is at the same place."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder / kind
        self._folder.mkdir()
        self._kind = kind
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        if self._kind == "nostr-relay":
            config = self._folder / "relay.yaml"
            config.write_text(_CONFIG.format(folder=self._folder, port=self.port))
            argv = [str(Path(sys.executable).with_name("nostr-relay")), "-c", str(config), "serve"]
        else:
            argv = [sys.executable, "-c", _BUILT_IN, str(self.port)]
        environ = {**os.environ, "HOME": str(self._folder), "PYTHONWARNINGS": "ignore"}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdout=log, stderr=log, env=environ, cwd=self._folder, start_new_session=True
            )
        self._wait()
        return self

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"no relay: {(self._folder / 'log').read_text()[-2000:]}")


class Operator:
    """Somebody with a key, by nostr-tools."""

    def __init__(self, dm: str, *relays: str, nsec: str = "") -> None:
        node_modules = Path(MODULES)
        if not MODULES or not (node_modules / "nostr-tools").exists():
            pytest.skip("no nostr-tools: make test-channels installs it")
        script = Path(__file__).with_name("operator.mjs")
        self._process = subprocess.Popen(
            ["node", str(script), dm, *relays],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPERATOR_NSEC": nsec},
            text=True,
        )
        self._letters: queue.Queue[dict[str, Any]] = queue.Queue()
        self._said: queue.Queue[list[str]] = queue.Queue()
        self._first: queue.Queue[dict[str, str]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        who = self._first.get(timeout=PATIENCE)
        self.npub, self.nsec = who["npub"], who["nsec"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def read(self) -> dict[str, Any]:
        """Wait for the next message."""
        return self._letters.get(timeout=PATIENCE)

    def has_mail(self) -> bool:
        return not self._letters.empty()

    def say(self, to: str, text: str, **how: Any) -> list[str]:
        """Write to somebody; return what each relay said: ``ok``, or why not."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"to": to, "text": text, **how}) + "\n")
        self._process.stdin.flush()
        return self._said.get(timeout=PATIENCE)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "npub" in told:
                self._first.put(told)
            elif "said" in told:
                self._said.put(told["said"])
            else:
                self._letters.put(told)
