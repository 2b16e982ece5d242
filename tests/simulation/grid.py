"""Every pair of phase and fact of one agent, as a page that a reviewer sees change."""

from __future__ import annotations

from msgspec.structs import replace

from lazarus_pit.core import health
from lazarus_pit.core.agent import PREPARE_AGAIN, Agent, wake
from lazarus_pit.core.budget import Curb, Tab, Total
from lazarus_pit.core.events import (
    Admitted,
    Adopted,
    Beat,
    CellSaved,
    CellSpent,
    Decided,
    Doubted,
    Enlisted,
    Exited,
    Fact,
    Frozen,
    Looked,
    Mailed,
    Prepared,
    Progressed,
    Spawned,
    SpawnFailed,
    Spent,
    Thawed,
    Tick,
    ToolUsed,
)
from lazarus_pit.core.lifecycle import STEPS, step
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    Hold,
    HoldKind,
    Life,
    Look,
    OnRevive,
    Phase,
    RevivePolicy,
    Rules,
    Verdict,
)

NOW = 1000.0
LIFE = Life(boot_id="boot", pid=7, start_time=1)
RULES = Rules(stall_after=300.0, budget_turns=9, mission_turns=90, wake_on_mail=True)
TAB = Tab(life_turns=9)
CURB = Curb(number=2, tab=TAB)
HOLD = Hold(kind=HoldKind.QUOTA_WAIT, until=NOW + 60)
BASE = Agent(
    key="cell/agent",
    rules=RULES,
    generation=3,
    since=NOW - 10,
    started=NOW - 10,
    vitals=health.fresh(NOW - 10),
    due=NOW + 5,
    free=False,
    request=0,
)


def _in(phase: Phase, **changes: object) -> Agent:
    return replace(BASE, phase=phase, reason="grid", **changes)


AGENTS: dict[str, Agent] = {
    "starting, no process": _in(Phase.STARTING),
    "starting, restoring": _in(Phase.STARTING, begin=OnRevive.RESTORE),
    "starting, restoring, time up": _in(
        Phase.STARTING, begin=OnRevive.RESTORE, since=NOW - PREPARE_AGAIN
    ),
    "starting": _in(Phase.STARTING, life=LIFE),
    "starting, time up": _in(
        Phase.STARTING, life=LIFE, since=NOW - 500, started=NOW - 500, look=Look(), looked=NOW
    ),
    "running": _in(Phase.RUNNING, life=LIFE, verdict=Verdict.HEALTHY),
    "running, silent": _in(Phase.RUNNING, life=LIFE, vitals=health.fresh(NOW - 500)),
    "running, silent, looked": _in(
        Phase.RUNNING,
        life=LIFE,
        vitals=health.fresh(NOW - 500),
        warned=health.Finding.STALE,
        look=Look(computing=False),
        looked=NOW,
    ),
    "running, looking": _in(
        Phase.RUNNING, life=LIFE, vitals=health.fresh(NOW - 500), look_sent=NOW - 1
    ),
    "running, frozen": _in(
        Phase.RUNNING, life=LIFE, frozen_at=NOW - 5, vitals=health.fresh(NOW - 500)
    ),
    "held": _in(Phase.HELD, life=LIFE, hold=HOLD),
    "curbed": _in(Phase.HELD, life=LIFE, frozen_at=NOW - 5, curb=CURB, curbs=2, tab=TAB),
    "curbed, gone": _in(Phase.HELD, curb=CURB, curbs=2),
    "curbed, time up": _in(
        Phase.HELD, life=LIFE, frozen_at=NOW - 5, curb=CURB, curbs=2, tab=TAB, due=NOW
    ),
    "held, gone": _in(Phase.HELD, hold=HOLD),
    "held, time up": _in(Phase.HELD, life=LIFE, hold=replace(HOLD, until=NOW)),
    "fencing (hung)": _in(Phase.FENCING, life=LIFE),
    "fencing (hung), saving": _in(Phase.FENCING, life=LIFE, saving=True),
    "fencing (hung), saving, time up": _in(
        Phase.FENCING, life=LIFE, saving=True, since=NOW - RULES.save_before_kill
    ),
    "fencing (stop)": replace(_in(Phase.FENCING, life=LIFE), reason="stop"),
    "backoff": _in(Phase.BACKOFF),
    "backoff, due": _in(Phase.BACKOFF, due=NOW),
    "backoff, queued": _in(Phase.BACKOFF, due=NOW, queued=True),
    "backoff, queued, restores": _in(
        Phase.BACKOFF,
        due=NOW,
        queued=True,
        revived=True,
        rules=replace(RULES, on_revive=OnRevive.RESTORE),
    ),
    "awaiting": _in(Phase.AWAITING),
    "awaiting, expired": _in(Phase.AWAITING, due=NOW),
    "escalated": _in(Phase.ESCALATED),
    "stopped": _in(Phase.STOPPED, desired=Desired.STOP),
    "exited": _in(Phase.EXITED),
}

FACTS: dict[str, Fact] = {
    "enlisted run": Enlisted(rules=RULES, desired=Desired.RUN),
    "enlisted stop": Enlisted(rules=RULES, desired=Desired.STOP),
    "enlisted freeze": Enlisted(rules=RULES, desired=Desired.FREEZE),
    "enlisted revive": Enlisted(rules=RULES, desired=Desired.RUN, request=1),
    "admitted": Admitted(),
    "admitted among others": Admitted(alone=False),
    "prepared": Prepared(generation=3, done="restored"),
    "prepared, in vain": Prepared(generation=3, why="there is no checkpoint"),
    "cell saved": CellSaved(generation=3, checkpoint="20260406T000000.000000Z"),
    "cell not saved": CellSaved(generation=3, why="the disk is full"),
    "doubted": Doubted(),
    "spawned": Spawned(generation=3, life=LIFE),
    "spawn failed": SpawnFailed(generation=3, why="no memory"),
    "spawn failed, fatal": SpawnFailed(generation=3, why="no such program", fatal=True),
    "adopted": Adopted(generation=3, life=LIFE),
    "beat": Beat(generation=3, cycle=1),
    "beat, unsigned": Beat(cycle=1),
    "beat, held": Beat(generation=3, hold=HOLD),
    "spent": Spent(generation=3, turns=8),
    "cell spent": CellSpent(total=Total(turns=89)),
    "cell spent, over": CellSpent(total=Total(turns=90)),
    "spent, over": Spent(generation=3, turns=9, tokens=100),
    "tool used": ToolUsed(generation=3, repeats=19),
    "tool used, a loop": ToolUsed(generation=3, repeats=20),
    "mailed": Mailed(),
    "progressed": Progressed(generation=3, source="output"),
    "looked, alive": Looked(generation=3, look=Look(output_age=1.0, computing=True)),
    "looked, silent": Looked(generation=3, look=Look(output_age=600.0, computing=False)),
    "looked, saw nothing": Looked(generation=3, look=Look()),
    "exited 0": Exited(generation=3, exit=Exit(code=0)),
    "exited 1": Exited(generation=3, exit=Exit(code=1)),
    "exited 78": Exited(generation=3, exit=Exit(code=78)),
    "exited, unseen": Exited(generation=3, exit=Exit(note="unseen")),
    "frozen": Frozen(generation=3),
    "thawed": Thawed(generation=3),
    "decided yes": Decided(generation=3, approved=True, by="ann"),
    "decided no": Decided(generation=3, approved=False, by="ann"),
    "decided yes, curb": Decided(generation=3, approved=True, by="ann", hold=2),
    "decided no, curb": Decided(generation=3, approved=False, by="ann", hold=2),
    "decided yes, older curb": Decided(generation=3, approved=True, by="ann", hold=1),
    "decided yes, older": Decided(generation=2, approved=True, by="ann"),
    "exited 1, older": Exited(generation=2, exit=Exit(code=1)),
    "beat, older": Beat(generation=2, cycle=1),
    "tick": Tick(),
}

ENDINGS: dict[str, Rules] = {
    "auto": RULES,
    "ask": replace(RULES, revive_policy=RevivePolicy.ASK),
    "never": replace(RULES, revive_policy=RevivePolicy.NEVER),
    "auto, no attempt left": replace(RULES, max_revive_attempts=0),
}


def undecided() -> list[str]:
    """Return facts and phases that the grid forgets."""
    facts = {type(fact) for fact in FACTS.values()}
    phases = {agent.phase for agent in AGENTS.values()}
    forgotten = [fact.__name__ for fact in STEPS if fact not in facts]
    return forgotten + [phase.value for phase in Phase if phase not in phases]


def _line(agent: Agent, fact: Fact) -> str:
    after, told, orders = step(agent, fact, NOW)
    if after == agent and not told and not orders:
        return "-"
    where = "same" if after.phase is agent.phase else after.phase.value
    if after.reason != agent.reason:
        where += f" ({after.reason})"
    woken = wake(after)
    when = "" if woken >= NEVER else f"  wake {woken - NOW:+g}"
    said = f"  tells {' '.join(line.event for line in told)}" if told else ""
    names = [type(order).__name__ + "!" * getattr(order, "force", False) for order in orders]
    does = f"  orders {' '.join(names)}" if names else ""
    return f"{where}{does}{said}{when}"


def render() -> str:
    """Write the whole grid."""
    lines = [
        "# phase and fact, generation 3; '-' changes nothing. Rewritten with LAZARUS_REWRITE=1."
    ]
    for state, agent in AGENTS.items():
        lines.append(f"\n{state}:")
        lines += [f"  {name:22} {_line(agent, fact)}" for name, fact in FACTS.items()]
    lines.append("\nby policy, running, then exited 1:")
    for name, rules in ENDINGS.items():
        running = replace(AGENTS["running"], rules=rules)
        lines.append(f"  {name:22} {_line(running, FACTS['exited 1'])}")
    return "\n".join(lines) + "\n"
