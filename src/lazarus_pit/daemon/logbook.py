"""The daemon's own log: one line an event, whatever agents have put into it."""

from __future__ import annotations

import logging
import sys

from lazarus_pit.config import Config
from lazarus_pit.errors import WorldError


def log_to(config: Config) -> None:
    """Log to a file, or to standard output for ``-``: one line an event.

    Raises:
        WorldError: the log file cannot be opened.
    """
    handler: logging.Handler
    try:
        if config.log_file is None:
            handler = logging.StreamHandler(sys.stdout)
        else:
            config.log_file.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(config.log_file)
    except OSError as error:
        raise WorldError(f"{config.log_file}: cannot be opened: {error.strerror}") from None
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=config.daemon.log_level, handlers=[handler], force=True)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # Never shown.
    logging.raiseExceptions = False  # A full disk under the log is no reason to stop watching.


class _OneLine(logging.Formatter):
    """What agents say stays on one line and moves no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
