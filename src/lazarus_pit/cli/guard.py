"""Every error as one line and an exit code: nobody who types is shown a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from lazarus_pit.cli import say
from lazarus_pit.errors import LazarusError

WORLD, INTERRUPTED = 75, 130


def guarded(act: Callable[[], int], program: str = "lazarus") -> int:
    """Do it and return its exit code; say what went wrong, and whose turn it is, by the code.

    0 good, 1 unhealthy, failed or refused, 2 wrong use or configuration, 75 the machine failed.
    """
    try:
        return act()
    except LazarusError as error:
        say.complain(say.clean(error), program)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read has seen enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        where = error.filename or "the machine refused"
        say.complain(say.clean(f"{where}: {error.strerror or error}"), program)
        return WORLD
