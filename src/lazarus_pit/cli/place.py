"""Where: the root and the configuration, which every verb can be told."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter
from msgspec.structs import replace

from lazarus_pit import config as configuration
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.cli import say
from lazarus_pit.config import Config
from lazarus_pit.formats.names import ACTOR

WHERE = Group("Where", sort_key=90)


@Parameter(name="*", group=WHERE)
@dataclass(frozen=True, slots=True)
class Place:
    """Where the cells and the configuration are."""

    root: Annotated[
        Path | None, Parameter(help="Directory of the mission cells; `lazarus doctor` says which.")
    ] = None
    config: Annotated[
        Path | None, Parameter(help="Configuration file; by itself config/lazarus-pit.toml.")
    ] = None

    def settings(self) -> Config:
        """Read the configuration; ``--root`` wins over it.

        Raises:
            ConfigError: it says what it may not.
        """
        found = configuration.load(self.config)
        if self.config is not None and not found.found:
            say.complain(f"{self.config}: there is no such file; every setting is at its default")
        if self.root is None:
            return found
        return replace(found, cells=replace(found.cells, root=str(self.root.absolute())))

    def pit(self) -> PitPaths:
        """Return the paths below the root."""
        return PitPaths(self.settings().root)


HERE = Place()
AgentName = Annotated[
    str, Parameter(help="CELL/AGENT, or the agent's name alone where that is unique.")
]
CellName = Annotated[str, Parameter(help="Its UUID, the beginning of it, or its name.")]
Json = Annotated[bool, Parameter(negative="", help="Say it in JSON (docs/reference/cli.md).")]


def owner_of(config: Config) -> Owner:
    """Return whom the agents of this configuration run as."""
    return config.owner


def where(config: Config) -> list[str]:
    """Return the flags that make another command work in the same place."""
    return [
        "--root",
        str(config.root),
        *(["--config", str(config.path)] if config.found else []),
    ]


def who() -> str:
    """Return the name of whoever types, for the record; a number where there is no name.

    The API says for whom it runs a command: it is not its own user who acts.
    """
    try:
        if actor := os.environ.get(ACTOR):
            return actor
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
