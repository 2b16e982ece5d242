"""``python -m lazarus_pit`` is ``lazarus``."""

from lazarus_pit.cli.main import main

main()
