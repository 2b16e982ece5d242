"""Every bench with small defaults, one after another: ``make bench``, or by name.

    python bench/run.py [NAME ...]

Each can be run alone with sizes of its own: ``python -m bench.NAME --help``.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

BENCHES: dict[str, list[str]] = {
    "supervision": ["--agents", "100", "--kills", "20", "--deaths", "2", "--own", "200"],
    "sandbox": [],
    "limits": [],
    "egress": [],
    "checkpoint": ["--files", "5000", "--large", "2", "--rounds", "2", "--entries", "5000"],
    "bus": ["--mails", "300", "--samples", "50"],
    "top": ["--agents", "100,1000", "--seconds", "5"],
    "web": ["--agents", "100,1000", "--seconds", "5"],
    "pool": ["--gateways", "100", "--timeout", "0.3", "--sweeps", "3"],
    "gateway": ["--seconds", "1", "--runs", "1", "--subscribers", "10,100"],
}
"""Names of benches and the arguments that make them small."""


def main() -> int:
    """Run what was named, or all; the exit code is that of the first which failed."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    worst = 0
    for name in names:
        command = [sys.executable, "-m", f"bench.{name}", *BENCHES[name]]
        print(f"\n=== {' '.join(command[1:])}\n", flush=True)
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        worst = worst or code
    return worst


if __name__ == "__main__":
    if importlib.util.find_spec("lazarus_pit") is None:
        sys.exit("lazarus_pit is not installed here: run this by `make bench`")
    sys.exit(main())
