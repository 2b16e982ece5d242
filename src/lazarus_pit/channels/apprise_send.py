"""Send one notice through Apprise: a program of its own, which an alarm ends whatever it waits for.

A service that takes a byte a second holds a thread of Apprise's for ever, and with it the program
that wants to end; after a few tries no thread is left for anybody. The address stands in no
command line: it comes on standard input, with the notice.
"""

from __future__ import annotations

import json
import signal
import sys

import apprise

TAKEN, REFUSED = 0, 1
"""Exit codes."""


def main() -> int:
    """Send the ``title`` and ``text`` on standard input to ``url``, within so many ``seconds``."""
    asked = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, asked["seconds"])  # Also where nobody is left to end us.
    service = apprise.Apprise()
    if not service.add(asked["url"]):
        return REFUSED
    taken = service.notify(
        title=asked["title"],
        body=asked["text"],
        notify_type=apprise.NotifyType.FAILURE if asked["grave"] else apprise.NotifyType.WARNING,
        body_format=apprise.NotifyFormat.TEXT,
    )
    return TAKEN if taken else REFUSED


if __name__ == "__main__":
    sys.exit(main())
