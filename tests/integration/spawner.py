"""A small daemon's stand-in: begins one life, says who it is, and waits to be killed.

Run as ``python spawner.py``; reads a JSON object with ``sandbox``, ``scratch``, ``tree`` and
``launch`` from standard input and prints the life as JSON.
"""

from __future__ import annotations

import signal
import sys

import msgspec

from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Launch, Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to begin."""

    sandbox: str
    scratch: str
    tree: tuple[str, str] | None
    launch: Launch


def make(kind: str, scratch: str, tree: Tree | None) -> Sandbox:
    """The sandbox of that name."""
    if kind == "none":
        return Bare(scratch, tree)
    bwrap, notes = find_bwrap()
    if bwrap is None:
        raise SystemExit(f"no working bubblewrap: {notes}")
    return Bubblewrap(bwrap, scratch, tree)


def main() -> None:
    """Begin the life and wait."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    tree = Tree(*task.tree) if task.tree else None
    life = make(task.sandbox, task.scratch, tree).spawn(task.launch)
    sys.stdout.buffer.write(msgspec.json.encode(life) + b"\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
