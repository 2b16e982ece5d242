"""``lazarus-pit``: the daemon, with exactly the flags that its operators know (contract 2.1)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lazarus_pit import __version__
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.view import AgentView, see_cells
from lazarus_pit.cli import say
from lazarus_pit.cli.cells import listing_line
from lazarus_pit.cli.guard import guarded
from lazarus_pit.cli.place import Place
from lazarus_pit.cli.pulse import feel, headline
from lazarus_pit.cli.status import state_words
from lazarus_pit.cli.up import run_daemon
from lazarus_pit.config import DEFAULT_PATH, Config

EPILOGUE = """\
With neither --status nor --list-cells it runs as the daemon in the foreground.
Exit codes: 0 good, 1 failed, 2 wrong use or configuration, 75 the machine failed: try again.
Example: lazarus-pit --config /etc/lazarus-pit.toml"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    flags = _parser().parse_args(argv)
    raise SystemExit(guarded(lambda: _run(flags)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lazarus-pit",
        description="Keeps the agents of mission cells alive.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", type=Path, metavar="PATH", help=f"configuration file (default {DEFAULT_PATH})"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--status", action="store_true", help="show each watched cell and its agents")
    only.add_argument(
        "--list-cells", action="store_true", help="list every cell, archived ones too"
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _run(flags: argparse.Namespace) -> int:
    config = Place(config=flags.config).settings()
    if flags.status:
        return _status(config)
    if flags.list_cells:
        return _list_cells(config)
    return run_daemon(config)


def _list_cells(config: Config) -> int:
    """Say ``<uuid>: <status> … <mission>`` of every cell (contract 2.7)."""
    cells = see_cells(PitPaths(config.root))
    for cell in cells:
        say.line(listing_line(cell))
    if not cells:
        say.line(f"no cell below {config.root}")
    return 0


def _status(config: Config) -> int:
    """Say each watched cell and, per agent, its status and heartbeat age (contract 2.7)."""
    pit = PitPaths(config.root)
    say.line(headline(pit, feel(pit)))
    for cell in see_cells(pit):
        if not cell.is_watched:
            continue
        say.line(listing_line(cell))
        for agent in cell.agents:
            say.line(f"  {_agent_line(agent)}")
    return 0


def _agent_line(agent: AgentView) -> str:
    health = agent.health
    beat = (
        "no heartbeat yet"
        if agent.beat_age is None
        else f"heartbeat {say.span(agent.beat_age)} ago"
    )
    said = f', "{say.clean(health.status, 80)}"' if health and health.status else ""
    verdict = f" ({health.verdict})" if health else ""
    return f"{agent.name}: {state_words(agent)}{verdict}, {beat}{said}"


if __name__ == "__main__":
    main()
