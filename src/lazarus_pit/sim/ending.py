"""Liveness, after the calm: everybody is where people and policy want them, nobody is stuck."""

from __future__ import annotations

from lazarus_pit.core import budget
from lazarus_pit.core.agent import Agent, uptime
from lazarus_pit.core.model import Desired, Key, Phase
from lazarus_pit.sim.checks import Checks
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.program import MUTE, Mode, Program


def settle(world: Machine, checks: Checks, key: Key) -> None:
    """Look where one agent has come to rest."""
    daemon, want = world.daemon, world.manifest.get(key)
    living = [program for program in world.living() if program.key == key]
    if daemon is None:
        world.fail("no daemon after the calm")
        return
    agent = daemon.loop.fleet.agents.get(key)
    if want is None:
        if living or agent is not None:
            world.fail(f"{key}: removed, yet something of it is left")
        return
    if agent is None:
        world.fail(f"{key}: nobody looks after it")
        return
    stuck = _stuck(agent, want.desired, living, world.clock)
    if stuck:
        world.fail(f"{key}: {agent.phase} ({agent.reason}) since {agent.since:.1f}: {stuck}")
    if agent.request < want.request:
        world.fail(f"{key}: a revive by hand was lost")
    _journal(world, checks, agent)


def _stuck(agent: Agent, desired: Desired, living: list[Program], now: float) -> str:
    """Return what is wrong with where it rests; empty if nothing is."""
    program = living[0] if living else None
    if bool(living) != (agent.life is not None):
        return f"{len(living)} of it live, the pit believes otherwise"
    if desired is Desired.STOP:
        at_rest = agent.phase in (Phase.STOPPED, Phase.EXITED) and not living
        return "" if at_rest else "it should be stopped"
    if desired is Desired.FREEZE:
        moving = program is not None and not program.frozen
        return "it should stand still" if moving else ""
    if agent.curb is not None:
        still = program is None or program.frozen
        return "" if still else "it has run away and should stand still"
    if agent.frozen_at or (program is not None and program.frozen):
        return "it should move again"
    return _unsettled(agent, program, now)


def _unsettled(agent: Agent, program: Program | None, now: float) -> str:
    """The same for one that people want to run."""
    late = 2 * agent.rules.start_timeout
    wrong = {
        Phase.STOPPED: "it should run",
        Phase.STARTING: "it never became ready" if now - agent.since > late else "",
        Phase.HELD: "its wait is over" if agent.hold and agent.hold.until < now - 5.0 else "",
        Phase.RUNNING: _unnoticed(agent, program, now) if program else "nothing of it lives",
        Phase.ESCALATED: "",
        Phase.EXITED: "",
    }
    return wrong.get(agent.phase, "it should have come to rest")


def _unnoticed(agent: Agent, program: Program, now: float) -> str:
    if budget.over(agent.tab, agent.rules, uptime(agent, now - 5.0)):
        return "nobody noticed that it has run away"
    if program.beats and program.mode in MUTE and program.mode is not Mode.STUCK:
        return f"nobody noticed that it is {program.mode.name.lower()}"
    return ""


def _journal(world: Machine, checks: Checks, agent: Agent) -> None:
    """Each end is told exactly once, and so is giving up."""
    key, told = agent.key, world.disk.journal
    if key in world.murky:
        return
    account = checks.account(key)
    for (name, generation), program in world.programs.items():
        if name != key or not program.gone or generation in account.lost:
            continue
        if account.endings[generation] != 1:
            world.fail(
                f"{key}: the end of generation {generation} is told "
                f"{account.endings[generation]} times"
            )
    if agent.phase is Phase.ESCALATED and agent.generation not in account.lost:
        times = account.escalations[agent.generation]
        written = any(line.event == "agent_escalated" and line.key == key for line in told)
        if times != 1 or not written:
            world.fail(f"{key}: giving up is told {times} times")
