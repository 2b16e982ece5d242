"""Stand still until mail comes, and learn nothing of what is in it. Standard library only.

What wakes an agent carries no text: no member can put words into another's terminal or prompt by
writing to it. What the mail says is read when the agent chooses to read it.
"""

from __future__ import annotations

import ctypes
import os
import select
import time

_IN_MOVED_TO, _IN_ONLYDIR = 0x80, 0x1000000
LOOK_SECONDS = 1.0
"""How often the inbox is looked into where the kernel cannot tell of it."""


def newest(inbox: str) -> str:
    """Return the name of the mail that was delivered last; empty if there is none.

    Raises:
        OSError: the inbox cannot be listed.
    """
    return max((name for name in os.listdir(inbox) if not name.startswith(".")), default="")


def wait(inbox: str, after: str, patience: float | None) -> str:
    """Return the name of the newest mail as soon as it is newer than ``after``.

    ``patience`` is in seconds, ``None`` has no end; when it is over, the name is empty.

    Raises:
        OSError: the inbox cannot be listed.
    """
    deadline = None if patience is None else time.monotonic() + patience
    queue = _watch(inbox)
    try:
        while (found := newest(inbox)) <= after:
            left = LOOK_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return ""
            if queue is None:
                time.sleep(min(left, LOOK_SECONDS))
            elif select.select([queue], [], [], None if deadline is None else left)[0]:
                os.read(queue, 65536)
        return found
    finally:
        if queue is not None:
            os.close(queue)


def _watch(inbox: str) -> int | None:
    """Return an inotify(7) descriptor; ``None`` where none is to be had."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        queue = int(libc.inotify_init1(os.O_CLOEXEC))
        if queue < 0:
            return None
        if libc.inotify_add_watch(queue, os.fsencode(inbox), _IN_MOVED_TO | _IN_ONLYDIR) < 0:
            os.close(queue)
            return None
    except (OSError, AttributeError):
        return None
    return queue
