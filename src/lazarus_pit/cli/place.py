"""Where: the root and the configuration, which every verb can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter
from msgspec.structs import replace

from lazarus_pit import config as configuration
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.config import Config

WHERE = Group("Where", sort_key=90)


@Parameter(name="*", group=WHERE)
@dataclass(frozen=True, slots=True)
class Place:
    """Where the cells and the configuration are."""

    root: Annotated[Path | None, Parameter(help="Directory of the mission cells.")] = None
    config: Annotated[Path | None, Parameter(help="Configuration file.")] = None

    def settings(self) -> Config:
        """Read the configuration; ``--root`` wins over it.

        Raises:
            ConfigError: it says what it may not, or the file that was named is not there.
        """
        found = configuration.load(self.config)
        return replace(found, root=self.root.absolute()) if self.root else found

    def pit(self) -> PitPaths:
        """Return the paths below the root."""
        return PitPaths(self.settings().root)


HERE = Place()
Json = Annotated[bool, Parameter(negative="", help="Say it in JSON (docs/reference/cli.md).")]
