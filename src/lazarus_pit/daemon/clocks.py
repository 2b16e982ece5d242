"""The clocks, doubted: a suspend, a stop or a step of the clock shuts the pit's own eyes."""

from __future__ import annotations

import time

from lazarus_pit.daemon.looks import clock_offset

LATE_SECONDS = 5.0
"""A sweep later than this, or a clock that moved by as much, means that our own eyes were shut."""


class Clocks:
    """Three clocks, compared with one another from one look to the next."""

    def __init__(self) -> None:
        """Look for the first time."""
        self._seen = _look()

    def doubt(self, due: float) -> str:
        """Say why nobody is to be judged by what was missed since the last look, if there is cause.

        Args:
            due: when this look should have been taken, on the monotonic clock.
        """
        mono, boot, offset = self._seen
        now = self._seen = _look()
        slept = (now[1] - boot) - (now[0] - mono)
        if slept > LATE_SECONDS:
            return f"suspended for {slept:.0f} s"
        if now[0] - due > LATE_SECONDS:
            return f"stood still for {now[0] - due:.0f} s"
        if abs(now[2] - offset) > LATE_SECONDS and not slept > 1.0:
            return f"clock stepped by {now[2] - offset:.0f} s"
        return ""


def _look() -> tuple[float, float, float]:
    return time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), clock_offset()
