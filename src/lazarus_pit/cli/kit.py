"""Which kind of program an agent is: the flags of a preset, for every verb that starts one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from lazarus_pit.cli import say
from lazarus_pit.errors import FormatError, UsageError
from lazarus_pit.formats.recipe import check_recipe
from lazarus_pit.presets.choose import PRESETS, preset

PRESET = Group("Preset", sort_key=80)


@Parameter(name="*", group=PRESET)
@dataclass(frozen=True, slots=True)
class Kit:
    """A preset and what it is told; by itself the program after ``--`` is started as it stands."""

    preset: Annotated[
        str | None,
        Parameter(help=f"{', '.join(PRESETS)}, or command; the task follows after --."),
    ] = None
    model: Annotated[str | None, Parameter(help="The model, in the program's own words.")] = None
    program: Annotated[
        str | None, Parameter(help="Its path or name inside the cell, if it has another.")
    ] = None
    argument: Annotated[
        tuple[str, ...],
        Parameter(negative="", allow_leading_hyphen=True, help="One more argument for it."),
    ] = ()
    permissions: Annotated[
        Literal["skip", "ask"] | None,
        Parameter(help="ask: people's word is waited for before a tool does more than look."),
    ] = None

    def member(self, argv: tuple[str, ...], typed: str) -> dict[str, Any]:
        """Return what the manifest says of the program.

        Args:
            argv: what follows ``--``: the program, or with a preset the task.
            typed: the command up to there, for an error that shows how it is meant.

        Raises:
            UsageError: a flag says what it may not.
        """
        if self.preset in (None, "command"):
            for flag, given in self._told().items():
                if given:
                    raise UsageError(f"{flag}: expected --preset with it, another than command")
            if not argv:
                raise UsageError(f"expected a program, `{typed} -- PROGRAM …`")
            return {"command": argv}
        if self.preset not in PRESETS:
            known = ", ".join((*PRESETS, "command"))
            found = say.clean(self.preset or "", 80)
            raise UsageError(f"--preset: found {found!r}, expected one of {known}")
        if not argv:
            raise UsageError(f"--preset: expected its task, `{typed} --preset {self.preset} -- …`")
        recipe: dict[str, object] = {"name": self.preset, "task": " ".join(argv)}
        if self.permissions == "ask" and not preset(self.preset).asks:
            able = ", ".join(one for one in PRESETS if preset(one).asks)
            raise UsageError(
                f"--permissions ask: {self.preset} cannot wait, expected one of {able}"
            )
        more = {
            "model": self.model,
            "arguments": list(self.argument),
            "permissions": self.permissions,
        }
        recipe |= {key: value for key, value in more.items() if value}
        try:
            check_recipe(recipe)
        except FormatError as error:
            raise UsageError(f"--preset: {error}") from None
        return {"command": (self.program or preset(self.preset).program,), "preset": recipe}

    def _told(self) -> dict[str, object]:
        return {
            "--model": self.model,
            "--program": self.program,
            "--argument": self.argument,
            "--permissions": self.permissions,
        }


PLAIN = Kit()
