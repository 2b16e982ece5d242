"""How an agent with a preset begins its next life: with its old conversation, or a new one."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from lazarus_pit.cells.files import read_hostile, replace_file
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Key
from lazarus_pit.errors import FormatError, SpawnError, StoreError
from lazarus_pit.formats import conversation, text
from lazarus_pit.formats.conversation import Conversation
from lazarus_pit.formats.heartbeat import Heartbeat
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.manifest import Member
from lazarus_pit.formats.recipe import check_recipe
from lazarus_pit.presets.base import Wanted
from lazarus_pit.presets.choose import PRESETS, preset
from lazarus_pit.presets.plan import Past, Plan, plan
from lazarus_pit.sandboxes.base import Launch

log = logging.getLogger(__name__)


def dressed(
    launch: Launch,
    paths: CellPaths,
    member: Member,
    before: Agent | None,
    tell: Callable[[Told], None],
) -> Launch:
    """Return the launch of a life with the command line that its preset makes of what is known.

    Every agent, with a preset or without, is told in ``life.json`` how its last life ended.

    Args:
        launch: the life, its generation included.
        paths: its cell.
        member: what the manifest says of it.
        before: what the loop knew when it ordered the life.
        tell: says why a conversation is not gone on with.

    Raises:
        SpawnError: fatal, there is no such preset.
    """
    past = _past(launch, paths, check_recipe(member.preset).name, before)
    if past.lived:
        _publish(paths, past)
    found = _planned(launch, member, past)
    if found and found.forgets:
        data = {"generation": launch.generation, "reason": found.forgets}
        tell(Told(event="session_lost", key=launch.key, data=data))
    return _worn(launch, member, found)


def foreseen(launch: Launch, paths: CellPaths, member: Member) -> Launch:
    """Return what ``dressed`` would by what the agent's conversation is now; tells nobody.

    Raises:
        SpawnError: fatal, there is no such preset.
    """
    past = _past(launch, paths, check_recipe(member.preset).name, None)
    return _worn(launch, member, _planned(launch, member, past))


def _worn(launch: Launch, member: Member, found: Plan | None) -> Launch:
    if found is None:
        return launch
    return replace(launch, argv=found.argv, starts=member.command[0] if member.command else "")


def _planned(launch: Launch, member: Member, past: Past) -> Plan | None:
    """Return how a life begins; ``None``: without a preset."""
    recipe = check_recipe(member.preset)
    if not recipe.name:
        return None
    try:
        program = preset(recipe.name)
    except KeyError:
        known = ", ".join(PRESETS)
        raise SpawnError(
            f"{launch.key}: preset: found {recipe.name}, expected one of {known}", fatal=True
        ) from None
    asks = recipe.permissions == "ask"
    if asks and not program.asks:
        raise SpawnError(
            f"{launch.key}: preset: permissions: found ask, which {recipe.name} cannot do",
            fatal=True,
        )
    wanted = Wanted(member.command, recipe.task, recipe.model, recipe.arguments, asks)
    return plan(program, wanted, past)


def _past(launch: Launch, paths: CellPaths, preset_name: str, before: Agent | None) -> Past:
    known = _known(paths, launch.agent)
    if known is not None and known.preset not in ("", preset_name):
        known = None  # Another program's; ours would not find it.
    lived = before is not None and before.started > 0.0 and launch.generation > 1
    return Past(
        agent=launch.agent,
        generation=launch.generation,
        fresh=str(uuid.uuid4()),
        lived=lived or bool(known and known.session),  # A fork brings its conversation with it.
        ending=str(before.last_exit) if before and before.last_exit else "",
        ended_at=_died(before) if before else "",
        known=known is not None,
        **({} if known is None else _facts(known)),
    )


def _facts(known: Conversation) -> dict[str, Any]:
    return {
        "session": known.session,
        "exhausted": known.exhausted,
        "lost": known.lost,
        "unanswered": known.unanswered,
    }


def _publish(paths: CellPaths, past: Past) -> None:
    """Tell an agent how its last life ended; on a full disk it is not told."""
    told = {
        "generation": past.generation,
        "ended_at": past.ended_at,
        "ending": past.ending,
        "unanswered": past.unanswered,
    }
    with contextlib.suppress(StoreError):
        data = text.encode(told, "life") + b"\n"
        replace_file(paths.last_life(past.agent), data, durable=False)


def _known(paths: CellPaths, agent: str) -> Conversation | None:
    """Return what the last life wrote of its conversation, if that can be read."""
    try:
        data = read_hostile(paths.conversation(agent), conversation.MAX_BYTES, sole=True)
        return conversation.parse(data) if data else None
    except (FormatError, StoreError) as error:
        log.warning("the conversation of %s/%s is not known: %s", paths.uuid, agent, error)
        return None


def _died(before: Agent) -> str:
    """Return when the last life ended; nothing where our clock cannot tell."""
    ago = time.monotonic() - before.died
    return to_rfc3339(time.time() - ago) if before.died and ago >= 0 else ""


def checked(key: Key, beat: Heartbeat) -> Told | None:
    """Return what a beat says of the conversation that was asked for.

    ``None``: nothing was asked for, or the program has not said yet which one it leads.
    """
    if not beat.session_asked or beat.session is None:
        return None
    data: dict[str, object] = {"generation": beat.generation}
    if beat.session == beat.session_asked:
        return Told(event="session_resumed", key=key, data=data | {"session": beat.session})
    data |= {"reason": "another" if beat.session else "not_found"}
    data |= {"asked": beat.session_asked, "found": beat.session}
    return Told(event="session_lost", key=key, data=data)
