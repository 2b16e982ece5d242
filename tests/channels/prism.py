"""Prism between us and the stand-in: both sides are held to the forge's own document.

The document says nothing of ``null`` (Swagger 2.0 cannot), and Prism reads no ``basePath`` without
a host: a copy of it has the paths that we use written out, and leaves the fields unchecked that a
forge answers with null.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
MODULES = os.environ.get("LAZARUS_NODE_MODULES", "")
_REPO = "/repos/{owner}/{repo}"
_PATHS = ("", "/comments", "/{index}", "/{index}/comments")
_NULLABLE = ("assignee", "assignees", "milestone", "closed_at", "due_date", "pull_request")


def contract(name: str) -> Path:
    """Return the document of a forge; without it there is nothing to be held to."""
    path = CONTRACTS / f"{name}-swagger.v1.json"
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def sliced(source: Path, target: Path) -> Path:
    """Write what of a document concerns us."""
    spec = json.loads(source.read_text())
    wanted = [f"{_REPO}/labels", *(f"{_REPO}/issues{path}" for path in _PATHS)]
    spec["paths"] = {spec["basePath"] + path: spec["paths"][path] for path in wanted}
    for name in _NULLABLE:
        spec["definitions"]["Issue"]["properties"].pop(name, None)
    del spec["basePath"]
    target.write_text(json.dumps(spec))
    return target


@contextlib.contextmanager
def prism(spec: Path, upstream: str, log: Path) -> Iterator[str]:
    """Run Prism as a validating proxy, and yield its address."""
    program = Path(MODULES) / ".bin" / "prism"
    if not MODULES or not program.exists():
        pytest.skip("no Prism: make test-channels installs it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [str(program), "proxy", str(spec), upstream, "--port", str(port), "--errors"]
    with log.open("wb") as said:
        process = subprocess.Popen(argv, stdout=said, stderr=said, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60.0
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)  # noqa: S310 - loopback
        except urllib.error.HTTPError:
            return  # It answers: there is no such path.
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        else:
            return
