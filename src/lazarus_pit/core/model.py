"""The nouns: what a cell is, what an agent is, and by which rules one lives.

Everything is frozen. Instants are seconds on the daemon's monotonic clock; durations are seconds.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

Instant = float
Seconds = float
Key = str
"""An agent's name in the fleet: ``<cell uuid>/<agent name>``."""

NEVER: Instant = 1e15
"""The instant that does not come: finite, so that every record of it is plain JSON."""


class Role(StrEnum):
    """What a member of a cell may do (contract 1.5)."""

    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    OBSERVER = "observer"
    COORDINATOR = "coordinator"


class CellStatus(StrEnum):
    """Where a cell is in its life (contract 1.4)."""

    ACTIVE = "active"
    FROZEN = "frozen"
    ARCHIVED = "archived"
    DESTROYED = "destroyed"


class Desired(StrEnum):
    """What people want of an agent; it is durable and it wins."""

    RUN = "run"
    STOP = "stop"
    FREEZE = "freeze"


class RevivePolicy(StrEnum):
    """Who decides that a dead agent may come back."""

    AUTO = "auto"
    ASK = "ask"
    NEVER = "never"


class Restart(StrEnum):
    """Which endings are deaths at all (OTP: permanent, transient, temporary)."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class Liveness(StrEnum):
    """What proves that an agent lives: its beats, or that its process exists."""

    HEARTBEAT = "heartbeat"
    PROCESS = "process"


class OnStall(StrEnum):
    """What to do about an agent that beats but gets nothing done."""

    TELL = "tell"
    REVIVE = "revive"


class OnRevive(StrEnum):
    """With what the life after a death begins."""

    RESUME = "resume"  # The cell and the agent's home as the last life left them.
    RESTORE = "restore"  # The cell as in its last good checkpoint, if nobody else of it lives.
    FRESH = "fresh"  # An empty home: the conversation begins anew, the work stays.


class Phase(StrEnum):
    """Where an agent is in its life. ARCHITECTURE.md draws the table."""

    BACKOFF = "backoff"  # No life; one is due at a known instant.
    STARTING = "starting"  # A life was ordered; it has not shown that it is ready.
    RUNNING = "running"  # Alive and answerable to its probes.
    HELD = "held"  # Waiting for quota, a login or a person; alive or not, nobody's fault.
    FENCING = "fencing"  # Condemned; waiting for proof that nothing of it is left.
    AWAITING = "awaiting"  # Dead; a person was asked.
    ESCALATED = "escalated"  # Dead; the pit does nothing more until a person does.
    STOPPED = "stopped"  # Ended because people wanted it so.
    EXITED = "exited"  # Ended well by itself; nothing to revive.


class Verdict(StrEnum):
    """What the evidence about an agent amounts to."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DEAD = "dead"


class HoldKind(StrEnum):
    """Why an agent waits without being at fault."""

    QUOTA_WAIT = "quota_wait"
    AUTH_HOLD = "auth_hold"
    NEEDS_INPUT = "needs_input"


class Rules(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """By which rules one agent lives, in the words of the configuration; times in seconds."""

    revive_policy: RevivePolicy = RevivePolicy.AUTO
    restart: Restart = Restart.ON_FAILURE
    liveness: Liveness = Liveness.HEARTBEAT
    on_stall: OnStall = OnStall.TELL
    on_revive: OnRevive = OnRevive.RESUME

    heartbeat_stale_threshold: Seconds = 60.0
    """Silence that is worth a warning."""
    resurrect_after: Seconds = 120.0
    """Silence of beats and of work that is death."""
    stall_after: Seconds = 0.0
    """Beats without progress for so long are a stall; 0 looks away."""
    compute_limit: Seconds = 3600.0
    """How long silence is forgiven to a process that keeps computing."""
    busy_limit: Seconds = 14400.0
    """The longest step that ``busy_until`` can announce."""

    start_timeout: Seconds = 120.0
    """From the start to the first sign of readiness."""
    min_uptime: Seconds = 5.0
    """A life at least this long is followed by the next at once, a shorter one by backoff."""
    stable_after: Seconds = 300.0
    """A life at least this long clears the attempts used."""
    max_revive_attempts: int = 3
    restart_window: Seconds = 3600.0
    """Attempts older than this no longer count."""
    backoff_initial: Seconds = 1.0
    backoff_factor: float = 2.0
    backoff_max: Seconds = 300.0
    backoff_jitter: float = 0.2
    """Each delay is stretched or shrunk by up to this share."""
    no_restart_exit_codes: tuple[int, ...] = (78,)

    stop_timeout: Seconds = 10.0
    """From a polite signal to the end of patience when people stop an agent."""
    kill_grace: Seconds = 2.0
    """The same for an agent that is condemned."""
    save_before_kill: Seconds = 30.0
    """How long a kill that nobody asked for waits for a checkpoint of the cell; 0 takes none."""
    budget_turns: int = 0
    """Turns, over all its lives, after which an agent is held and people are asked; 0: no bound."""
    budget_tokens: int = 0
    budget_minutes: float = 0.0
    """Minutes that it lives and is neither held nor frozen."""
    mission_turns: int = 0
    """The same for all members of the cell together: each of them is held, and asked about."""
    mission_tokens: int = 0
    mission_minutes: float = 0.0
    loop_repeats: int = 20
    """The same call of a tool, or up to four in turn, with the same results: so many rounds in a
    row hold it; 0 looks away."""
    wake_on_mail: bool = False
    """Mail gives an agent that has ended well a new life."""
    approval_timeout: Seconds = 300.0
    quota_retry: Seconds = 900.0
    """When to try again after an exit for quota that named no time."""


class FleetRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which rules the fleet as a whole lives; all times in seconds."""

    starts_in_flight: int = 8
    """Starts under way at once; the daemon sets it from the number of cores."""
    start_slot: Seconds = 2.0
    """A start that is not ready by then gives its place to the next."""
    storm_floor: int = 50
    """Revivals within ``storm_window`` that are always allowed."""
    storm_per_agent: float = 3.0
    """Or so many for each agent of the fleet, if that is more."""
    storm_window: Seconds = 60.0
    doubt_fleet: int = 5
    """From so many living agents on, more than half silent in one pass means: doubt your eyes."""
    doubt_grace: Seconds = 30.0
    """How long verdicts wait after the pit has doubted its own eyes."""
    questions_cell: int = 12
    """Questions of all members of one cell together that may wait for people at once."""
    questions_fleet: int = 120
    """And of all cells: what nobody can read through is answered without being read."""


class Exit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a process ended. Both ``None``: it is gone, but nobody saw how."""

    code: int | None = None
    signal: int | None = None
    note: str = ""
    """What else is known, such as ``reboot``."""

    @property
    def known(self) -> bool:
        """Whether anybody saw how it ended."""
        return self.code is not None or self.signal is not None

    def __str__(self) -> str:
        """Say it as people do: ``exit 1``, ``signal 9``, ``unknown (reboot)``."""
        if self.signal is not None:
            said = f"signal {self.signal}"
        elif self.code is not None:
            said = f"exit {self.code}"
        else:
            said = "unknown"
        return f"{said} ({self.note})" if self.note else said


class Life(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The identity of one life on this host: enough to find it again, and never to mistake it."""

    boot_id: str
    pid: int
    start_time: int
    """Field 22 of ``/proc/<pid>/stat``, in clock ticks since boot; unique with pid and boot id."""
    cgroup: str = ""
    """Directory of the life's cgroup v2 leaf; empty where there is none."""
    status_file: str = ""
    """Where the sandbox writes the exit code; empty where it cannot."""


class Hold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wait that is nobody's fault."""

    kind: HoldKind
    until: Instant = NEVER


class Look(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fresh look at one life, taken right before a verdict. ``None`` is: could not be seen."""

    beat_age: Seconds | None = None
    """Age of the newest beat that has arrived but was not yet folded in."""
    output_age: Seconds | None = None
    """Since the agent's log last grew."""
    files_age: Seconds | None = None
    """Since anything changed in the workspace, where the change can only be this agent's."""
    computing: bool | None = None
    """Whether the life used processor time since the last look."""
    stopped: bool | None = None
    """Whether every process of it stands still on a stop signal."""
