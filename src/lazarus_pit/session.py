"""What an agent's conversation has come to: a small file in its home that outlives its lives.

``lazarus hook`` and ``lazarus drive`` write it, the daemon reads it before the next life and holds
it for hostile. Standard library only. It lies in the home because the conversation does: a
checkpoint saves both or neither.
"""

from __future__ import annotations

import fcntl
import json
import os
import time

from lazarus_pit import beat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Memory = dict[str, Any]

FILE = ".lazarus-session.json"
ASKED = "LAZARUS_SESSION"
"""In the environment: the conversation that this life was started to go on with."""
MAX_BYTES = 16 * 1024
PUBLISHED_BYTES = 1 << 20
OPEN_MAX = 20
"""Calls of tools without a result that are remembered."""
LOCK_SECONDS = 1.0
"""How long a hook waits for another; then it writes all the same."""
THINKING, TOOL = "LAZARUS_THINKING_SECONDS", "LAZARUS_TOOL_SECONDS"
LEASES = {THINKING: 600.0, TOOL: 3600.0}
"""How long an agent may be silent while its model thinks, and while a tool of it runs."""
OF_ONE_LIFE = (
    "turns",
    "tokens",
    "counted",
    "repeats",
    "digest",
    "trail",
    "same",
    "open",
    "tool",
    "hold",
    "until",
)
"""What the next life forgets; the cycle goes on."""


def lease(environ: Mapping[str, str], name: str) -> float:
    """Return seconds of silence to announce: the environment's, else the default."""
    try:
        return min(max(float(environ.get(name, "")), 0.0), 1e6)
    except ValueError:
        return LEASES[name]


def load(environ: Mapping[str, str]) -> Memory:
    """Return what is remembered; anything unreadable is nothing."""
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(_file(environ), flags)
        with open(fd, "rb") as file:
            found = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def count(memory: Memory, name: str) -> int:
    """Return one of the counters, 0 where nothing sensible stands."""
    found = memory.get(name)
    return found if isinstance(found, int) and 0 <= found < 2**62 else 0


def open_calls(memory: Memory) -> dict[str, str]:
    """Return the calls of tools that have no result yet: their ids, and words for them."""
    found = memory.get("open")
    return found if isinstance(found, dict) else {}


def change(environ: Mapping[str, str], alter: Callable[[Memory], None]) -> Memory:
    """Change what is remembered, one at a time, and return it. What cannot be written is lost.

    The first change of a life forgets what was counted in the last one.
    """
    lock = _locked(environ)
    try:
        memory = load(environ)
        generation = _generation(environ)
        if memory.get("generation") != generation:
            for name in OF_ONE_LIFE:
                memory.pop(name, None)
            memory["asked"] = environ.get(ASKED, "")
            memory["generation"] = generation
            memory["status"] = ""
        alter(memory)
        _write(environ, memory)
    finally:
        if lock is not None:
            os.close(lock)
    return memory


def tell(environ: Mapping[str, str], memory: Memory) -> bool:
    """Write a beat that says what is remembered; return whether it could be written."""
    path = environ.get(beat.FILE, "")
    if not path:
        return False
    until = memory.get("until")
    said = {
        "status": memory.get("status") or None,
        "model": memory.get("model"),
        "cycle": count(memory, "cycle"),
        "busy_until": until if isinstance(until, float) and until > time.time() else None,
        "hold": memory.get("hold"),
        "hold_until": memory.get("hold_until") if memory.get("hold") else None,
        "tool": memory.get("tool"),
        "tool_digest": memory.get("digest"),
        "tool_repeats": count(memory, "repeats") if memory.get("digest") else None,
        "turns": count(memory, "turns"),
        "tokens": count(memory, "tokens") or None,
        "session": memory.get("session"),
        "session_asked": memory.get("asked") or None,
    }
    try:
        beat.write(path, beat.compose(environ, time.time(), said))
    except (OSError, ValueError):
        return False
    return True


def published(environ: Mapping[str, str], name: str) -> Memory:
    """Return a JSON object that the daemon shows to this agent; an empty one if there is none."""
    cell, told = environ.get("LAZARUS_CELL", ""), environ.get("NOTIFY_SOCKET", "")
    for folder in (os.path.dirname(told), f"{cell}/.lazarus/pub", cell):
        try:
            with open(f"{folder}/{name}", "rb") as file:
                found = json.loads(file.read(PUBLISHED_BYTES))
        except (OSError, ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else {}
    return {}


def forget_conversation(memory: Memory) -> None:
    """Let the next life begin a conversation of its own."""
    for name in ("session", "exhausted", "lost"):
        memory.pop(name, None)


def _file(environ: Mapping[str, str]) -> str:
    return f"{environ.get('HOME') or '.'}/{FILE}"


def _generation(environ: Mapping[str, str]) -> int:
    text = environ.get("LAZARUS_GENERATION", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _locked(environ: Mapping[str, str]) -> int | None:
    """Return a locked descriptor, or ``None`` where nothing can be locked in time."""
    try:
        fd = os.open(f"{_file(environ)}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.005)
        else:
            return fd
    os.close(fd)
    return None


def _write(environ: Mapping[str, str], memory: Memory) -> None:
    path = _file(environ)
    data = json.dumps(memory).encode()
    part = f"{path}.{os.getpid()}"
    if len(data) > MAX_BYTES:
        return
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(part, flags, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
        os.rename(part, path)
    except OSError:
        return
