"""A git repository that several agents share: one at a time, and nothing half done is left.

An agent may be killed at any instruction, also in the middle of a commit. The turn is a lock that
the kernel gives back when its holder has ended, git included, so whatever lock file of git's own
is found during a turn was left by somebody who is dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path


class Repository:
    """A working tree, used in turns."""

    def __init__(self, top: Path, author: str) -> None:
        """Use the repository at ``top``, which need not exist yet, as ``author``."""
        self.top = top
        self._author = author
        self._turn = -1

    @contextlib.contextmanager
    def turn(self, while_waiting: Callable[[], object]) -> Iterator[None]:
        """Be the only one at work on the tree; whoever waits can show meanwhile that it lives."""
        self.top.mkdir(exist_ok=True)
        self._turn = os.open(self.top / ".turn", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not self._take():
                while_waiting()
                time.sleep(0.05)
            self._tidy()
            yield
        finally:
            os.close(self._turn)

    def commit(self, paths: list[str], message: str) -> bool:
        """Commit these files as they stand; ``False`` if they have not changed."""
        self.git("add", "--", *paths)
        if not self.git("diff", "--cached", "--name-only"):
            return False
        self.git("commit", "--quiet", "--message", message)
        return True

    def committed(self, folder: str) -> list[str]:
        """Return the files of a folder that are safe in the repository, in their order."""
        return self.git("ls-tree", "--name-only", "HEAD", f"{folder}/").splitlines()

    def git(self, *words: str) -> str:
        """Run git and return what it says. Git holds the turn too, for as long as it runs."""
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", self._author), ("EMAIL", f"{self._author}@pond.invalid"))
        }
        done = subprocess.run(
            ["git", *words],
            cwd=self.top,
            env={**os.environ, **identity},
            stdout=subprocess.PIPE,
            check=True,
            pass_fds=(self._turn,),
        )
        return done.stdout.decode().strip()

    def _take(self) -> bool:
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _tidy(self) -> None:
        """Make the repository if there is none, and clear away what a dead agent left."""
        if not (self.top / ".git" / "HEAD").exists():
            self.git("init", "--quiet", "--initial-branch=main")
        with contextlib.suppress(FileNotFoundError):
            (self.top / ".git" / "index.lock").unlink()
        if not self.git("for-each-ref", "refs/heads"):
            self.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
        exclude = self.top / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text(".turn\n*.tmp\n")
