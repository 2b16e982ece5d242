"""``lazarus hook EVENT``: what a program's hooks tell becomes beats; mail goes the other way.

For the hook names that Claude Code, Codex and OpenHands share, and Gemini CLI's for the same
things. The program waits for its hooks, so this one has an end whatever happens, needs no daemon
and always exits 0: another code would stop the agent's turn. Standard library only.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from lazarus_pit import beat, mail, session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from lazarus_pit.session import Memory

USAGE = """\
Usage: lazarus hook [--mail | --ask] [EVENT]

Tell the pit what an agent program's hook has told. The hook's JSON is read from standard input;
without EVENT its hook_event_name is meant. Give it to the program as the command of these hooks:

  SessionStart UserPromptSubmit PreToolUse PostToolUse PostToolUseFailure Notification
  PermissionRequest PreCompact PostCompact Stop StopFailure SubagentStart SubagentStop SessionEnd

It beats with what the agent does, shows new mail to the model where the hook allows it, and always
exits 0. With --mail it shows mail and does not beat. Outside a cell it does nothing.

With --ask, for PermissionRequest, PreToolUse and BeforeTool, it asks people whether the call may go
on, waits for their answer and gives it to the program. LAZARUS_PERMISSION_SECONDS says how long
(3600), LAZARUS_PERMISSION_FALLBACK what is said if nobody has answered: deny, or ask (the program
does as it would without this hook). Exit code 2, which blocks the call, if it could not ask.
"""

SECONDS = 5.0
"""After so long it ends, whatever it is doing."""
INPUT_SECONDS = 2.0
"""How long the hook's JSON may take to arrive."""
INPUT_BYTES = 4 << 20

ALIASES = {
    "beforetool": "PreToolUse",
    "aftertool": "PostToolUse",
    "beforeagent": "UserPromptSubmit",
    "userpromptsubmitted": "UserPromptSubmit",
    "afteragent": "Stop",
    "precompress": "PreCompact",
    "erroroccurred": "StopFailure",
}
"""Other programs' names for the same things, in small letters."""
WAITS = ("permission_prompt", "idle_prompt", "elicitation_dialog", "toolpermission")
"""Notifications that mean: a person is waited for."""
WAITING_WORDS = ("needs your permission", "waiting for your input", "needs your attention")
FAILURES = {
    "rate_limit": "quota_wait",
    "billing_error": "quota_wait",
    "overloaded": "quota_wait",
    "authentication_failed": "auth_hold",
    "oauth_org_not_allowed": "auth_hold",
}
"""Why a turn may fail that is nobody's fault, in Claude Code's words, and the hold it means."""
INJECTS = ("SessionStart", "UserPromptSubmit", "PostToolUse")
"""Events whose hooks may add to what the model reads."""


def main(words: Sequence[str], environ: Mapping[str, str] = os.environ, descriptor: int = 0) -> int:
    """Run ``lazarus hook``; always 0.

    Args:
        words: the event, or nothing.
        environ: the agent's environment; without a heartbeat file in it nothing is done.
        descriptor: where the hook's JSON is read.
    """
    if "--help" in words or "-h" in words:
        sys.stdout.write(USAGE)
        return 0
    if not environ.get(beat.FILE):
        return 0
    try:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    except ValueError:  # Not in the main thread: then somebody else bounds it.
        pass
    try:
        said = read(descriptor)
        names = [word for word in words if word != "--mail"]
        name = names[0] if names else str(said.get("hook_event_name", ""))
        if "--mail" not in words:
            happened(name, said, environ)
        if answer := answered(name, said, environ):
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent's turn goes on
        sys.stderr.write(f"lazarus hook: {type(error).__name__}: {error}\n"[:500])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def read(descriptor: int) -> dict[str, Any]:
    """Return the JSON object that arrives in time; anything else is an empty one."""
    deadline = time.monotonic() + INPUT_SECONDS
    parts, size = [], 0
    while (left := deadline - time.monotonic()) > 0 and size < INPUT_BYTES:
        if not select.select([descriptor], [], [], left)[0]:
            break
        if not (part := os.read(descriptor, 1 << 16)):
            break
        parts.append(part)
        size += len(part)
    try:
        found = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def canonical(name: str) -> str:
    """Return the shared name of an event, however a program spells it."""
    small = name.replace("_", "").replace("-", "").lower()
    if small in ALIASES:
        return ALIASES[small]
    return next((known for known in EVENTS if known.lower() == small), name)


def happened(name: str, said: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Beat for one event.

    Args:
        name: the event, as the program calls it.
        said: the hook's JSON.
        environ: the agent's environment.
    """
    event = canonical(name)
    now = time.time()

    def alter(memory: Memory) -> None:
        if isinstance(found := said.get("session_id"), str) and found:
            memory["session"] = found[:128]
        if isinstance(model := said.get("model"), str) and model:
            memory["model"] = model[:100]
        if event in EVENTS:
            EVENTS[event](memory, said, environ, now)

    session.tell(environ, session.change(environ, alter))


def answered(
    name: str, said: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return what the hook of an event answers: new mail, where there is any."""
    event = canonical(name)
    shown = str(said.get("hook_event_name") or name)
    if event in INJECTS:
        parts = [brief(environ)] if event == "SessionStart" else []
        text = "\n\n".join(part for part in (*parts, unseen_mail(environ)) if part)
        return _added(shown, text) if text else None
    if event == "Stop" and (text := unseen_mail(environ)):
        return {"decision": "block", "reason": text}
    return None


def _added(name: str, text: str) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": name, "additionalContext": text}}


def unseen_mail(environ: Mapping[str, str]) -> str:
    """Return mail that this life has not been shown; a fault of the mail is none of the hook."""
    try:
        return mail.unseen(mail.seat(environ))
    except (mail.MailError, OSError, ValueError):
        return ""


def brief(environ: Mapping[str, str]) -> str:
    """Return who the agent is, what for, and with whom; nothing where that cannot be read."""
    cell, own = session.published(environ, "cell.json"), environ.get("LAZARUS_AGENT", "")
    try:
        others = [f"{one['name']} ({one['role']})" for one in cell["agents"] if one["name"] != own]
    except (LookupError, TypeError):
        return ""
    mission = str(cell.get("mission", ""))[:2000]
    return (
        f"You are {own}, {environ.get('LAZARUS_ROLE', 'a member')} of a mission cell. "
        f"Mission: {mission}\nOther members: {', '.join(others[:50]) or 'none'}. "
        "Write to them with `lazarus mail send --to WHO TEXT`; "
        "`lazarus mail` alone says how to read and acknowledge."
    )


# ---------------------------------------------------------------- what each event means


def doing(memory: Memory, status: str, seconds: float, now: float) -> None:
    """Take down what the agent does, and how long it may be silent about it; holds are over."""
    memory["status"] = status
    memory["until"] = now + seconds
    memory.pop("hold", None)


def held(memory: Memory, kind: str, until: float | None = None) -> None:
    """Take down that the agent waits and is not at fault."""
    memory["status"], memory["hold"], memory["hold_until"] = kind, kind, until
    memory.pop("until", None)


def moved(memory: Memory) -> None:
    """Take down progress."""
    memory["cycle"] = session.count(memory, "cycle") + 1


def label(said: Mapping[str, Any]) -> str:
    """Return a call of a tool in words, short and on one line."""
    given = said.get("tool_input")
    words: object = given
    if isinstance(given, dict):
        keys = ("command", "cmd", "file_path", "path", "url", "pattern", "query", "prompt")
        words = next((given[key] for key in keys if given.get(key)), given)
    text = words if isinstance(words, str) else json.dumps(words) if words else ""
    name = _tool(said)
    return " ".join(f"{name}: {text}".split())[:120] if text else name


def _tool(said: Mapping[str, Any]) -> str:
    return str(said.get("tool_name") or "a tool")[:60]


def _call(said: Mapping[str, Any]) -> str:
    return str(said.get("tool_use_id") or label(said))[:128]


def _started(memory: Memory, _said: Any, environ: Mapping[str, str], now: float) -> None:
    doing(memory, "ready", session.lease(environ, session.THINKING), now)


def _prompted(memory: Memory, _said: Any, environ: Mapping[str, str], now: float) -> None:
    doing(memory, "thinking", session.lease(environ, session.THINKING), now)
    moved(memory)


def tool_begins(
    memory: Memory, said: Mapping[str, Any], environ: Mapping[str, str], now: float
) -> None:
    """A tool is about to run."""
    running = session.open_calls(memory)
    if len(running) < session.OPEN_MAX:
        running[_call(said)] = label(said)
    memory["open"], memory["tool"] = running, _tool(said)
    doing(memory, f"in tool: {_tool(said)}", session.lease(environ, session.TOOL), now)


def tool_ends(
    memory: Memory, said: Mapping[str, Any], environ: Mapping[str, str], now: float
) -> None:
    """A tool has run, well or not: progress, and the same outcomes again are counted."""
    import hashlib  # noqa: PLC0415 - slow to import, and few events want it

    from lazarus_pit import rounds  # noqa: PLC0415 - the same

    running = session.open_calls(memory)
    begun = running.pop(_call(said), "")
    outcome = said.get("tool_response", said.get("error"))
    # Some programs say at the end only which call it was: then what it began with tells it apart.
    name = _tool(said) if said.get("tool_name") else begun.partition(":")[0] or _tool(said)
    given = said.get("tool_input")
    whole = json.dumps([name, begun if given is None else given, outcome], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    trail = rounds.after(rounds.read(memory.get("trail"), memory.get("same")), digest)
    memory["trail"], memory["same"] = list(trail[0]), list(trail[1])
    memory["digest"], memory["repeats"] = digest, rounds.rounds(trail)
    memory["open"], memory["tool"] = running, name
    moved(memory)
    if running:  # Several at once: another one is still at work.
        doing(memory, f"in tool: {name}", session.lease(environ, session.TOOL), now)
    else:
        doing(memory, "thinking", session.lease(environ, session.THINKING), now)


def _notified(
    memory: Memory, said: Mapping[str, Any], _environ: Mapping[str, str], _now: float
) -> None:
    kind = str(said.get("notification_type", "")).lower()
    message = str(said.get("message", "")).lower()
    if kind in WAITS or (not kind and any(words in message for words in WAITING_WORDS)):
        held(memory, "needs_input")


def _asked(memory: Memory, _said: Any, _environ: Mapping[str, str], _now: float) -> None:
    held(memory, "needs_input")


def turn_ends(memory: Memory, _said: Any, _environ: Mapping[str, str], now: float) -> None:
    """The model has finished its turn."""
    memory["turns"] = session.count(memory, "turns") + 1
    memory["open"] = {}
    doing(memory, "finished", session.LEASES[session.THINKING], now)
    moved(memory)


def _failed(
    memory: Memory, said: Mapping[str, Any], _environ: Mapping[str, str], now: float
) -> None:
    error = str(said.get("error") or said.get("error_type") or "")
    if error in FAILURES:
        held(memory, FAILURES[error])
    else:
        doing(memory, f"turn failed: {error}"[:100], 0.0, now)


def _compacting(memory: Memory, _said: Any, environ: Mapping[str, str], now: float) -> None:
    doing(memory, "compacting", session.lease(environ, session.THINKING), now)


def _helped(memory: Memory, _said: Any, _environ: Mapping[str, str], _now: float) -> None:
    moved(memory)


def _ended(
    memory: Memory, said: Mapping[str, Any], _environ: Mapping[str, str], now: float
) -> None:
    if not memory.get("hold"):
        doing(memory, f"session ended: {said.get('reason', 'exit')}"[:100], 0.0, now)


EVENTS = {
    "SessionStart": _started,
    "UserPromptSubmit": _prompted,
    "PreToolUse": tool_begins,
    "PostToolUse": tool_ends,
    "PostToolUseFailure": tool_ends,
    "Notification": _notified,
    "PermissionRequest": _asked,
    "PreCompact": _compacting,
    "PostCompact": _prompted,
    "Stop": turn_ends,
    "StopFailure": _failed,
    "SubagentStart": _helped,
    "SubagentStop": _helped,
    "SessionEnd": _ended,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
