"""``lazarus``: the door. Agents knock here with every beat, so nothing heavy stands in the way."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # ``typing`` alone would cost a beat a tenth of its time.
if TYPE_CHECKING:
    from collections.abc import Sequence


def _is_member(words: Sequence[str]) -> bool:
    """Whether an agent in a cell writes mail, as its environment says, and not a person."""
    return "LAZARUS_OUTBOX" in os.environ and "--cell" not in words


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 1, 2 or 75 (docs/reference/cli.md)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["beat"]:
        from lazarus_pit.beat import main as beat  # noqa: PLC0415 - what is behind this door alone

        sys.exit(beat(words[1:]))
    if words[:1] == ["mail"] and ("--help" in words or _is_member(words)):
        from lazarus_pit.mail import main as mail  # noqa: PLC0415 - see above

        sys.exit(mail(words[1:]))
    if words[:1] == ["hook"] and "--ask" in words:
        from lazarus_pit.permission import main as ask  # noqa: PLC0415 - see above

        sys.exit(ask(words[1:]))
    if words[:1] == ["hook"]:
        from lazarus_pit.hook import main as hook  # noqa: PLC0415 - see above

        sys.exit(hook(words[1:]))
    from lazarus_pit.cli.app import run  # noqa: PLC0415 - see above

    sys.exit(run(words))


if __name__ == "__main__":
    main()
