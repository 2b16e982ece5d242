"""What the command line asks of ``resurrection-pool`` (contract 3.1)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lazarus_pit import __version__
from lazarus_pit.errors import FormatError
from lazarus_pit.formats.pool_config import check_seconds

EPILOGUE = """\
With none of --once, --status and --dry-run it watches in the foreground until SIGTERM or Ctrl-C.
Configuration: --config, else RESURRECTION_CONFIG, ~/.nexus/resurrection_pool.json,
/etc/nexus/resurrection_pool.json; one that cannot be read is warned of, and the next is tried.
Exit codes: 0 good, 1 not all are healthy, or failed, 2 wrong use or configuration, 75 the machine
failed: try again.
Example: resurrection-pool --config pool.json --once"""


class Options(NamedTuple):
    """The flags."""

    config: Path | None
    root: Path | None
    once: bool
    status: bool
    dry_run: bool
    verbose: bool
    poll_interval: float | None
    dead_threshold: float | None


def read_options(argv: Sequence[str]) -> Options:
    """Return what was typed; wrong use ends the program with exit code 2."""
    return Options(**vars(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="resurrection-pool",
        description="Watches agents that live outside cells, and brings back the dead by policy.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="PATH", help="JSON file, or the daemon's TOML")
    add("--root", type=Path, metavar="PATH", help="where lazarus approvals looks; its own --root")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--once", action="store_true", help="one sweep; exit 0 if all are healthy")
    only.add_argument("--status", action="store_true", help="probe, and print a JSON list")
    only.add_argument(
        "--dry-run", action="store_true", help="probe, and say what would be done; do nothing"
    )
    add("--poll-interval", type=_poll_interval, metavar="N", help="seconds from sweep to sweep")
    add("--dead-threshold", type=_dead_threshold, metavar="N", help="seconds dead until it acts")
    add("-v", "--verbose", action="store_true", help="log every probe")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _poll_interval(typed: str) -> float:
    return _seconds("poll_interval", typed)


def _dead_threshold(typed: str) -> float:
    return _seconds("dead_threshold", typed)


def _seconds(name: str, typed: str) -> float:
    try:
        return check_seconds(name, float(typed))
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {typed[:40]!r}, expected seconds") from None
    except FormatError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
