"""The store behind the loop: the ledger is the truth, journals and state files are its views.

A turn costs one write and one sync, however many agents it concerns. Journals are appended after
it; ``state.json`` files follow within a second, off the path of any decision: at once where a life
began or ended, since whoever waited for that looks next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lazarus_pit.cells import journal, store
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.ledger import Ledger
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Told
from lazarus_pit.core.fleet import Turn
from lazarus_pit.core.model import Key
from lazarus_pit.daemon import beliefs
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.state import State

log = logging.getLogger(__name__)

STATE_SECONDS = 1.0
"""How long ``state.json`` may be behind."""
PROMPT_CELLS, PROMPT_ROUNDS = 16, 5.0
"""Cells of one turn that are shown at once; how often in a second, and in a row."""
PENDING_LIMIT = 1000
"""Journal lines a cell that are kept in memory while its disk refuses them; the ledger has all."""
LOUD = frozenset(
    {
        "agent_died",
        "agent_hung",
        "agent_stalled",
        "agent_escalated",
        "agent_start_failed",
        "agent_fence_stuck",
        "heartbeat_stale",
        "heartbeat_unreadable",
        "isolation_widened",
        "network_denied",
        "network_lost",
        "network_proxy_lost",
        "manifest_unreadable",
        "rules_unknown",
        "root_unreadable",
        "observer_doubted",
        "revival_storm",
        "store_failed",
        "approval_requested",
        "approval_expired",
        "limit_reached",
    }
)
"""Events that are warnings in the daemon's log."""
LIVES = frozenset(
    {
        "agent_started",
        "agent_ready",
        "agent_revived",
        "agent_start_failed",
        "agent_stopped",
        "agent_exited",
        "agent_died",
        "agent_escalated",
        "agent_frozen",
        "agent_thawed",
    }
)
"""Events that people wait for: what they look at next should have it."""


class Recorder:
    """Makes turns durable and keeps what people read up to date."""

    def __init__(self, pit: PitPaths, ledger: Ledger, sandbox: str) -> None:
        """Write to an open ledger; ``sandbox`` names what is in force, for people."""
        self.pit = pit
        self.dirty: set[str] = set()
        """Cells whose ``state.json`` is behind."""
        self._ledger = ledger
        self._sandbox = sandbox
        self._seq: dict[str, int] = {}
        self._pending: dict[str, list[Event]] = {}
        self._prompt: set[str] = set()
        """Cells that are to be shown at once."""
        self._hurry = asyncio.Event()
        self._rounds, self._counted, self._shown = PROMPT_ROUNDS, 0.0, 0.0
        self._late: set[str] = set()
        """Views that their disk refuses, as people were told."""

    def commit(self, turn: Turn) -> None:
        """Make a turn durable, then bring the views up to date.

        Raises:
            StoreError: the ledger refused; it keeps the turn and writes it with a later one.
        """
        events = [self._event(told) for told in turn.told]
        self.dirty.update(key.partition("/")[0] for key in turn.changed)
        self._hasten({one.key.partition("/")[0] for one in turn.told if one.event in LIVES})
        try:
            self._ledger.commit(turn.changed, events)
        finally:
            self._publish(events)

    def catch_up(self, owed: Iterable[Event]) -> None:
        """Append what a killed daemon had written to the ledger but not yet to the journals."""
        events = list(owed)
        for event in events:
            uuid = event.cell or ""
            self._seq[uuid] = max(self._last_seq(uuid), event.seq or 0)
        self._publish(events)

    def _hasten(self, cells: set[str]) -> None:
        """Have these cells shown at once, unless that were too many or too often."""
        now = time.monotonic()
        self._rounds += (now - self._counted) * PROMPT_ROUNDS
        self._rounds = min(PROMPT_ROUNDS, self._rounds)
        self._counted = now
        if 0 < len(cells) <= PROMPT_CELLS and self._rounds >= 1.0:
            self._rounds -= 1.0
            self._prompt |= cells
            self._hurry.set()

    async def due(self) -> set[str]:
        """Wait until cells are to be shown again, and return them: all that are behind, or some."""
        while (left := self._shown + STATE_SECONDS - time.monotonic()) > 0:
            prompt, self._prompt = self._prompt & self.dirty, set()
            if prompt:
                return prompt
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), left)
        self._shown = time.monotonic()
        return set(self.dirty)

    def behind(
        self,
        uuids: set[str],
        agents: dict[Key, Agent],
        cells: dict[str, list[str]],
        limits: Callable[[Agent], dict[str, str]],
    ) -> Iterator[State]:
        """Yield what the ``state.json`` of each of these cells should say.

        Args:
            uuids: those that are behind; each is no longer once it was yielded.
            agents: the fleet; read as it is when the next state is asked for.
            cells: the agents' names, by cell.
            limits: which limits are in force for an agent, in words.
        """
        for uuid in uuids & self.dirty:
            names = cells.get(uuid)
            self.dirty.discard(uuid)
            if names is None:
                continue
            known = {name: agents[f"{uuid}/{name}"] for name in names if f"{uuid}/{name}" in agents}
            yield beliefs.state_of(uuid, known, self._sandbox, limits)

    def write_state(self, state: State) -> bool:
        """Write one; ``False`` if the disk refused, and it is to be tried again."""
        try:
            store.write_state(self.pit.cell(state.cell_uuid), state, durable=False)
        except StoreError as error:
            self._refused(f"state.json of {state.cell_uuid}", error)
            return False
        self._written(f"state.json of {state.cell_uuid}")
        return True

    def _event(self, told: Told) -> Event:
        uuid, _, name = told.key.partition("/")
        seq = self._last_seq(uuid) + 1
        self._seq[uuid] = seq
        level = logging.WARNING if told.event in LOUD else logging.INFO
        if log.isEnabledFor(level):
            said = " ".join(f"{field}={value}" for field, value in told.data.items())
            log.log(level, "%s %s %s", told.event, told.key, said)
        return Event(
            ts=to_rfc3339(time.time(), 3),
            event=told.event,
            seq=seq,
            cell=uuid or None,
            agent=name or None,
            data=told.data,
        )

    def _last_seq(self, uuid: str) -> int:
        if uuid not in self._seq:
            try:
                self._seq[uuid] = journal.last_seq(self._journal(uuid))
            except (StoreError, FormatError):
                self._seq[uuid] = 0
        return self._seq[uuid]

    def _journal(self, uuid: str) -> Path:
        return self.pit.cell(uuid).events if uuid else self.pit.events

    def _publish(self, events: Iterable[Event]) -> None:
        """Append to the journals what they lack; what a disk refuses is kept for the next time."""
        for event in events:
            self._pending.setdefault(event.cell or "", []).append(event)
        for uuid, lines in list(self._pending.items()):
            try:
                journal.drain_events(self._journal(uuid), lines)
            except (StoreError, FormatError) as error:
                if uuid and not self.pit.cell(uuid).cell.is_dir():
                    self.forget(uuid)
                    continue
                self._refused(f"the journal of {uuid or 'the pit'}", error)
                del lines[:-PENDING_LIMIT]
            else:
                self._written(f"the journal of {uuid or 'the pit'}")
                del self._pending[uuid]

    def forget(self, uuid: str) -> None:
        """A cell is gone: what its journal still lacks is owed to nobody."""
        self._pending.pop(uuid, None)
        self._seq.pop(uuid, None)
        self._late -= {f"the journal of {uuid}", f"state.json of {uuid}"}

    def _refused(self, view: str, error: Exception) -> None:
        """Say once that what people read of a view is old; the ledger still has all of it."""
        if view not in self._late:
            self._late.add(view)
            log.warning("%s is behind until its disk takes it: %s", view, error)

    def _written(self, view: str) -> None:
        if view in self._late:
            self._late.discard(view)
            log.info("%s has caught up", view)
