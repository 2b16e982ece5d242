"""What can be done to a line of the fleet: each is the command itself, run beside.

So there is one way to do a thing, and long work (a checkpoint) goes on when somebody leaves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

from lazarus_pit.cli import say
from lazarus_pit.cli.place import where
from lazarus_pit.cli.top.looks import Row
from lazarus_pit.config import Config
from lazarus_pit.core.model import CellStatus, Phase, Seconds
from lazarus_pit.web.verbs import OF_AGENTS, OF_APPROVALS, OF_CELLS, Outcome, run

PATIENCE: Seconds = 30.0
"""How long the end of a command is waited for; then it goes on without us."""
LATE = 75
"""A command's exit code for: not done yet."""


class Action(NamedTuple):
    """A key, the verb it stands for, and when it is refused or asked about first."""

    key: str
    verb: str
    refused: Callable[[Row], str]
    """Says why it makes no sense here; empty where it does."""
    asks: Callable[[Row], str]
    """What may be lost, to be agreed to first; empty where nothing can be."""

    @property
    def is_of_cell(self) -> bool:
        """Whether it acts on the whole cell of the line."""
        return self.verb in OF_CELLS

    @property
    def what(self) -> str:
        """What it does, in a sentence."""
        return (OF_CELLS | OF_AGENTS | OF_APPROVALS)[self.verb].what

    def whom(self, row: Row) -> str:
        """Return the name that the command is given: one that means nothing else."""
        if self.verb in OF_APPROVALS and row.request is not None:
            return row.request.id
        return row.cell.uuid if self.is_of_cell else f"{row.cell.uuid}/{row.key[1]}"

    def whom_in_words(self, row: Row) -> str:
        """Return the name for people."""
        return say.clean(row.cell.label if self.is_of_cell else row.label, 80)


def _of_an_agent(row: Row) -> str:
    if row.agent is None:
        return "there is no agent on this line"
    if row.is_far:
        return "it is outside every cell"
    if row.state == "human":
        return f"{row.agent.name} is a person"
    return (
        ""
        if row.state not in ("invited", "no command")
        else f"nobody said how {row.agent.name} starts"
    )


def _unless_running(row: Row) -> str:
    if row.lives and row.state not in ("stopping", "reviving"):
        return f"{row.key[1]} runs already"
    return _of_an_agent(row)


def _unless_asked(row: Row) -> str:
    return "" if row.request else "nobody is asked about it"


def _of_a_cell(row: Row) -> str:
    if row.is_far:
        return "it is outside every cell"
    return "" if row.cell.manifest else "its cell.json cannot be read"


def _of_a_cell_that_is(status: CellStatus, but: str) -> Callable[[Row], str]:
    def refused(row: Row) -> str:
        return _of_a_cell(row) or ("" if row.cell.status == status else but)

    return refused


def _nothing_is_lost(_row: Row) -> str:
    return ""


def _its_life(row: Row) -> str:
    """Say that a life with its unsaved work is at stake, if there is one."""
    health = row.agent.health if row.agent else None
    if health is None or (health.pid is None and health.phase != Phase.STARTING):
        return ""
    pid = f" (pid {health.pid})" if health.pid else ""
    return f"Generation {health.generation}{pid} is ended; what it has not saved is lost."


ACTIONS = (
    Action("a", "approve", _unless_asked, _nothing_is_lost),
    Action("d", "deny", _unless_asked, _nothing_is_lost),
    Action("r", "revive", _of_an_agent, _its_life),
    Action("s", "start", _unless_running, _nothing_is_lost),
    Action("x", "stop", _of_an_agent, _its_life),
    Action("f", "freeze", _of_a_cell_that_is(CellStatus.ACTIVE, "not active"), _nothing_is_lost),
    Action("t", "thaw", _of_a_cell_that_is(CellStatus.FROZEN, "not frozen"), _nothing_is_lost),
    Action("c", "checkpoint", _of_a_cell, _nothing_is_lost),
)
BY_VERB = {action.verb: action for action in ACTIONS}


def perform(action: Action, whom: str, config: Config) -> Outcome:
    """Run the command and return what became of it. Blocks for ``PATIENCE`` seconds at most."""
    command = [sys.executable, "-m", "lazarus_pit", action.verb, whom, *where(config)]
    return run(command, PATIENCE)


def told(action: Action, row: Row, outcome: Outcome) -> tuple[str, str]:
    """Return the tone and the words for what became of a command."""
    lines = [line.removeprefix("lazarus: ") for line in outcome.said.splitlines() if line.strip()]
    said = say.clean("; ".join(lines).replace(row.cell.uuid, row.cell.label), 300)
    begun = f"{action.verb} {action.whom_in_words(row)}"
    if outcome.code is None:
        return "move", f"… {begun}: {said}"
    if outcome.code == 0:
        return "good", f"✓ {begun}: {said or 'done'}"
    if outcome.code == LATE:
        return "warn", f"… {begun}: {said or 'not done yet'}"
    return "bad", f"✕ {begun}: {said or f'exit code {outcome.code}'}"
