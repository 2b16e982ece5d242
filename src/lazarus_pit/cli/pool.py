"""``resurrection-pool``: the flags of contract 3.1."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from lazarus_pit.cli.guard import guarded
from lazarus_pit.pool.main import run
from lazarus_pit.pool.options import read_options


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    options = read_options(sys.argv[1:] if argv is None else argv)
    raise SystemExit(guarded(lambda: run(options), "resurrection-pool"))


if __name__ == "__main__":
    main()
