"""What walls cost: from the order to start ``true`` to its end, and memory while one stays.

Usage: ``python bench/sandbox.py [--runs N]``. All ways are tried in turn, in an order drawn anew
each round, so that what else the machine does is shared by all. Root is needed for nothing, but
as root agents get a user of their own and their directories are staged, as the pit does it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import select
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from lazarus_pit.core.model import Life, Role
from lazarus_pit.linux import cgroup
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import choose, landlock, lives
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Launch, Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap

AGENT = 61042
"""Whom agents run as under root."""

_BWRAP_WORDS = "--ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --cap-drop ALL --"
PLAIN_BWRAP = _BWRAP_WORDS.split()
_FIREJAIL_WORDS = "--quiet --noprofile --noroot --caps.drop=all --nonewprivs --seccomp --net=none"
FIREJAIL = _FIREJAIL_WORDS.split()

Start = Callable[[list[str]], Callable[[], None]]
"""Begin a command, and return how to wait for its end."""


class Cell:
    """The directories of one agent, and launches in it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.uuid = str(uuid.uuid4())
        self.generation = 0
        owned = {"workspace", "home", "hb", "outbox"}
        for name in (*owned, "inbox", "pub", "logs"):
            (base / name).mkdir()
            if name in owned and os.geteuid() == 0:
                os.chown(base / name, AGENT, AGENT)

    def launch(self, argv: list[str], uid: int | None) -> Launch:
        """A life of the next generation."""
        self.generation += 1
        at = {name: str(self.base / name) for name in os.listdir(self.base)}
        return Launch(
            key=f"{self.uuid}/a",
            uuid=self.uuid,
            agent="a",
            role=Role.DEVELOPER,
            generation=self.generation,
            argv=tuple(argv),
            workspace=at["workspace"],
            home=at["home"],
            heartbeat_dir=at["hb"],
            inbox=at["inbox"],
            outbox=at["outbox"],
            pub_dir=at["pub"],
            log_file=f"{at['logs']}/log",
            status_file=f"{at['logs']}/status",
            uid=uid,
            gid=uid,
        )


def by_command(*prefix: str) -> Start:
    """A way that is a program of its own, before the command."""

    def start(argv: list[str]) -> Callable[[], None]:
        whole = [*prefix, *argv]
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
        pid = os.posix_spawnp(whole[0], whole, dict(os.environ), file_actions=null, setsid=True)

        def wait() -> None:
            os.waitpid(pid, 0)

        return wait

    return start


def by_sandbox(sandbox: Sandbox, cell: Cell) -> tuple[Start, list[Life]]:
    """A way of ours; the lives it has begun are kept, so that they can be looked at."""
    begun: list[Life] = []
    uid = AGENT if os.geteuid() == 0 and sandbox.name != "none" else None

    def start(argv: list[str]) -> Callable[[], None]:
        life = sandbox.spawn(cell.launch(argv, uid))
        begun.append(life)
        fd = lives.open_pidfd(life)

        def wait() -> None:
            if fd is not None:
                select.select([fd], [], [])
                lives.exit_of(life, fd)
                os.close(fd)
            lives.clean(life)

        return wait

    return start, begun


@contextlib.contextmanager
def ways() -> Iterator[dict[str, Start]]:
    """Everything that can be compared on this machine."""
    tree, _ = cgroup.find_tree(f"bench-{os.getpid()}")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        found: dict[str, Start] = {"plain exec": by_command()}
        bwrap, notes = find_bwrap()
        if bwrap is None:
            print("no bubblewrap:", "; ".join(notes))
        else:
            found["bubblewrap, plain"] = by_command(bwrap.path, *PLAIN_BWRAP)
        if shutil.which("firejail"):
            found["firejail"] = by_command("firejail", *FIREJAIL)
        else:
            print("no firejail: not compared with it (Debian's package is called firejail)")
        for sandbox in _ours(tree):
            base = Path(place, sandbox.name)
            base.mkdir(mode=0o755)
            found[f"lazarus, {sandbox.name}"] = by_sandbox(sandbox, Cell(base))[0]
        try:
            yield found
        finally:
            if tree is not None:
                for leaf in cgroup.leaves(tree):
                    cgroup.kill(leaf.path)
                    cgroup.wait_until_empty(leaf.path, 10)
                cgroup.remove_tree(tree)


def _ours(tree: Tree | None) -> Iterator[Sandbox]:
    scratch = choose.scratch_directory()
    bwrap, _ = find_bwrap()
    if bwrap is not None:
        yield Bubblewrap(bwrap, scratch, tree)
    if not landlock.why_not():
        yield landlock.Landlock(scratch, tree)
    yield Bare(scratch, tree)


def measured(start: Start) -> float:
    """Milliseconds from the order to the end of ``true``."""
    began = time.perf_counter()
    start(["true"])()
    return (time.perf_counter() - began) * 1e3


def staying(start: Start) -> float | None:
    """KiB of memory (PSS) of what stays besides the agent; ``None`` if it cannot be read."""
    before = set(_mine())
    wait = start(["sleep", "1000"])
    deadline = time.monotonic() + 10
    sleeper = None
    while sleeper is None and time.monotonic() < deadline:
        new = set(_mine()) - before
        sleeper = next((pid for pid in new if _comm(pid) == "sleep"), None)
        select.select([], [], [], 0.01)
    if sleeper is None:
        return None
    new = set(_mine()) - before - {sleeper}
    total = sum(_pss(pid) for pid in new)
    os.kill(sleeper, 9)
    wait()
    return total


def _mine() -> list[int]:
    """Our descendants, by one pass over the process list."""
    words = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in words.stdout.splitlines()]
    found = {os.getpid()}
    for _ in range(5):
        found |= {pid for pid, parent in parents if parent in found}
    return [pid for pid in found if pid != os.getpid() and _comm(pid) not in ("", "ps")]


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _pss(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
    return 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What walls cost.")
    parser.add_argument("--runs", type=int, default=40, help="how often each way is tried")
    runs = parser.parse_args().runs
    with ways() as found:
        times: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(runs):
            for name in random.sample(list(found), len(found)):
                times[name].append(measured(found[name]))
        memory = {name: staying(start) for name, start in found.items()}
    plain = statistics.median(times["plain exec"])
    load = os.getloadavg()[0]
    print(f"start of true to its end, {runs} runs each, load {load:.1f}, uid {os.geteuid()}\n")
    print(f"{'':24}{'median ms':>10}{'quartiles':>16}{'ratio':>8}{'stays, KiB':>12}")
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        kept = "-" if memory[name] is None else f"{memory[name]:.0f}"
        spread = f"{low:.1f}-{high:.1f}"
        print(f"{name:24}{middle:10.1f}{spread:>16}{middle / plain:8.1f}{kept:>12}")


if __name__ == "__main__":
    main()
