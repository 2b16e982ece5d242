"""Usage: ``python3 -m attempts FACTS [NAME...]``; prints which got through, as JSON."""

from __future__ import annotations

import json
import sys

from attempts import files, kernel, mounts, processes, sockets
from attempts.registry import ATTEMPTS, tried

MODULES = (files, processes, sockets, mounts, kernel)
"""Importing them is what enters their attempts."""


def main() -> None:
    """Try everything, or what is named after the facts."""
    with open(sys.argv[1]) as file:
        facts = json.load(file)
    chosen = sys.argv[2:] or list(ATTEMPTS)
    results = {name: tried(ATTEMPTS[name], facts) for name in chosen}
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
