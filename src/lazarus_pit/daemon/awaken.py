"""Before the first turn: take the lock, read the ledger, find what lives, choose the sandbox."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.ledger import Ledger, open_ledger
from lazarus_pit.config import Config
from lazarus_pit.core.agent import Agent, may_live
from lazarus_pit.core.events import Adopted, Fact
from lazarus_pit.core.fleet import restamp
from lazarus_pit.core.model import Exit, Key, Life
from lazarus_pit.daemon.adopt import adopt
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.names import is_cell_uuid
from lazarus_pit.linux import cgroup, procfs
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import choose, lives, status
from lazarus_pit.sandboxes.base import Sandbox
from lazarus_pit.sandboxes.living import find_living

log = logging.getLogger(__name__)

LEAP = 1000
"""Generations skipped after damage to the ledger: more than can have been lost with it."""


class Awakened(NamedTuple):
    """What a new daemon begins with."""

    pit: PitPaths
    ledger: Ledger
    owed: list[Event]
    agents: list[Agent]
    facts: list[tuple[Key, Fact]]
    adopted: dict[tuple[Key, int], Life]
    sandbox: Sandbox
    sandbox_name: str
    unconfined: bool
    tree: Tree | None
    tree_note: str


def awaken(config: Config, *, unsafe_no_sandbox: bool) -> Awakened:
    """Find out where we are. Blocks; runs before the loop.

    Raises:
        WorldError: the ledger cannot be opened, or no sandbox works and none was waived.
    """
    pit = PitPaths(config.root)
    tree, note = cgroup.find_tree(tree_name(config.root))
    if tree is None:
        log.warning("no cgroup for agents: %s; using pid namespaces and signals", note)
    chosen = choose.choose(tree, unsafe_no_sandbox=unsafe_no_sandbox)
    for reason in chosen.notes:
        log.warning("sandbox: %s", reason)
    opened = open_ledger(config.root, procfs.boot_id())
    now = time.monotonic()
    try:
        provision.tidy(config.root)
    except StoreError as error:
        log.warning("%s", error)
    recorded = _records(opened.ledger, now)
    living = _living(config, pit, tree)
    for report in opened.reports:
        log.warning("%s", report)
    if opened.reports or not recorded:  # Damaged, or gone altogether.
        recorded = _leapt(pit, recorded, living, now)
    ended = _ended(pit, recorded, living)
    adoption = adopt(recorded, living, ended, now)
    for stray in adoption.strays:
        log.warning("destroying the remains of an older life: %s", stray.cgroup or stray.pid)
        lives.destroy(stray)
    kept = {
        (key, fact.generation): fact.life
        for key, fact in adoption.facts
        if isinstance(fact, Adopted)
    }
    return Awakened(
        pit=pit,
        ledger=opened.ledger,
        owed=opened.owed,
        agents=adoption.agents,
        facts=adoption.facts,
        adopted=kept,
        sandbox=chosen.sandbox,
        sandbox_name=chosen.sandbox.name,
        unconfined=chosen.unconfined,
        tree=tree,
        tree_note=tree.path if tree else f"none: {note}",
    )


def tree_name(root: Path) -> str:
    """One tree of cgroups a root; two roots must not see each other's agents."""
    return str(root.resolve()).strip("/").replace("/", "-") or "root"


def _records(ledger: Ledger, now: float) -> list[Agent]:
    """Return what was persisted, fit for this boot; an unreadable record is told, not fatal."""
    agents: list[Agent] = []
    boot = procfs.boot_id()
    for key, entry in ledger.entries.items():
        try:
            agent = msgspec.json.decode(entry.record, type=Agent)
        except msgspec.DecodeError as error:
            log.warning("the record of %s cannot be read and is begun anew: %s", key, error)
            continue
        agents.append(restamp(agent, now, same_boot=entry.boot == boot))
    return agents


def _leapt(
    pit: PitPaths, recorded: list[Agent], living: dict[tuple[Key, int], Life], now: float
) -> list[Agent]:
    """After damage to the ledger: no generation may be used twice, so those of the dead leap ahead.

    An agent whose record is lost is known again from its cell's ``state.json``.
    """
    known = {agent.key: agent for agent in recorded}
    for uuid in filter(is_cell_uuid, os.listdir(pit.root)):
        try:
            state = store.read_state(pit.cell(uuid))
        except (FormatError, StoreError) as error:
            log.warning("%s", error)
            continue
        for name, health in (state.agent_health if state else {}).items():
            key = f"{uuid}/{name}"
            before = known.get(key) or Agent(key=key, since=now, due=now)
            known[key] = replace(before, generation=max(before.generation, health.generation))
    alive = {key for key, _ in living}
    return [
        agent if agent.key in alive else replace(agent, generation=agent.generation + LEAP)
        for agent in known.values()
    ]


def _living(config: Config, pit: PitPaths, tree: Tree | None) -> dict[tuple[Key, int], Life]:
    """Find every life of this root; what has lost its main process is destroyed on the way."""
    uids = frozenset(config.owner.uids)
    found = find_living(tree, lambda u, a, g: str(pit.cell(u).status(a, g)), uids)
    alive: dict[tuple[Key, int], Life] = {}
    for (uuid, agent, generation), life in found.items():
        if not (pit.root / uuid).is_dir():
            continue  # Another root's, where there is no tree to tell them apart.
        if life.pid == 0:
            lives.destroy(life)
        else:
            alive[f"{uuid}/{agent}", generation] = life
    return alive


def _ended(
    pit: PitPaths, recorded: list[Agent], living: dict[tuple[Key, int], Life]
) -> dict[tuple[Key, int], Exit]:
    """Return how the lives ended that left a trace of having begun and are not there any more.

    A trace may be newer than the record: on a full disk lives begin that nobody could write down.
    """
    ended: dict[tuple[Key, int], Exit] = {}
    for agent in recorded:
        here = (agent.key, agent.generation)
        if here not in living and may_live(agent) and agent.life is not None:
            ended[here] = lives.exit_of(agent.life) or Exit(note="unseen")
        least = agent.generation + (agent.life is not None or not may_live(agent))
        for generation, trace in _traces(pit, agent.key, least):
            if (agent.key, generation) not in living:
                code = status.read(trace).exit_code
                seen = Exit(note="unseen") if code is None else lives.exit_from_shell_code(code)
                ended[agent.key, generation] = seen
    return ended


def _traces(pit: PitPaths, key: Key, least: int) -> Iterator[tuple[int, str]]:
    """Yield the status files of an agent's lives from a generation on."""
    uuid, _, name = key.partition("/")
    folder = pit.cell(uuid).statuses(name)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for found in names:
        number = found.removesuffix(".json")
        if number.isdecimal() and int(number) >= least:
            yield int(number), str(folder / found)
