"""What a line of the journal means, in words. One table; an unknown event speaks for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lazarus_pit.cli.say import clean, span
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.question import CURBS

Data = Mapping[str, Any]


def _seconds(data: Data, key: str) -> str:
    value = data.get(key)
    return span(float(value)) if isinstance(value, int | float) else "an unknown time"


def _reason(data: Data) -> str:
    return DEATHS.get(str(data.get("reason")), f"because of {clean(data.get('reason', '?'), 40)}")


DEATHS: Mapping[str, str] = {
    "exited": "its process ended",
    "hung": "it had gone silent and was ended",
    "stalled": "it got nothing done and was ended",
    "start_timeout": "it was not ready in time and was ended",
    "operator": "a person asked for a new life",
    "stop": "a person wanted it stopped",
}

ESCALATIONS: Mapping[str, str] = {
    "attempts_exhausted": "every revive attempt of the window is used up",
    "policy_never": "its policy is never to revive",
    "denied": "a person declined to revive it",
    "approval_expired": "nobody answered in time whether to revive it",
    "no_retry_exit_code": "its exit code says that trying again cannot help",
    "cannot_start": "it cannot be started",
    "restart_never": "its rule is never to start it again",
}

NEEDS: Mapping[str, str] = {
    "auth_hold": "it needs a login",
    "needs_input": "it needs an answer",
    **{why: f"{said}: approve or deny" for why, said in CURBS.items()},
}

LOSSES: Mapping[str, str] = {
    "not_found": "its program cannot find it",
    "another": "its program has begun another one",
    "exhausted": "it has filled the model's context",
    "none_known": "none is known of its last life",
}

LIMIT_ACTIONS: Mapping[str, str] = {
    "killed": "the kernel ended a process that wanted more memory",
    "refused": "the kernel started no more processes",
    "slowed": "it was slowed down for a while",
    "denied": "a process could open no more files",
    "full": "its /tmp or /dev/shm took no more",
    "rotated": "its log was put aside for a new one; an older one is gone",
    "frozen": "it stands still until something is removed or more is allowed",
}


def _silence(data: Data) -> str:
    said = f"no beat for {_seconds(data, 'beat_age')}, no work for {_seconds(data, 'progress_age')}"
    seen = {"stopped": "every process of it is stopped", "computing": "it still computes"}
    return ", ".join([said, *(words for key, words in seen.items() if data.get(key))])


def _generation(data: Data) -> str:
    return f"generation {clean(data.get('generation', '?'), 20)}"


def _settings(data: Data) -> str:
    found = data.get("set")
    named = found.items() if isinstance(found, Mapping) else ()
    return ", ".join(f"{name}={'' if value is None else value}" for name, value in named) or "?"


def _times(data: Data) -> str:
    times = data.get("times", "?")
    return "once" if times == 1 else f"{clean(times, 20)} times"


def _by(data: Data, before: str = "") -> str:
    """Say who did it, where the journal names somebody."""
    return f"{before} by {clean(data['by'], 80)}" if data.get("by") else ""


def _people(data: Data) -> str:
    return clean(data.get("by") or "people", 80)


def _why(data: Data) -> str:
    return clean(data.get("why", "no reason given"), 300)


SENTENCES: Mapping[str, Callable[[Data], str]] = {
    # the cell
    "cell_created": lambda d: f"the cell was created by {clean(d.get('by', '?'), 80)}",
    "cell_frozen": lambda d: (
        f"the cell froze by itself: it was idle for {_seconds(d, 'idle_for')}"
        if d.get("reason") == "idle"
        else f"{_people(d)} froze the cell"
    ),
    "cell_thawed": lambda d: (
        "mail arrived: the cell moves again"
        if d.get("reason") == "mail"
        else f"{_people(d)} thawed the cell"
    ),
    "cell_archived": lambda d: f"the cell was archived{_by(d)}",
    "cell_destroyed": lambda d: f"the cell is being removed{_by(d)}",
    "checkpoint_taken": lambda d: (
        f"checkpoint {clean(d.get('checkpoint', '?'), 80)} was taken{_by(d)} "
        f"({clean(d.get('entries', '?'), 20)} entries, agents paused {_seconds(d, 'pause')})"
    ),
    "checkpoint_failed": lambda d: f"a checkpoint that was due could not be taken: {_why(d)}",
    "checkpoint_discarded": lambda d: (
        f"checkpoint {clean(d.get('checkpoint', '?'), 80)} is too old"
    ),
    "cell_restored": lambda d: (
        f"the cell is as in checkpoint {clean(d.get('checkpoint', '?'), 80)}{_by(d, ', restored')}"
    ),
    "cell_undone": lambda d: (
        f"the cell went back to {clean(d.get('checkpoint', '?'), 80)}{_by(d, ', undone')}"
    ),
    "cell_forked": lambda d: (
        f"the cell was made of checkpoint {clean(d.get('checkpoint', '?'), 80)} "
        f"of {clean(d.get('source', '?'), 80)}"
    ),
    "settings_changed": lambda d: (
        f"{clean(d.get('by', '?'), 80)} changed settings: {clean(_settings(d), 300)}"
    ),
    "cell_exported": lambda d: f"the cell was exported by {clean(d.get('by', '?'), 80)}",
    "cell_imported": lambda d: (
        f"the cell came from elsewhere{_by(d, ', brought')}, as it was at "
        f"{clean(d.get('taken', '?'), 40)}"
    ),
    "agent_invited": lambda d: f"was invited as {clean(d.get('role', 'a member'), 40)}{_by(d)}",
    "invitation_revoked": lambda d: f"is no longer invited{_by(d, ': revoked')}",
    "agent_joined": lambda d: (
        f"joined as {clean(d.get('role', 'a member'), 40)}{_by(d, ', let in')}"
    ),
    "agent_left": lambda d: (
        f"was taken out of the cell by {clean(d['by'], 80)}" if d.get("by") else "left the cell"
    ),
    # a life
    "agent_started": lambda d: f"started as pid {clean(d.get('pid', '?'), 20)}, {_generation(d)}",
    "agent_start_failed": lambda d: f"could not be started: {_why(d)}",
    "agent_ready": lambda d: f"is ready ({_generation(d)}, took {_seconds(d, 'took')})",
    "agent_revived": lambda d: (
        f"is back: {_generation(d)} works, {_seconds(d, 'took')} after start"
    ),
    "session_resumed": lambda d: (
        f"goes on with its conversation {clean(d.get('session', '?'), 40)}"
    ),
    "session_lost": lambda d: (
        "does not go on with its old conversation: "
        + LOSSES.get(str(d.get("reason")), clean(d.get("reason", "?"), 40))
    ),
    "agent_adopted": lambda d: f"was found running as pid {clean(d.get('pid', '?'), 20)}, kept",
    "agent_died": lambda d: (
        f"died: {_reason(d)} ({clean(d.get('exit', '?'), 80)}, after {_seconds(d, 'uptime')})"
    ),
    "agent_exited": lambda d: f"finished its work ({clean(d.get('exit', '?'), 80)})",
    "agent_woken": lambda _: "has mail and gets a new life",
    "agent_stopped": lambda d: f"is stopped{_ending(d)}",
    "agent_escalated": lambda d: (
        "is given up until a person acts: "
        f"{ESCALATIONS.get(str(d.get('reason')), clean(d.get('reason', '?'), 80))}"
    ),
    "agent_saved": lambda d: (
        f"the cell was saved as {clean(d.get('checkpoint', '?'), 80)} before it is ended"
    ),
    "agent_unsaved": lambda d: f"is ended without a checkpoint of the cell: {_why(d)}",
    "agent_prepared": lambda d: (
        f"begins with a {clean(d.get('how', '?'), 40)}: {clean(d.get('done', '?'), 200)}"
    ),
    "agent_resumed": lambda d: f"goes on from where the last life ended: {_why(d)}",
    "agent_stable": lambda _: "has been stable; its attempts are whole again",
    "agent_fence_stuck": lambda _: "will not end though killed; it is killed again",
    "agent_ordered": lambda d: f"{_people(d)} asked for a {clean(d.get('order', '?'), 40)}",
    "revive_requested": lambda _: "it is to be revived, its attempts are whole again",
    "isolation_widened": lambda d: (
        "may write outside its cell: "
        + ", ".join(clean(path, 200) for path in d.get("rw") or ("?",))
    ),
    # evidence
    "heartbeat": lambda d: f"says: {clean(d.get('status') or 'nothing', 120)}",
    "heartbeat_stale": lambda d: (
        f"has sent no beat for {_seconds(d, 'beat_age')} (threshold {_seconds(d, 'threshold')})"
    ),
    "heartbeat_unreadable": lambda d: f"wrote a heartbeat that cannot be read: {_why(d)}",
    "agent_hung": lambda d: f"is hung: {_silence(d)}",
    "agent_stalled": lambda d: f"gets nothing done: {_silence(d)}",
    "agent_recovered": lambda d: f"is well again (was {clean(d.get('after', '?'), 40)})",
    # waits
    "agent_held": lambda d: (
        f"stands still: {CURBS[d['hold']]}"
        if d.get("hold") in CURBS
        else f"waits: {clean(d.get('hold', '?'), 40)}"
    ),
    "agent_left_waiting": lambda d: (
        f"ended while it waited ({clean(d.get('hold', '?'), 40)}); that is no death"
    ),
    "agent_released": lambda d: f"waits no longer ({clean(d.get('source', '?'), 40)})",
    "agent_frozen": lambda _: "stands still",
    "agent_thawed": lambda _: "moves again",
    "approval_requested": lambda d: (
        f"people are asked whether {'it may go on' if d.get('hold') else 'to revive it'} "
        f"(within {_seconds(d, 'expires_in')})"
    ),
    "approval_granted": lambda d: (
        f"{clean(d.get('by') or 'a person', 80)} "
        f"{'let it go on' if d.get('hold') else 'approved the revive'}"
    ),
    "approval_denied": lambda d: (
        f"{clean(d.get('by') or 'a person', 80)} "
        f"{'had it ended' if d.get('hold') else 'declined the revive'}"
    ),
    "approval_expired": lambda _: "nobody answered in time",
    "question_asked": lambda d: (
        f"asks people (within {_seconds(d, 'expires_in')}): “{clean(d.get('question', '?'), 1000)}”"
    ),
    "question_answered": lambda d: (
        f"has an answer to its question: {clean(d.get('outcome', '?'), 20)}"
        f"{' by ' + clean(d['by'], 80) if d.get('by') else ''}"
        f"{': ' + clean(d['comment'], 500) if d.get('comment') else ''}"
    ),
    # limits
    "limit_reached": lambda d: (
        f"reached its limit {clean(d.get('limit', '?'), 40)} = {clean(d.get('value', '?'), 20)}: "
        f"{LIMIT_ACTIONS.get(str(d.get('action')), 'see docs/reference/events.md')}"
    ),
    "limit_cleared": lambda d: f"is within its limit {clean(d.get('limit', '?'), 40)} again",
    # the network
    "network_denied": lambda d: (
        f"was refused the network: {clean(d.get('host', '?'), 120)} "
        f"port {clean(d.get('port', '?'), 20)} ({_why(d)})"
    ),
    "network_restored": lambda _: "has its network again",
    "network_lost": lambda d: f"cannot have its network again in this life: {_why(d)}",
    "companion_lost": lambda d: (
        f"{clean(d.get('name', '?'), 40)}, which runs beside the daemon, ended: {_why(d)}"
    ),
    "gateway_found": lambda d: f"the Nexus gateway answers at {clean(d.get('address', '?'), 120)}",
    "gateway_lost": lambda d: (
        f"the Nexus gateway at {clean(d.get('address', '?'), 120)} does not answer: {_why(d)}"
    ),
    # agents outside every cell
    "gateway_died": lambda d: f"has been dead for {_seconds(d, 'dead_for')} (no probe finds it)",
    "gateway_degraded": lambda _: "shows signs of life; nothing is done to it",
    "gateway_revive_started": lambda d: (
        f"is being revived by its command, attempt {clean(d.get('attempt', '?'), 20)}"
    ),
    "gateway_revive_failed": lambda d: f"was not brought back: {_why(d)}",
    "gateway_recovered": lambda d: (
        f"is healthy again after {_seconds(d, 'dead_for')}, "
        f"{'revived by the pool' if d.get('by') == 'pool' else 'by itself'}"
    ),
    "gateway_escalated": lambda d: (
        "is left to people: "
        f"{ESCALATIONS.get(str(d.get('reason')), clean(d.get('reason', '?'), 80))}"
    ),
    "network_proxy_lost": lambda d: (
        f"the egress proxy died; another takes over for {clean(d.get('agents', '?'), 20)} agents"
    ),
    # the bus
    "messages_delivered": lambda d: f"sent mail that arrived ({_times(d)})",
    "message_refused": lambda d: f"sent mail that was refused ({_times(d)}): {_why(d)}",
    "message_dead_lettered": lambda d: f"has mail among the dead letters ({_times(d)}): {_why(d)}",
    # the pit itself
    "rules_unknown": lambda d: (
        f"cell.json names rules that do not exist: {clean(d.get('names', '?'), 200)}"
    ),
    "manifest_unreadable": lambda d: f"cell.json cannot be read: {_why(d)}",
    "root_unreadable": lambda d: f"the root directory cannot be read: {_why(d)}",
    "observer_doubted": lambda d: f"the pit doubts its own eyes ({_why(d)}); verdicts wait",
    "revival_storm": lambda d: (
        f"too many revivals ({clean(d.get('revivals', '?'), 20)} within "
        f"{_seconds(d, 'window')}); the rest wait"
    ),
    "records_damaged": lambda d: (
        f"the records could not be read and begin anew; kept as {clean(d.get('kept', '?'), 80)}"
    ),
    "store_failed": lambda d: f"the records cannot be written: {_why(d)}",
    "store_recovered": lambda _: "the records can be written again",
}


ASIDE = frozenset(
    {
        "settings_changed",
        "agent_saved",
        "agent_ordered",
        "revive_requested",
        "approval_requested",
        "approval_granted",
        "approval_denied",
        "approval_expired",
    }
)
"""Events of which an agent is not the subject of the sentence."""


def _ending(data: Data) -> str:
    return f" ({clean(data['exit'], 80)})" if "exit" in data else ""


def sentence(event: Event) -> str:
    """Say one event: who, and what happened."""
    say = SENTENCES.get(event.event)
    what = say(event.data) if say else _plain(event.event, event.data)
    who = f"{clean(event.agent, 80)}{':' if event.event in ASIDE else ''} " if event.agent else ""
    return who + what


def timed(event: Event) -> str:
    """Say one event with its time of day, as a line of a listing."""
    return f"{clean(event.ts, 40)}  {sentence(event)}"


def _plain(name: str, data: Data) -> str:
    facts = [f"{clean(key, 40)}={clean(value, 120)}" for key, value in data.items()]
    return " ".join([name.replace("_", " "), *facts])
