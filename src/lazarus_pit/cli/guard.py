"""Every error as one line and an exit code: nobody who types is shown a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from lazarus_pit.cli import say
from lazarus_pit.errors import LazarusError

USAGE, WORLD, INTERRUPTED = 2, 75, 130


def guarded(act: Callable[[], int], program: str = "lazarus") -> int:
    """Do it and return its exit code; say what went wrong, and whose turn it is, by the code.

    0 good, 1 unhealthy, failed or refused, 2 wrong use or configuration, 75 the machine failed.
    """
    try:
        return act()
    except LazarusError as error:
        say.complain(say.clean(error), program)
        return USAGE if _cannot_be(error.__cause__) else error.exit_code
    except BrokenPipeError:
        # Whoever read has seen enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        where = error.filename or "the machine refused"
        say.complain(say.clean(f"{where}: {error.strerror or error}"), program)
        return USAGE if _cannot_be(error) else WORLD


def _cannot_be(error: BaseException | None) -> bool:
    """Whether the machine refused a name that no machine takes: trying again cannot help."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
