"""``lazarus``: the door. Agents knock here with every beat, so nothing heavy stands in the way."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # ``typing`` alone would cost a beat a tenth of its time.
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 1, 2 or 75 (docs/reference/cli.md)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["beat"]:
        from lazarus_pit.beat import main as beat  # noqa: PLC0415 - what is behind this door alone

        sys.exit(beat(words[1:]))
    from lazarus_pit.cli.app import run  # noqa: PLC0415 - see above

    sys.exit(run(words))


if __name__ == "__main__":
    main()
