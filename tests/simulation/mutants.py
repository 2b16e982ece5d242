"""The core broken on purpose: each of these faults the simulator must find, or it proves nothing.

A mutant is one small edit of one source file, applied to a copy of the package. Run by itself this
tries them all (``make sim``); ``test_mutants.py`` tries a handful in every test run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "lazarus_pit"
PARTS = (
    "__init__.py",
    "errors.py",
    "core",
    "formats",
    "records",
    "channels/__init__.py",
    "channels/base.py",
    "channels/gathering.py",
    "channels/hearing.py",
    "sim",
    "daemon/__init__.py",
    "daemon/loop.py",
    "daemon/adopt.py",
    "daemon/requests.py",
)
SEEDS = 150
"""Within so many seeds each mutant must be found."""

HUNT = """
import json, sys
from lazarus_pit.sim.run import simulate
for seed in range(int(sys.argv[1])):
    verdict = simulate(seed)
    if not verdict.ok:
        print(json.dumps([seed, verdict.failure]))
        break
"""


class Mutant(NamedTuple):
    """One fault: in this file, this text becomes that."""

    name: str
    file: str
    old: str
    new: str


class Hunt(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    seed: int | None
    failure: str


MUTANTS = [
    Mutant(
        "no generation check",
        "core/lifecycle.py",
        "if generation is not None and generation != agent.generation:",
        "if False:",
    ),
    Mutant(
        "spawn without proof of death",
        "core/moves.py",
        "    return arrive(enter(agent, Phase.FENCING, reason, now, **changes), *told)",
        "    from lazarus_pit.core.events import Kill\n"
        "    gone = schedule(replace(agent, life=None), reason, now, now)\n"
        "    return Step(gone, told, (Kill(key=agent.key, generation=agent.generation, "
        "force=True),))",
    ),
    Mutant(
        "patience ends: believed dead",
        "core/ticks.py",
        "    stuck = replace(agent, since=now, forced=True)\n",
        "    if agent.forced:\n"
        "        return arrive(schedule(replace(agent, life=None), agent.reason, now, now))\n"
        "    stuck = replace(agent, since=now, forced=True)\n",
    ),
    Mutant(
        "attempt not recorded",
        "core/lifecycle.py",
        "attempts = agent.attempts if agent.free else (*agent.attempts, now)",
        "attempts = agent.attempts",
    ),
    Mutant(
        "a start is recorded after it",
        "core/fleet.py",
        "            if is_durable(agent, after):\n",
        "            if is_durable(agent, after) and (after.life or agent.life):\n",
    ),
    Mutant(
        "cap off by one",
        "core/restart.py",
        ">= rules.max_revive_attempts",
        "> rules.max_revive_attempts",
    ),
    Mutant(
        "cap reached too soon",
        "core/restart.py",
        ">= rules.max_revive_attempts",
        ">= rules.max_revive_attempts - 1",
    ),
    Mutant(
        "window forgotten",
        "core/restart.py",
        "if now - at < rules.restart_window",
        "if now - at < 10 * rules.restart_window",
    ),
    Mutant(
        "window too short",
        "core/restart.py",
        "if now - at < rules.restart_window",
        "if now - at < 0.5 * rules.restart_window",
    ),
    Mutant(
        "hold burns an attempt",
        "core/ticks.py",
        "return arrive(schedule(agent, agent.reason, now, now, free=True))",
        "return arrive(schedule(agent, agent.reason, now, now))",
    ),
    Mutant(
        "an end while held is a death",
        "core/death.py",
        "if agent.phase is Phase.HELD and agent.hold is not None:",
        "if False:",
    ),
    Mutant(
        "a failed look is silence",
        "core/lifecycle.py",
        "if health.saw_nothing(fact.look):",
        "if False:",
    ),
    Mutant(
        "half a look is enough",
        "core/health.py",
        "return look.computing is not None or look.stopped is True",
        "return True",
    ),
    Mutant(
        "silent beats alone condemn",
        "core/health.py",
        "    since = max(vitals.beat, vitals.progress, vitals.busy_until)\n",
        "    since = max(vitals.beat, vitals.busy_until)\n",
    ),
    Mutant(
        "computing is not forgiven",
        "core/health.py",
        "return max(since + rules.resurrect_after, computing)",
        "return since + rules.resurrect_after",
    ),
    Mutant(
        "computing is forgiven for ever",
        "core/health.py",
        "computing = min(vitals.computed + rules.resurrect_after, since + rules.compute_limit)",
        "computing = vitals.computed + rules.resurrect_after",
    ),
    Mutant(
        "announcements are not heard",
        "core/health.py",
        "busy_until=now + busy_for if busy_for > 0.0 else 0.0",
        "busy_until=0.0",
    ),
    Mutant(
        "no fresh look before a verdict",
        "core/ticks.py",
        "    if condemned and looked:\n",
        "    if condemned:\n",
    ),
    Mutant(
        "a stall needs no beats",
        "core/health.py",
        "return stalled if rules.liveness is Liveness.PROCESS or vitals.beat >= stalled else NEVER",
        "return stalled",
    ),
    Mutant(
        "a freeze suspends no deadline",
        "core/agent.py",
        "if agent.frozen_at and agent.phase is not Phase.FENCING:",
        "if False:",
    ),
    Mutant(
        "a thaw is not owed",
        "core/agent.py",
        "return [Thaw(**at)] if agent.thawing else []",
        "return []",
    ),
    Mutant(
        "a request during fencing is lost",
        "core/lifecycle.py",
        '        return Step(replace(agent, reason="operator"), (line,))',
        "        return Step(agent, (line,))",
    ),
    Mutant(
        "doubt gate off",
        "core/fleet.py",
        "return self._blind or now < self._doubt_until",
        "return False",
    ),
    Mutant(
        "blindness forgotten",
        "core/fleet.py",
        "                self._blind = True\n",
        "                self._blind = False\n",
    ),
    Mutant(
        "admission gate off",
        "core/fleet.py",
        "while self._queue and len(slots) < self.rules.starts_in_flight:",
        "while self._queue:",
    ),
    Mutant(
        "storm budget off",
        "core/fleet.py",
        "if agent.revived and not self._within_budget(now):",
        "if False:",
    ),
    Mutant(
        "exit code 78 is retried",
        "core/restart.py",
        "return ending.code not in rules.no_restart_exit_codes",
        "return True",
    ),
    Mutant(
        "ask falls back to auto",
        "core/death.py",
        "if rules.revive_policy is RevivePolicy.ASK:",
        "if False:",
    ),
    Mutant(
        "never falls back to auto",
        "core/death.py",
        "if rules.revive_policy is RevivePolicy.NEVER:",
        "if False:",
    ),
    Mutant(
        "an expired approval spawns",
        "core/lifecycle.py",
        "    if agent.phase is not Phase.AWAITING or fact.hold:\n",
        "    if agent.phase not in (Phase.AWAITING, Phase.ESCALATED):\n",
    ),
    Mutant(
        "silence is consent",
        "core/ticks.py",
        "def _tick_awaiting(agent: Agent, now: Instant) -> Step:\n",
        "def _tick_awaiting(agent: Agent, now: Instant) -> Step:\n"
        "    return arrive(schedule(agent, 'approved', now, now))\n",
    ),
    Mutant(
        "nobody's word is a yes",
        "daemon/requests.py",
        'if request.outcome not in ("approved", "denied"):\n',
        'if request.outcome == "open":\n',
    ),
    Mutant(
        "a no is a yes",
        "daemon/requests.py",
        'approved = request.outcome == "approved"',
        'approved = request.outcome != "open"',
    ),
    Mutant(
        "the last answer stands",
        "records/approvals.py",
        "        \" WHERE id = ? AND outcome = 'open'\",\n",
        "        \" WHERE id = ? AND outcome <> 'superseded'\",\n",
    ),
    Mutant(
        "a late answer is taken",
        "records/approvals.py",
        'transaction."""\n    expire(db, now)\n',
        'transaction."""\n',
    ),
    Mutant(
        "people are asked again after a crash",
        "records/approvals.py",
        "        if known := select(db, which, (subject, generation)):\n"
        "            return known[0]\n",
        "        retire(db, subject, now, deaths_alone=True)\n",
    ),
    Mutant(
        "an answer without a bell is not heard",
        "daemon/requests.py",
        "return bool(self._open or self._left or self._asked)",
        "return False",
    ),
    Mutant(
        "a request that nobody waits for stays open",
        "daemon/requests.py",
        "            if (one.subject, one.generation) not in waiting:\n",
        "            if False:\n",
    ),
    Mutant(
        "what was answered while no daemon ran is not heard",
        "daemon/requests.py",
        "        return bool(self._asked)\n",
        "        return False\n",
    ),
    Mutant(
        "an answer is heard once",
        "daemon/requests.py",
        "        self._asked = {agent.key for agent in waiting}\n",
        "        self._asked = set()\n",
    ),
    Mutant(
        "owed forgets Ask",
        "core/agent.py",
        "            orders.append(Ask(**at, expires=agent.due))\n",
        "            pass\n",
    ),
    Mutant(
        "a request that was bound to a digest is told in another",
        "channels/gathering.py",
        '        sort = (digest, "") if digest else ("", _sort(one))\n',
        '        digest, sort = "", ("", _sort(one))\n',
    ),
    Mutant(
        "what is alone of its sort is told by nobody",
        "channels/gathering.py",
        "        else:\n            found += heap.requests\n",
        "        elif not shared:\n            found += heap.requests\n",
    ),
    Mutant(
        "an answer to a digest decides the first of it",
        "channels/hearing.py",
        "    for one in still:\n",
        "    for one in still[:1]:\n",
    ),
    Mutant(
        "an answer to a digest decides whatever is open",
        "records/digests.py",
        "WHERE id = ? AND channel = ? ORDER BY rowid",
        "WHERE (id = ? OR 1) AND channel = ? ORDER BY rowid",
    ),
    Mutant(
        "a digest is approved whatever is said",
        "channels/hearing.py",
        "    approved, told = heard.word.approved, digests",
        "    approved, told = True, digests",
    ),
    Mutant(
        "a request leaves its digest for a later one",
        "records/digests.py",
        " VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        " VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = 'another'",
    ),
    Mutant(
        "a stranger is heard",
        "channels/hearing.py",
        "    if heard.forbidden:\n",
        "    if False:\n",
    ),
    Mutant(
        "a reply is taken for the newest question",
        "formats/reply.py",
        "    here = [one for one in shown if one.receipt == about] if about else []\n",
        "    here = shown[-1:]\n",
    ),
    Mutant(
        "part of a sentence is a command",
        "formats/reply.py",
        "    if whom and verb in _VERBS:\n",
        '    if said.startswith("don\'t "):\n'
        '        verb, _, whom = said.removeprefix("don\'t ").partition(" ")\n'
        "    if whom and verb in _VERBS:\n",
    ),
    Mutant(
        "part of a name is a name",
        "formats/reply.py",
        "    return name in names or _is_id_of(name, one)\n",
        "    return any(name.startswith(each) for each in names) or _is_id_of(name, one)\n",
    ),
    Mutant(
        "owed forgets Kill",
        "core/agent.py",
        "SaveCell(**at) if agent.saving else Kill(**at, force=agent.forced)",
        "SaveCell(**at) if agent.saving or agent.forced else Kill(**at, force=False)",
    ),
    Mutant(
        "owed is not asked again",
        "daemon/loop.py",
        "        for order in self.fleet.owed():\n",
        "        for order in ():\n",
    ),
    Mutant(
        "adoption resets no clocks",
        "core/lifecycle.py",
        "        vitals=health.resumed(agent.vitals, now),\n        look=None,\n        look_sent",
        "        look=None,\n        look_sent",
    ),
    Mutant(
        "adoption forgets who ended",
        "daemon/adopt.py",
        "        elif agent.life is not None or here in ended:\n",
        "        elif False:\n",
    ),
    Mutant(
        "generations are used twice after a full disk",
        "daemon/adopt.py",
        "for key, generation in (*living, *ended):",
        "for key, generation in living:",
    ),
    Mutant(
        "act before persist",
        "daemon/loop.py",
        "        if turn.changed or turn.told or self.store_fault:\n"
        "            self._persist(turn)\n"
        "        for order in turn.orders:\n"
        "            agent = self.fleet.agents.get(order.key)\n"
        "            if agent is not None and not is_void(order, agent):\n"
        "                self.hands.act(order, agent)\n",
        "        for order in turn.orders:\n"
        "            agent = self.fleet.agents.get(order.key)\n"
        "            if agent is not None and not is_void(order, agent):\n"
        "                self.hands.act(order, agent)\n"
        "        if turn.changed or turn.told or self.store_fault:\n"
        "            self._persist(turn)\n",
    ),
    Mutant(
        "the disk is not tried again",
        "daemon/loop.py",
        "            self.store_fault = str(error)\n            return\n",
        "            self.store_fault = str(error)\n"
        "            self.store.pending = type(turn)()\n            return\n",
    ),
    Mutant(
        "what people want does not win",
        "core/agent.py",
        "wants = agent.desired is Desired.RUN and not agent.queued",
        "wants = not agent.queued",
    ),
    Mutant(
        "a frozen start is carried out",
        "core/agent.py",
        "case Phase.STARTING if agent.life is None and not agent.frozen_at:",
        "case Phase.STARTING if agent.life is None:",
    ),
    Mutant(
        "an unwell life is called stable",
        "core/lifecycle.py",
        '            return ready(born, "process", now, line)\n',
        '            return ready(replace(born, started=0.0), "process", now, line)\n',
    ),
    Mutant(
        "a wait without an end",
        "core/agent.py",
        "            return agent.since + patience(agent)\n",
        "            return NEVER\n",
    ),
    Mutant(
        "a tick that moves nothing",
        "core/ticks.py",
        "    looking = replace(agent, look_sent=now, look=None)\n",
        "    looking = replace(agent, look=None)\n",
    ),
    Mutant(
        "a restore under the feet of others",
        "core/lifecycle.py",
        "crowded = begin is OnRevive.RESTORE and not fact.alone",
        "crowded = False",
    ),
    Mutant(
        "others begin during a restore",
        "core/fleet.py",
        "        if begins and not ends:\n",
        "        if begins and not begins:\n",
    ),
    Mutant(
        "a save that never ends prevents the kill",
        "core/ticks.py",
        "        return arrive(replace(agent, since=now, saving=False), late)\n",
        "        return arrive(replace(agent, since=now), late)\n",
    ),
    Mutant(
        "a no lets it go on",
        "core/curb.py",
        "    if not fact.approved:\n",
        "    if fact.approved:\n",
    ),
    Mutant(
        "nobody is held for what it spends",
        "core/curb.py",
        "    why = budget.over(agent.tab, agent.rules, uptime(agent, now))\n",
        '    why = ""\n',
    ),
    Mutant(
        "any change of the manifest lets it go on",
        "core/curb.py",
        "    if curb is None or budget.over(curb.tab, rules, curb.uptime):\n",
        "    if curb is None:\n",
    ),
    Mutant(
        "an answer is good for every later hold of a life",
        "daemon/requests.py",
        'is_other = request.facts.get("hold", 0) != one.hold\n',
        'is_other = request.facts.get("hold", 0) < 0\n',
    ),
    Mutant(
        "a beat ends a hold of the pit's own",
        "core/lifecycle.py",
        "    if agent.curb is not None:\n        return Step(beaten, told)\n",
        "",
    ),
    Mutant(
        "who ran away is asked about and goes on",
        "core/curb.py",
        "        frozen_at=agent.frozen_at or now,\n",
        "",
    ),
    Mutant(
        "mail wakes whoever has ended",
        "core/lifecycle.py",
        "    if not agent.rules.wake_on_mail:\n",
        "    if agent.rules.wake_on_mail is None:\n",
    ),
    Mutant(
        "giving up twice",
        "core/ticks.py",
        "    Phase.AWAITING: _tick_awaiting,\n",
        "    Phase.AWAITING: _tick_never,\n",
    ),
]


def hunt(mutant: Mutant, seeds: int = SEEDS) -> Hunt:
    """Break a copy of the package and let the simulator look for it.

    Raises:
        LookupError: the text to change is not there (once): the mutant is out of date.
    """
    with tempfile.TemporaryDirectory(prefix="lazarus-mutant-") as folder:
        copy = Path(folder) / "lazarus_pit"
        for part in PARTS:
            source, target = PACKAGE / part, copy / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        broken = copy / mutant.file
        text = broken.read_text()
        if text.count(mutant.old) != 1:
            raise LookupError(f"{mutant.name}: {mutant.file} no longer says {mutant.old!r} once")
        broken.write_text(text.replace(mutant.old, mutant.new))
        done = subprocess.run(
            [sys.executable, "-c", HUNT, str(seeds)],
            env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{mutant.name}: {done.stderr}")
    if not done.stdout.strip():
        return Hunt(mutant, None, "")
    seed, failure = json.loads(done.stdout)
    return Hunt(mutant, int(seed), str(failure))


def main() -> int:
    """Hunt them all, or those named; the exit code is 1 if one got away."""
    missed = 0
    named = [mutant for mutant in MUTANTS if mutant.name in sys.argv[1:]] or MUTANTS
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for mutant, seed, failure in pool.map(hunt, named):
            missed += seed is None
            found = "GOT AWAY" if seed is None else f"seed {seed:2}: {failure}"
            sys.stdout.write(f"{mutant.name:45} {found}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(named) - missed} of {len(named)} mutants found\n")
    return min(missed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
