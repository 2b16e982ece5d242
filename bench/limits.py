"""What limits cost at the start of a life. Run: ``python bench/limits.py``."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from msgspec.structs import replace

from launching import Nest, begun, ending, own_tree
from lazarus_pit.formats.limits import Limits
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap

RUNS = 25
CASES = {
    "no limits": Limits(),
    "pids": Limits(pids=100),
    "memory, pids, cpu": Limits(memory_mb=512, pids=100, cpu_percent=100),
}


def main() -> None:
    bwrap, notes = find_bwrap()
    if bwrap is None:
        sys.exit(f"no bubblewrap: {notes}")
    with tempfile.TemporaryDirectory() as place, own_tree() as tree:
        Path(place).chmod(0o755)
        sandbox = Bubblewrap(bwrap, f"{place}/furniture", tree)
        nest = Nest(Path(place))
        for name, limits in CASES.items():
            took = []
            for _ in range(RUNS):
                launch = replace(nest.launch("true"), limits=limits)
                began = time.perf_counter()
                with begun(sandbox, launch) as life:
                    ending(life)
                    took.append((time.perf_counter() - began) * 1000)
                time.sleep(0.1)
            print(f"{name:20} start to end of `true`: median {statistics.median(took):6.1f} ms")
    print(f"{RUNS} runs each, 0.1 s apart, uid {os.geteuid()}, Linux {os.uname().release}")


if __name__ == "__main__":
    main()
