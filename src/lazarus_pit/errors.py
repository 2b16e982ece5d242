"""Every exception of ours, so that a caller can tell whose fault it was.

LazarusError
├── UsageError      the person: a flag or a name that cannot be (exit code 2)
├── ConfigError     the person: a file that says what it may not (exit code 2)
├── FormatError     somebody's bytes: not what the format says; all that ``formats`` raises
├── RefusedError    the rules: a transition that is not allowed in this state (exit code 1)
└── WorldError      the machine said no: try again later (exit code 75)
    ├── StoreError  a record could not be made durable
    └── SpawnError  an agent could not be started
"""

from __future__ import annotations


class LazarusError(Exception):
    """Anything we raise on purpose; its text is fit for people."""

    exit_code = 1


class UsageError(LazarusError):
    """The command line asked for what cannot be."""

    exit_code = 2


class ConfigError(LazarusError):
    """A configuration file says what it may not: names the file, the key and what was expected."""

    exit_code = 2


class FormatError(LazarusError):
    """Bytes that are not what their format says."""


class RefusedError(LazarusError):
    """The table of transitions does not allow it from here."""


class WorldError(LazarusError):
    """The machine refused: a full disk, a missing permission, a held lock."""

    exit_code = 75


class StoreError(WorldError):
    """A record could not be made durable."""


class SpawnError(WorldError):
    """An agent's process could not be started.

    ``fatal`` says that trying again cannot help (the program does not exist, no sandbox works).
    """

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal
