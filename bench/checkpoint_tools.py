"""Ours and the tools people use for the same: each saves a tree, saves it again, brings it back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def run(*words: str | Path, at: Path | None = None, **places: str) -> None:
    """Run a program to its good end, unheard; ``places`` go into its environment."""
    subprocess.run(
        words,
        check=True,
        cwd=at,
        env=os.environ | places,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


class Tool:
    """A tool at work on one tree. ``needs`` are its programs, ``package`` what brings them."""

    name = ""
    needs: tuple[str, ...] = ()
    package = ""
    keeps_increments = False
    """Whether a second run costs less than a first one."""

    def __init__(self, cell: Path, store: Path) -> None:
        self.cell = cell
        self.store = store
        self.pause = float("nan")
        """Seconds that agents stood still in the last run, where the tool knows of agents."""

    def missing(self) -> list[str]:
        return [need for need in self.needs if shutil.which(need) is None]

    def prepare(self) -> None:
        self.store.mkdir()

    def save(self) -> None:
        raise NotImplementedError

    def restore(self, target: Path) -> None:
        raise NotImplementedError


class Lazarus(Tool):
    """A worker process, driven over its pipes as the daemon does."""

    name = "lazarus"
    keeps_increments = True

    def save(
        self,
        meanwhile: Callable[[], object] = lambda: None,
        *,
        at: str = "freeze",
        follow: Sequence[str] = ("fanotify", "inotify"),
    ) -> None:
        """Save; ``meanwhile`` is called when the worker says that it begins the stage ``at``."""
        request = {"type": "save", "cell": str(self.cell), "store": str(self.store)}
        self.pause = self._work(request | {"follow": follow}, meanwhile, at)["pause_seconds"]

    def restore(self, target: Path) -> None:
        self._work({"type": "unpack", "archive": str(self._newest()), "target": str(target)})

    def undo(self, staging: Path) -> None:
        """Go back to the newest checkpoint in place."""
        request = {"type": "undo", "cell": str(self.cell), "parts": ["workspace"]}
        self._work(request | {"archive": str(self._newest()), "staging": str(staging)})

    def forget_all_but_newest(self) -> None:
        newest = self._newest().name.removesuffix(".tar.gz")
        for path in self.store.iterdir():
            if not path.name.startswith(newest):
                path.unlink()

    def _newest(self) -> Path:
        return max(self.store.glob("*.tar.gz"))

    def _work(
        self,
        request: dict[str, Any],
        meanwhile: Callable[[], object] = lambda: None,
        at: str = "freeze",
    ) -> dict[str, Any]:
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "lazarus_pit.cells.checkpoint.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(json.dumps({"request": request}).encode() + b"\n")
            worker.stdin.flush()
            for line in worker.stdout:
                said = json.loads(line)
                if said["type"] == "progress" and said["stage"] == at:
                    meanwhile()
                if said["type"] in ("freeze", "thaw"):
                    worker.stdin.write(b"{}\n")
                    worker.stdin.flush()
                if said["type"] == "failed":
                    raise RuntimeError(said["text"])
                if said["type"] == "done":
                    outcome: dict[str, Any] = said["outcome"]
                    return outcome
        raise RuntimeError("the worker ended before it was done")


class Tar(Tool):
    """One pipe of tar and a compressor."""

    name = "tar czf"
    needs = ("tar", "gzip")
    filter = "gzip"
    _number = 0

    def save(self) -> None:
        self._number += 1
        archive = self.store / f"{self._number}.tar"
        squeeze = f"--use-compress-program={self.filter}"
        run("tar", "-C", self.cell, squeeze, "-cf", archive, "workspace")
        with archive.open("rb") as file:
            os.fsync(file.fileno())

    def restore(self, target: Path) -> None:
        target.mkdir()
        archive = self.store / f"{self._number}.tar"
        run("tar", "-C", target, f"--use-compress-program={self.filter}", "-xpf", archive)


class Pigz(Tar):
    name = "tar | pigz"
    needs = ("tar", "pigz")
    package = "pigz"
    filter = "pigz"


class Zstd(Tar):
    name = "tar | zstd"
    needs = ("tar", "zstd")
    package = "zstd"
    filter = "zstd -T0"


class Restic(Tool):
    name = "restic"
    needs = ("restic",)
    package = "restic"
    keeps_increments = True

    def prepare(self) -> None:
        self._run("init")

    def save(self) -> None:
        self._run("backup", str(self.cell / "workspace"))

    def restore(self, target: Path) -> None:
        self._run("restore", "latest", "--target", str(target))

    def _run(self, *words: str) -> None:
        run(
            "restic",
            *words,
            RESTIC_PASSWORD="bench",  # noqa: S106 - nothing here is secret
            RESTIC_CACHE_DIR=f"{self.store}.cache",
            RESTIC_REPOSITORY=str(self.store),
        )


class Borg(Tool):
    name = "borg"
    needs = ("borg",)
    package = "borgbackup"
    keeps_increments = True
    _number = 0

    def prepare(self) -> None:
        self._run("init", "--encryption=none", str(self.store))

    def save(self) -> None:
        self._number += 1
        self._run("create", f"{self.store}::{self._number}", "workspace", at=self.cell)

    def restore(self, target: Path) -> None:
        target.mkdir()
        self._run("extract", f"{self.store}::{self._number}", at=target)

    def _run(self, *words: str, at: Path | None = None) -> None:
        run(
            "borg",
            *words,
            at=at,
            BORG_BASE_DIR=f"{self.store}.base",
            BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
        )


TOOLS: tuple[type[Tool], ...] = (Lazarus, Tar, Pigz, Zstd, Restic, Borg)
