"""Run a program as an ordinary user, from a suite that runs as root.

What the program needs may lie where only root can walk (a Python below ``/root``), so it runs in a
mount namespace in which just these directories can be reached. It gets a cgroup of its own, as a
service manager would delegate it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lazarus_pit.linux import cgroup

ORDINARY_UID = 61043
"""Nobody's number on a usual system."""

TESTS = Path(__file__).parent

_SCRIPT = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$STAGE"
n=0
for path in $NEEDED; do
    mkdir "$STAGE/$n"; mount --rbind "$path" "$STAGE/$n"; n=$((n+1))
done
for path in $CLOSED; do mount -t tmpfs -o mode=0755 tmpfs "$path"; done
n=0
for path in $NEEDED; do
    mkdir -p "$path"; mount --rbind "$STAGE/$n" "$path"; n=$((n+1))
done
exec setpriv --reuid "$AS" --regid "$AS" --clear-groups "$@"
"""


def run(argv: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command as the ordinary user and return what it said; ``timeout`` in seconds."""
    needed = [path for path in _needed() if _closed(path)]
    with tempfile.TemporaryDirectory() as stage, tempfile.TemporaryDirectory() as home:
        os.chown(home, ORDINARY_UID, ORDINARY_UID)
        environment = {
            "PATH": os.defpath,
            "HOME": home,
            "TMPDIR": home,
            "STAGE": stage,
            "NEEDED": " ".join(needed),
            "CLOSED": " ".join(sorted({_closed(path) for path in needed})),
            "AS": str(ORDINARY_UID),
        }
        Path(stage).chmod(0o755)
        with _delegated() as enter:
            return subprocess.run(
                ["unshare", "--mount", "sh", "-c", enter + _SCRIPT, "sh", *argv],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                cwd=TESTS.parent,
            )


def passes(suite: Sequence[str]) -> None:
    """Fail unless these tests, named as to pytest, pass as the ordinary user."""
    argv = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-o", "cache_dir=$TMPDIR/tests"]
    done = run([*argv, *suite], timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "no writable cgroup v2" not in done.stdout, "the delegated cgroup was not found"


def _needed() -> list[str]:
    paths = (sys.base_prefix, sys.prefix, str(TESTS.parent))
    return sorted({os.path.realpath(path) for path in paths})


def _closed(path: str) -> str:
    """The first directory on the way that others cannot pass; empty if there is none."""
    ways = [*reversed(Path(path).parents), Path(path)]
    return next((str(way) for way in ways if not way.stat().st_mode & 0o001), "")


@contextlib.contextmanager
def _delegated() -> Iterator[str]:
    """A cgroup of the user's own, and the words that enter it; none where there is no cgroup."""
    mount = cgroup.mount_point()
    place = Path(mount or "/nowhere") / f"lazarus-user-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        yield ""
        return
    try:
        for path in (place, place / "cgroup.procs", place / "cgroup.subtree_control"):
            os.chown(path, ORDINARY_UID, ORDINARY_UID)
        yield f"echo 0 > {place}/cgroup.procs\n"
    finally:
        cgroup.kill(str(place))
        cgroup.wait_until_empty(str(place), 20)
        for directory, _, _ in os.walk(place, topdown=False):
            os.rmdir(directory)


def can_run() -> bool:
    """Whether we are root and have the system's tools for it."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("unshare", "setpriv"))
