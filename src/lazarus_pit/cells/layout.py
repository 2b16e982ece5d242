"""Where everything lies. The only file that knows the names of paths.

::

    <root>/<uuid>/                            a mission cell (contract 1.2)
        cell.json                             what people want; their commands alone write it
        workspace/                            shared work, the agents' own
        workspace/reviews/                    the one place in it where reviewers write
        logs/events.jsonl                     the journal
        logs/<agent>.log                      what an agent prints
        checkpoints/<timestamp>.tar.gz
        bus/inbox/<agent>/                    the daemon writes, the agent reads
        bus/outbox/<agent>/                   the agent writes, the daemon reads
        bus/done/<agent>/                     mail that was acknowledged, the newest of it
        bus/dead/<agent>/                     mail that nobody could use, with the reason
        .lazarus/heartbeats/<agent>.json      the newest beat, for everyone to read
        .lazarus/state.json                   what the daemon believes; it alone writes it
        .lazarus/lock                         held while cell.json is being changed
        .lazarus/paused                       locked while the cell is being restored
        .lazarus/asleep.json                  there while an idle cell is frozen
        .lazarus/restore/                     what the last restore replaced
        .lazarus/replaced/<n>/                what those before it did, until the next checkpoint
        .lazarus/home/<agent>/                the private home an agent sees; in it
                                              .lazarus-session.json, its conversation
        .lazarus/run/<agent>/hb/              where a sandboxed agent writes its beats
        .lazarus/run/<agent>/pub/             what is published to it: cell.json, life.json (how its
                                              last life ended), questions.json, notify.sock
        .lazarus/run/<agent>/log.pipe         what it prints, on the way to its log
        .lazarus/run/<agent>/status/<n>.json  how life number n ended, as the sandbox saw it
    <root>/.lazarus-pit/                      the daemon's own: lock, ledger.jsonl, daemon.json,
                                              and events.jsonl for what concerns no one cell;
                                              the pool's pool.json, pool.lock, pool/<gateway>.log
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from lazarus_pit.errors import ConfigError
from lazarus_pit.formats.names import check_agent_name, check_cell_uuid

APP = "lazarus-pit"
MANIFEST = "cell.json"
QUESTIONS = "questions.json"
REVIEWS = "reviews"


@dataclass(frozen=True, slots=True)
class CellPaths:
    """The paths of one cell. Only names that are safe in a path get in: FormatError otherwise."""

    root: Path
    uuid: str

    def __post_init__(self) -> None:
        """Refuse what is no UUID before it becomes a path."""
        check_cell_uuid(self.uuid)

    def _below(self, place: str) -> Path:
        """One step to any depth: on the way of every life, joining part by part was felt."""
        return Path(f"{self.root}/{self.uuid}/{place}")

    @property
    def cell(self) -> Path:
        """The cell's own directory."""
        return self.root / self.uuid

    @property
    def manifest(self) -> Path:
        """What people want of this cell."""
        return self.cell / MANIFEST

    @property
    def workspace(self) -> Path:
        """The shared work."""
        return self.cell / "workspace"

    @property
    def reviews(self) -> Path:
        """Where reviewers write; whoever writes the workspace can put anything in its place."""
        return self.workspace / REVIEWS

    @property
    def logs(self) -> Path:
        """The journal and the agents' output."""
        return self.cell / "logs"

    @property
    def events(self) -> Path:
        """The journal: one JSON object a line."""
        return self._below("logs/events.jsonl")

    def log(self, agent: str) -> Path:
        """What this agent prints."""
        return self._below(f"logs/{check_agent_name(agent)}.log")

    @property
    def checkpoints(self) -> Path:
        """The saved states of the cell."""
        return self.cell / "checkpoints"

    @property
    def inboxes(self) -> Path:
        """One directory of delivered messages per member."""
        return self.cell / "bus" / "inbox"

    def inbox(self, agent: str) -> Path:
        """Messages for this member; written by the daemon."""
        return self._below(f"bus/inbox/{check_agent_name(agent)}")

    @property
    def outboxes(self) -> Path:
        """One directory of messages to send per member."""
        return self.cell / "bus" / "outbox"

    def outbox(self, agent: str) -> Path:
        """Messages from this member: the directory names the sender."""
        return self._below(f"bus/outbox/{check_agent_name(agent)}")

    def done(self, agent: str) -> Path:
        """Mail that this member has acknowledged; the newest of it is kept."""
        return self._below(f"bus/done/{check_agent_name(agent)}")

    def dead(self, agent: str) -> Path:
        """Mail that this member could not use, or never acknowledged."""
        return self._below(f"bus/dead/{check_agent_name(agent)}")

    @property
    def private(self) -> Path:
        """The daemon's part of the cell."""
        return self.cell / ".lazarus"

    @property
    def heartbeats(self) -> Path:
        """The newest beat of each agent."""
        return self.private / "heartbeats"

    def heartbeat(self, agent: str) -> Path:
        """The contract's heartbeat file; agents outside a sandbox write it themselves."""
        return self._below(f".lazarus/heartbeats/{check_agent_name(agent)}.json")

    @property
    def state(self) -> Path:
        """What the daemon believes about this cell."""
        return self._below(".lazarus/state.json")

    @property
    def lock(self) -> Path:
        """Locked while the manifest is being changed; no agent can open it."""
        return self.private / "lock"

    @property
    def restoring(self) -> Path:
        """Where a restore is prepared, and what it replaced stays until the next checkpoint."""
        return self._below(".lazarus/restore")

    @property
    def replaced(self) -> Path:
        """What earlier restores replaced, where another came before the next checkpoint."""
        return self._below(".lazarus/replaced")

    @property
    def paused(self) -> Path:
        """Locked by who restores the cell: as long as that lives, its agents are to be stopped."""
        return self._below(".lazarus/paused")

    @property
    def asleep(self) -> Path:
        """There while the cell is frozen because it was idle; the daemon alone writes it."""
        return self._below(".lazarus/asleep.json")

    @property
    def homes(self) -> Path:
        """The private homes."""
        return self.private / "home"

    def home(self, agent: str) -> Path:
        """The private home that this agent sees as its own."""
        return self._below(f".lazarus/home/{check_agent_name(agent)}")

    def conversation(self, agent: str) -> Path:
        """What an agent with a preset remembers of its conversation; hostile to the reader."""
        return self._below(f".lazarus/home/{check_agent_name(agent)}/.lazarus-session.json")

    @property
    def runs(self) -> Path:
        """One directory per agent for what concerns its lives."""
        return self.private / "run"

    def run(self, agent: str) -> Path:
        """What concerns this agent's lives."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}")

    def former_home(self, agent: str) -> Path:
        """Where a home lies on its way out, when its agent begins afresh."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/former-home")

    def beats(self, agent: str) -> Path:
        """The agent-owned directory of its heartbeat; hostile to the reader."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/hb")

    def beat(self, agent: str) -> Path:
        """The heartbeat file that a sandboxed agent writes; hostile to the reader."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/hb/{agent}.json")

    def published(self, agent: str) -> Path:
        """What the daemon shows to this agent, read-only."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/pub")

    def published_manifest(self, agent: str) -> Path:
        """A copy of cell.json that the agent can read but not lock."""
        return self.published(agent) / MANIFEST

    def last_life(self, agent: str) -> Path:
        """What the agent is told of how its last life ended."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/pub/life.json")

    def notify_socket(self, agent: str) -> Path:
        """Where the agent sends ``sd_notify`` datagrams; the socket says who is speaking."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/pub/notify.sock")

    def log_pipe(self, agent: str) -> Path:
        """The FIFO into which this agent prints; out of the agents' reach."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/log.pipe")

    def statuses(self, agent: str) -> Path:
        """How this agent's lives ended; out of the agents' reach."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/status")

    def status(self, agent: str, generation: int) -> Path:
        """The sandbox's report on one life: process ids, then the exit code."""
        return self._below(f".lazarus/run/{check_agent_name(agent)}/status/{generation}.json")


@dataclass(frozen=True, slots=True)
class PitPaths:
    """The daemon's own paths below a root."""

    root: Path

    @property
    def private(self) -> Path:
        """The daemon's directory; no cell can have this name."""
        return self.root / ".lazarus-pit"

    @property
    def lock(self) -> Path:
        """Held for life by the one daemon of this root."""
        return self.private / "lock"

    @property
    def ledger(self) -> Path:
        """The write-ahead record of every decision."""
        return self.private / "ledger.jsonl"

    @property
    def events(self) -> Path:
        """The journal of what concerns the whole fleet or the pit itself."""
        return self.private / "events.jsonl"

    @property
    def daemon(self) -> Path:
        """Who the daemon is and when it last looked, for people and programs."""
        return self.private / "daemon.json"

    @property
    def egress(self) -> Path:
        """The control socket of the proxy for network mode ``allow``."""
        return self.private / "egress.sock"

    @property
    def egress_log(self) -> Path:
        """What that proxy has to say of its own faults."""
        return self.private / "egress.log"

    @property
    def pump(self) -> Path:
        """Where the log pump takes orders."""
        return self.private / "pump.sock"

    @property
    def web_keys(self) -> Path:
        """The hashes of links and tokens for the page and the API."""
        return self.private / "web-keys.json"

    @property
    def web_socket(self) -> Path:
        """The API for whoever may open this file."""
        return self.private / "api.sock"

    @property
    def web_address(self) -> Path:
        """Where the API listens on TCP, for ``lazarus web link``."""
        return self.private / "web.json"

    @property
    def records(self) -> Path:
        """What the whole fleet must not forget: SQLite, for its owner alone."""
        return self.private / "records.db"

    @property
    def nostr_key(self) -> Path:
        """Our own secret key on Nostr, where none is configured: for its owner alone."""
        return self.private / "nostr.key"

    def channel_lock(self, name: str) -> Path:
        """Held for life by the one process that serves this channel."""
        return self.private / f"channel-{name}.lock"

    def companion_log(self, name: str) -> Path:
        """What a companion of the daemon, or the log pump (``pump``), has to complain about."""
        return self.private / f"{name}.log"

    @property
    def pool(self) -> Path:
        """What the resurrection pool believes about its gateways."""
        return self.private / "pool.json"

    @property
    def pool_lock(self) -> Path:
        """Held for life by the one pool of this root."""
        return self.private / "pool.lock"

    def pool_log(self, gateway: str) -> Path:
        """What the revive command of a gateway prints. A gateway's name may be anything."""
        readable = re.sub(r"[^a-z0-9]+", "-", gateway[:64].lower()).strip("-")[:40]
        digest = hashlib.sha256(gateway.encode(errors="surrogatepass")).hexdigest()[:12]
        return self.private / "pool" / f"{readable or 'gateway'}-{digest}.log"

    @property
    def bell(self) -> Path:
        """Touched by whoever has answered a request, so that the daemon looks at once."""
        return self.private / "bell"

    @property
    def graveyard(self) -> Path:
        """The last checkpoint of each cell that was destroyed."""
        return self.private / "graveyard"

    @property
    def transit(self) -> Path:
        """Where archives lie while they come in or go out over the API."""
        return self.private / "transit"

    @property
    def nursery(self) -> Path:
        """Where cells are built before they appear, whole, below the root."""
        return self.private / "new"

    def cell(self, uuid: str) -> CellPaths:
        """Return the paths of one cell of this root."""
        return CellPaths(self.root, uuid)


def default_root() -> Path:
    """``/var/missions`` for root, else a directory of the user's own (contract 1.1)."""
    if os.geteuid() == 0:
        return Path("/var/missions")
    return _own(platformdirs.user_data_path) / "missions"


def default_pid_file() -> Path:
    """``/var/run/lazarus-pit.pid`` for root, else beside the user's state (contract 2.2)."""
    if os.geteuid() == 0:
        return Path("/var/run/lazarus-pit.pid")
    return _own(platformdirs.user_state_path) / "lazarus-pit.pid"


def default_log_file() -> Path:
    """``/var/log/lazarus-pit.log`` for root, else beside the user's state (contract 2.2)."""
    if os.geteuid() == 0:
        return Path("/var/log/lazarus-pit.log")
    return _own(platformdirs.user_state_path) / "lazarus-pit.log"


def _own(place: Callable[[str], Path]) -> Path:
    """Return a directory of the user's own; without a home there is none.

    Raises:
        ConfigError: this user has no home directory.
    """
    try:
        return place(APP)
    except RuntimeError:
        raise ConfigError(
            "HOME: not set, and this user has no home directory; expected one, or root, pid_file "
            "and log_file in the configuration"
        ) from None
