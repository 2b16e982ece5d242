"""``lazarus completion``: the script that a shell reads to complete our words."""

from __future__ import annotations

from typing import Literal

from lazarus_pit.cli import app

ZSH_END = """
if [[ $funcstack[1] == (_lazarus|_cyclopts_lazarus) ]]; then
  _cyclopts_lazarus "$@"
else
  compdef _cyclopts_lazarus lazarus
fi
"""
"""The script only defines a function: begun by zsh under its file's name, or read by ``source``."""


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the completion script of a shell."""
    print(app.build().generate_completion(prog_name="lazarus", shell=shell))
    if shell == "zsh":
        print(ZSH_END)
    return 0
