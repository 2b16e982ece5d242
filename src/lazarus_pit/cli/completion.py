"""``lazarus completion``: the script that a shell reads to complete our words."""

from __future__ import annotations

from typing import Literal

from lazarus_pit.cli import app


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the completion script of a shell."""
    print(app.build().generate_completion(prog_name="lazarus", shell=shell))
    return 0
