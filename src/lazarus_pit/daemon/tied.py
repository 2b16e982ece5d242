"""Run a program that ends when the daemon does, however that ends: ``tied PID PROGRAM ...``."""

from __future__ import annotations

import os
import sys

from lazarus_pit.linux.rename import die_with_parent


def main() -> None:
    """Tie this process to its parent, unless that is gone already, and become the program."""
    die_with_parent()
    if os.getppid() == int(sys.argv[1]):
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming it is the purpose


if __name__ == "__main__":
    main()
