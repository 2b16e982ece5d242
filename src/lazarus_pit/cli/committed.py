"""Ask git, from inside a cell's walls, what no remote has: a repository can run programs.

A repository's configuration names filters, monitors and helpers that git runs on the slightest
question. So each repository is looked at by a visitor of its own, who can write nothing but a home
that is thrown away, reaches no network, and is ended when it takes too long. What it says is
believed only as far as numbers go.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli.names import Found
from lazarus_pit.cli.visiting import end, own_place, own_tree, visit
from lazarus_pit.config import Config
from lazarus_pit.core.model import Role, Seconds
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import choose
from lazarus_pit.sandboxes.base import Launch, Sandbox

PATIENCE: Seconds = 60.0
"""For all repositories of a cell together."""
MOST = 32
"""Repositories that are looked at; further ones count as unknown."""
_LONGEST = 4096
"""Bytes that are heard of one visitor."""
_ANSWER = re.compile(rb"uncommitted=(\d{1,9}) unpushed=(\d{1,9}) state=([0-9a-f]{40,64})\n")

# The commits of --all are those of every ref, of the stash and of a detached HEAD.
_LOOK = r"""
set -e
cd -- "$1"
GIT_CEILING_DIRECTORIES=$(dirname -- "$(pwd -P)")
export GIT_CEILING_DIRECTORIES
ask() { git -c safe.directory='*' -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"; }
: > "$HOME/changes"
bare=$(ask rev-parse --is-bare-repository)
if [ "$bare" = false ]; then
    ask status --porcelain -z --no-renames --untracked-files=all --ignore-submodules=none \
        > "$HOME/changes"
fi
unpushed=$(ask rev-list --count --all --not --remotes)
ask for-each-ref > "$HOME/refs"
ask rev-parse -q --verify HEAD >> "$HOME/refs" || :
state=$(cat "$HOME/changes" "$HOME/refs" | ask hash-object --stdin)
uncommitted=$(tr -dc '\0' < "$HOME/changes" | wc -c)
echo "uncommitted=$((uncommitted)) unpushed=$unpushed state=$state"
"""
_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


class Repository(NamedTuple):
    """What git says about one repository of a workspace."""

    path: str
    """Relative to the workspace; odd bytes as surrogates."""
    uncommitted: int = 0
    """Changes and new files that no commit has."""
    unpushed: int = 0
    """Commits that are on no remote, as far as was known at the last push or fetch."""
    state: str = ""
    """A digest that changes with either."""
    fault: str = ""
    """Why nothing is known; empty if all is."""

    @property
    def is_clean(self) -> bool:
        """Whether a remote has all of it."""
        return not (self.uncommitted or self.unpushed or self.fault)


def look(config: Config, pit: PitPaths, found: Found, paths: Sequence[bytes]) -> list[Repository]:
    """Look at these repositories of a cell; what cannot be looked at says why."""
    names = [os.fsdecode(path) for path in paths]
    if not names:
        return []
    deadline = time.monotonic() + PATIENCE
    with own_tree() as tree:
        try:
            sandbox = choose.choose(tree, unsafe_no_sandbox=False).sandbox
        except SpawnError as error:
            return [Repository(name, fault=str(error)) for name in names]
        walls = _Walls(sandbox, tree)
        seen = []
        for name in names[:MOST]:
            with own_place(pit.nursery, found.paths) as own:
                launch = replace(
                    visit(config, found, own, Role.OBSERVER),
                    status_file=str(own.root / "status.json"),
                )
                seen.append(_ask(name, launch, walls, deadline))
    fault = f"only {MOST} repositories are looked at"
    return seen + [Repository(name, fault=fault) for name in names[MOST:]]


class _Walls(NamedTuple):
    """What all visits share."""

    sandbox: Sandbox
    tree: Tree | None


def _ask(name: str, launch: Launch, walls: _Walls, deadline: Seconds) -> Repository:
    hear, say = os.pipe2(os.O_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    asking = replace(
        launch,
        argv=("/bin/sh", "-c", _LOOK, "look", name),
        env=_ENV,
        standard=(nothing, say, nothing),
    )
    try:
        life = walls.sandbox.spawn(asking)
    except SpawnError as error:
        os.close(hear)
        return Repository(name, fault=str(error))
    finally:
        os.close(say)
        os.close(nothing)
    try:
        said, is_whole = _heard(hear, deadline)
    finally:
        os.close(hear)
        end(life, walls.tree)
        os.waitpid(life.pid, 0)
    answer = _ANSWER.fullmatch(said)
    if not is_whole:
        return Repository(name, fault="git did not come to an end")
    if answer is None:
        return Repository(name, fault="git could not read it")
    return Repository(name, int(answer[1]), int(answer[2]), answer[3].decode())


def _heard(hear: int, deadline: Seconds) -> tuple[bytes, bool]:
    """Hear a visitor out, and whether it ended by itself; too much is never the end."""
    said = b""
    poll = select.poll()
    poll.register(hear, select.POLLIN)
    while len(said) <= _LONGEST:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return said, False
        more = os.read(hear, _LONGEST)
        if not more:
            return said, True
        said += more
    return said, False
