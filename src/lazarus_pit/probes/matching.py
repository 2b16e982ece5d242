"""Find command lines by regular expressions that may take for ever: a program of its own.

Python's ``re`` holds the interpreter's lock while it searches, and whoever may run a process here
writes its command line: a pattern such as ``python.*nexus.*think`` meets one that takes it hours.
Here a search is interrupted after a moment of processor time, and holds up nobody but itself.

It is run by its path, without the package: only the standard library is there.
"""

import json
import re
import signal
import sys

PATTERN_SECONDS = 0.25
"""Of processor time, for one pattern over all command lines."""


class _TooSlowError(Exception):
    """The time is over."""


def _expired(*_: object) -> None:
    raise _TooSlowError


def search(pattern: str, lines: list[str]) -> int | None:
    """Return the place of the first line that matches, -1 for none, ``None`` for out of time."""
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, PATTERN_SECONDS)
        try:
            expression = re.compile(pattern)
            return next((at for at, line in enumerate(lines) if expression.search(line)), -1)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _TooSlowError:
        return None


def main() -> None:
    """Read ``[patterns, lines]`` from standard input, and write what each pattern found."""
    signal.signal(signal.SIGVTALRM, _expired)
    patterns, lines = json.load(sys.stdin.buffer)
    sys.stdout.write(json.dumps([search(one, lines) for one in patterns]))


if __name__ == "__main__":
    main()
