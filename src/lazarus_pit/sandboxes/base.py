"""What every sandbox is given, and what it must do."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct, field

from lazarus_pit.core.model import Key, Life, Role
from lazarus_pit.formats.limits import NONE, Limits

Network = Literal["none", "host", "allow"]


WRITERS = frozenset({Role.DEVELOPER, Role.COORDINATOR})
"""Roles that can write the whole workspace."""


class Launch(Struct, frozen=True, kw_only=True):
    """One life to begin. All paths are absolute, and outside the agent's reach but for its own."""

    key: Key
    uuid: str
    agent: str
    role: Role
    generation: int
    argv: tuple[str, ...]
    """Program and arguments, as they are named inside the sandbox."""
    starts: str = ""
    """The program that this one starts in turn, and without which no life need begin."""
    env: dict[str, str] = field(default_factory=dict)
    """Added to the scrubbed environment; nothing is inherited."""
    network: Network = "none"
    allow: tuple[str, ...] = ()
    """Under network ``allow``: where the agent may go, in the words of ``formats.allowlist``."""
    forward: tuple[int, ...] = ()
    """Under network ``allow``: ports of the host's loopback that are on the agent's too."""
    proxy: str = ""
    """Under network ``allow``: the control socket of the egress proxy."""
    workspace: str
    """The cell's shared work; read-only for observers."""
    reviews: str = ""
    """The one directory directly below the workspace that a reviewer can write, by its name."""
    home: str
    """The agent's private home directory, kept in the cell."""
    heartbeat_dir: str
    """The agent's own directory for beats; what it writes there is hostile input."""
    inbox: str
    outbox: str
    """The agent's own directory for outgoing messages."""
    pub_dir: str
    """Holds the daemon's published copy of ``cell.json``."""
    log_file: str
    """Standard output and error end up here."""
    log_pipe: str = ""
    """A FIFO, made where it is missing, that a pump empties into the log; without it, the agent
    writes to the log itself."""
    status_file: str
    """Of this generation alone, in a directory that no agent can reach."""
    uid: int | None = None
    gid: int | None = None
    """Whom the agent runs as under a root daemon; ``None`` is: as the daemon itself."""
    seen_as: tuple[int, int] | None = None
    """The user and group that it sees itself as, where its file system is its own; ``None`` is: as
    it is."""
    limits: Limits = Limits()
    """How much the agent may take."""
    cell_limits: Limits = NONE
    """How much all agents of its cell may take together."""
    read_only: tuple[str, ...] = ()
    """Paths of the host that the agent may read, at the same place inside."""
    read_write: tuple[str, ...] = ()
    """Paths of the host that the agent may write: no walls hold there."""
    home_read_only: tuple[tuple[str, str], ...] = ()
    """Names below the agent's home, and what of the host can be read there."""
    credentials: tuple[tuple[str, str], ...] = ()
    """Names, and the files whose contents are found under them inside."""
    standard: tuple[int, int, int] | None = None
    """Descriptors of ours to be its 0, 1 and 2; without them it reads nothing and prints to the
    log."""


class Sandbox(Protocol):
    """A way to contain one life."""

    name: str

    def spawn(self, launch: Launch) -> Life:
        """Begin a life and return its identity; it runs on without this process.

        Raises:
            SpawnError: with the reason; ``fatal`` if trying again cannot help.
        """
        ...

    def explain(self, launch: Launch) -> list[str]:
        """Say which layers hold this life, one a line, and the exact command."""
        ...
