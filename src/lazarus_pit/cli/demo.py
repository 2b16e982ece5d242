"""``lazarus demo``: two real agents in a real cell die before your eyes, and come back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lazarus_pit
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cli import app, say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.packages import install, may_install
from lazarus_pit.cli.sentences import sentence
from lazarus_pit.cli.stage import (
    Stage,
    await_event,
    await_true,
    copy_programs,
    find_health,
    find_life,
    hurt,
    set_up,
    since,
)
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import UsageError, WorldError

SILENCE: Seconds = 4.0
"""What is death by silence here; in earnest it is two minutes."""
CELL, SCRIBE, INDEXER = "pond", "scribe", "indexer"
CHAPTERS_FIRST, CHAPTERS_MORE = 3, 2
"""Chapters to see before anybody is hurt, and until the work counts as resumed."""


def demo() -> int:
    """Watch two real agents die and come back. Takes less than a minute; the root is kept."""
    examples = Path(lazarus_pit.__file__).parents[2] / "examples"
    if not (examples / "mission-proposal.md").is_file():
        raise UsageError(f"demo: found no {examples}, expected a clone of the repository")
    if not shutil.which("git") and may_install():
        install("git")
    if not shutil.which("git"):
        raise WorldError("the agents of the demo work in a git repository: install git")
    began = time.monotonic()
    with set_up(SILENCE) as stage:
        try:
            paths = _provision(stage, examples)
            results = [_kill(paths), _stop(paths)]
            _check_the_work(paths)
        finally:
            _say("The mission ends", "its agents are stopped, its cell is kept")
            app.run(["--config", str(stage.config), "cell", "archive", CELL])
        _farewell(stage, paths, results, time.monotonic() - began)
    return 0


def _say(what: str, more: str = "") -> None:
    say.line(f"\n{what}{': ' + more if more else ''}")


def _lazarus(stage: Stage, *words: str) -> None:
    """Type a command as anybody would; the demo goes on only if it is done.

    Raises:
        WorldError: it was not done.
    """
    shown = " ".join(words)
    say.line(f"$ lazarus {shown}")
    code = app.run(["--config", str(stage.config), *words])
    if code != 0:
        raise WorldError(f"`lazarus {shown}` ended with exit code {code}")


def _provision(stage: Stage, examples: Path) -> CellPaths:
    """From a filled-in proposal to two agents at work."""
    proposal = examples / "mission-proposal.md"
    _say("A mission is proposed", f"{proposal}; everything happens below {stage.top}")
    _lazarus(stage, "cell", "create", "--name", CELL, "--from-proposal", str(proposal))
    paths = find_cell(stage.pit, CELL).paths
    copy_programs(examples, paths)
    _say("Two agents begin", "ordinary programs, each in a sandbox of its own, without a network")
    for agent in (SCRIBE, INDEXER):
        _lazarus(stage, "spawn", CELL, agent, "--", "python3", f"programs/{agent}.py")
    await_true(
        lambda: len(_chapters(paths)) >= CHAPTERS_FIRST and _index_commits(paths) > 0,
        "the first chapters are written and indexed",
    )
    _show_work(paths)
    await_true(
        lambda: all(find_health(paths, agent).phase == "running" for agent in (SCRIBE, INDEXER)),
        "both agents run",
    )
    _lazarus(stage, "status")
    return paths


def _kill(paths: CellPaths) -> str:
    """SIGKILL, as the kernel's out-of-memory killer would."""
    generation, life = find_life(paths, SCRIBE)
    offset, before = journal_end(paths.events), len(_chapters(paths))
    began = time.time()
    pid = hurt(life, signal.SIGKILL)
    _say("kill -9", f"{SCRIBE}, pid {pid}, after {before} chapters")
    died = await_event(paths, offset, SCRIBE, "agent_died")
    started = await_event(paths, offset, SCRIBE, "agent_started")
    revived = await_event(paths, offset, SCRIBE, "agent_revived")
    for event in (died, started, revived):
        say.line(f"  {since(event, began) * 1000:7.0f} ms  {sentence(event)}")
    _await_more(paths, SCRIBE, generation, before)
    noticed, new, back = (since(event, began) * 1000 for event in (died, started, revived))
    return (
        f"{SCRIBE}: killed; noticed after {noticed:.0f} ms, a new life after {new:.0f} ms, "
        f"at work after {back:.0f} ms"
    )


def _stop(paths: CellPaths) -> str:
    """SIGSTOP: it still exists and answers nobody, as a program that hangs."""
    generation, life = find_life(paths, INDEXER)
    offset, before = journal_end(paths.events), _index_commits(paths)
    began = time.time()
    pid = hurt(life, signal.SIGSTOP)
    _say("kill -STOP", f"{INDEXER}, pid {pid}; {SILENCE:g} s of silence are death here")
    stale = await_event(paths, offset, INDEXER, "heartbeat_stale")
    hung = await_event(paths, offset, INDEXER, "agent_hung")
    died = await_event(paths, offset, INDEXER, "agent_died")
    revived = await_event(paths, offset, INDEXER, "agent_revived")
    for event in (stale, hung, died, revived):
        say.line(f"  {since(event, began) * 1000:7.0f} ms  {sentence(event)}")
    await_true(
        lambda: _index_commits(paths) > before and _last_generation(paths, INDEXER) > generation,
        f"{INDEXER} resumes its work",
    )
    _show_work(paths)
    silent = float(hung.data.get("beat_age", 0.0))
    return (
        f"{INDEXER}: stopped; found hung after {silent:.2f} s without a beat "
        f"({(silent - SILENCE) * 1000:+.0f} ms to the threshold), at work again "
        f"{since(revived, began) - since(hung, began):.1f} s later"
    )


def _await_more(paths: CellPaths, agent: str, generation: int, before: int) -> None:
    """Wait for the work to go on where it was, by a later life."""
    await_true(
        lambda: (
            len(_chapters(paths)) >= before + CHAPTERS_MORE
            and _last_generation(paths, agent) > generation
        ),
        f"{agent} resumes its work",
    )
    _show_work(paths)


# ---------------------------------------------------------------- what the repository says


def _git(paths: CellPaths, *words: str) -> list[str]:
    """Ask the agents' repository, as its owner: what its configuration starts must not be root.

    The directory is entered before the user is changed: its owner may not be able to walk there.
    """
    guide = paths.workspace / "guide"
    if not guide.is_dir():
        return []
    owner = _owner(paths)
    done = subprocess.run(
        ["git", "--git-dir=.git", *words],
        cwd=guide,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_CONFIG_GLOBAL": os.devnull},
        user=owner,
        group=owner,
        extra_groups=None if owner is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines() if done.returncode == 0 else []


def _owner(paths: CellPaths) -> int | None:
    """Return the agents' user where that is another than ours."""
    return paths.workspace.stat().st_uid if os.geteuid() == 0 else None


def _chapters(paths: CellPaths) -> list[str]:
    return _git(paths, "ls-tree", "--name-only", "HEAD", "chapters/")


def _index_commits(paths: CellPaths) -> int:
    return len(_git(paths, "log", "--format=%h", "--author=indexer"))


def _last_generation(paths: CellPaths, agent: str) -> int:
    """Return which life of an agent made its latest commit."""
    trailer = "--format=%(trailers:key=Generation,valueonly,separator=)"
    found = _git(paths, "log", "-1", f"--author={agent}", trailer)
    return int(found[0]) if found and found[0].isdecimal() else 0


def _show_work(paths: CellPaths) -> None:
    trailer = "%(trailers:key=Generation,valueonly,separator=)"
    say.line("  the latest of the work (git log):")
    for commit in _git(paths, "log", "-4", f"--format=%h %an, generation {trailer}: %s"):
        say.line(f"    {say.clean(commit, 100)}")


def _check_the_work(paths: CellPaths) -> None:
    """No chapter may be missing, and none may have been written twice.

    Raises:
        WorldError: the work was not resumed but begun anew, or something is lost.
    """
    found = _chapters(paths)
    wanted = [f"chapters/{number:03}.md" for number in range(1, len(found) + 1)]
    commits = _git(paths, "log", "--format=%s", "--author=scribe", "--", "chapters")
    if found != wanted or len(commits) != len(set(commits)):
        raise WorldError(f"the work is not whole: {len(found)} chapters, {len(commits)} commits")
    say.line(f"  {len(found)} chapters: none is missing, none was written twice")


def _farewell(stage: Stage, paths: CellPaths, results: list[str], took: Seconds) -> None:
    _say("What happened")
    for result in results:
        say.line(f"  {result}")
    say.line(f"  all in {took:.0f} s")
    _say("Where to look")
    # Its folder need not be on the PATH of whoever copies a line.
    program = "lazarus" if shutil.which("lazarus") else sys.argv[0]
    look = f"{program} --config {stage.config}"
    owner = _owner(paths)
    become = f"setpriv --reuid {owner} --regid {owner} --clear-groups " if owner else ""
    for words in (
        f"{look} events {CELL}",
        f"{look} logs {CELL}/{SCRIBE}",
        f"{look} why {CELL}/{INDEXER}",
        f"{become}git -C {paths.workspace / 'guide'} log",
        f"less {stage.top / 'lazarus-pit.log'}",
    ):
        say.line(f"  {words}")
    say.line(f"  rm -r {stage.top}   # when you have seen enough")
