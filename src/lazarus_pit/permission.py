"""``lazarus hook --ask``: a program's permission prompt becomes a question to people.

The question is a mail to the daemon, as any member's (docs/guides/approvals.md), so it is durable,
goes to every channel and outlives the daemon. What was asked and is not yet answered is remembered
in the agent's home: its next life, about to do the same, waits on instead of asking again. An
answer is good for one call. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import time
from typing import NamedTuple

from lazarus_pit import beat, hook, mail, session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from lazarus_pit.session import Memory

MODE = "LAZARUS_PERMISSIONS"
"""In the environment: ``ask`` or ``skip``, as the preset was told; unset, the hook alone counts."""
SECONDS = "LAZARUS_PERMISSION_SECONDS"
FALLBACK = "LAZARUS_PERMISSION_FALLBACK"
PATIENCE, PATIENCE_MAX = 3600.0, 86400.0
"""How long people have for an answer, in seconds: by itself, and at most."""
HOOK_SECONDS = 90_000
"""What a program is told to wait for this hook: longer than people may take."""
PIT = "lazarus-pit"
SHOWN = 900
"""Characters of a question: the daemon takes a thousand."""
KEPT = 8
"""Unanswered questions that are remembered."""
FLOODED = "questions of yours"
"""In the refusal of a question when people were asked enough: the call waits its turn."""
AGAIN = 60.0
"""How long it waits before it asks again."""
LOOK = 0.25
TOLD_AGAIN = 30.0
"""So often it is said again that the agent waits: other hooks say otherwise meanwhile."""
LATE = 5.0
"""How long after its time the end of a question may take to be told."""
SETTLED = 1.0
"""How long the mail with the answer may come after the answer itself."""

FREE = frozenset(
    (
        "read", "glob", "grep", "ls", "find", "list", "notebookread", "todowrite", "todoread",
        "skill", "toolsearch", "askuserquestion", "agent", "enterplanmode", "exitplanmode",
        "sendmessage", "reportfindings", "read_file", "read_many_files", "list_directory",
        "grep_search", "search_file_content", "todo_write", "write_todos", "save_memory",
        "update_plan", "ask_user_question", "exit_plan_mode",
    )
)  # fmt: skip
"""Tools, in small letters, that only look or plan: nobody is asked about them."""
FREE_BEGINNINGS = ("task", "mcp__lazarus__", "mcp_lazarus_", "lazarus_")
EDITS = frozenset(
    ("edit", "multiedit", "write", "notebookedit", "write_file", "replace", "apply_patch", "patch")
)
"""Tools that change files, which the cell bounds: free where the preset asks."""
EDITING = ("acceptEdits", "auto_edit", "auto-edit")
UNGUARDED = ("bypassPermissions", "yolo")
"""Modes in which a program asks nobody by itself: what is not forbidden to it goes on."""


class Answer(NamedTuple):
    """What came of a question."""

    allowed: bool | None
    """``None`` where nobody has decided."""
    reason: str = ""
    """Why so, or why not."""
    is_early: bool = False
    """Whether people were not asked because they were asked enough: it may be asked again."""


class UnshownError(Exception):
    """People could not be shown all of what they would approve."""


# ---------------------------------------------------------------- what is asked


def is_free(tool: str, mode: str, environ: Mapping[str, str]) -> bool:
    """Whether nobody need be asked about a tool.

    Args:
        tool: its name, as the program says it.
        mode: the program's own permission mode; empty where it says none.
        environ: the agent's environment.
    """
    small = tool.lower()
    edits = small in EDITS and (environ.get(MODE) == "ask" or mode in EDITING)
    return edits or small in FREE or small.startswith(FREE_BEGINNINGS)


def question(tool: str, given: object) -> str:
    """Return what people are asked about a call of a tool.

    Raises:
        UnshownError: it is too long to be shown whole.
    """
    if isinstance(given, dict):
        words = [
            f"{key}: {_words(value)}" for key, value in given.items() if value not in ("", None)
        ]
        only = given.get("command")
        text = only if isinstance(only, str) and len(words) == 1 else "\n".join(words)
    else:
        text = _words(given) if given else ""
    asked = f"May I use {tool}? {text}".strip()
    if len(asked) > SHOWN:
        raise UnshownError(
            f"{len(asked)} characters are too many to ask people about ({SHOWN} at most): put it "
            "into a file of the workspace and call that"
        )
    return asked


def _words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------- asking and waiting


def decide(tool: str, given: object, environ: Mapping[str, str]) -> Answer:
    """Ask people whether a call of a tool may go on, and wait until they have said or time is up.

    Args:
        tool: its name.
        given: what it is called with.
        environ: the agent's environment; ``LAZARUS_PERMISSION_SECONDS`` bounds the wait.
    """
    try:
        asked = question(tool, given)
        seat = mail.seat(environ)
        call = hashlib.sha256(json.dumps([tool, given], sort_keys=True).encode()).hexdigest()[:24]
        name, until = _remembered(call, environ)
        while True:
            if _state(name, environ) is None:
                expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
                mail.send(seat, PIT, asked, id=name, subject="ask", expires=expires)
            answer = _awaited(seat, name, until, f"asks leave: {tool}", environ)
            _forget(call, name, environ)
            _acknowledge(seat, name, answer)
            if not answer.is_early or time.time() + AGAIN >= until:
                break
            time.sleep(AGAIN)
            name, until = _remembered(call, environ, until)
    except UnshownError as error:
        return Answer(None, str(error))
    except (mail.MailError, OSError, ValueError, OverflowError) as error:
        return Answer(None, f"people cannot be asked: {error}")
    return answer


def patience(environ: Mapping[str, str]) -> float:
    """Return how long people have, in seconds: the environment's, else an hour."""
    try:
        return min(max(float(environ.get(SECONDS, "")), 1.0), PATIENCE_MAX)
    except ValueError:
        return PATIENCE


def _remembered(
    call: str, environ: Mapping[str, str], ends: float | None = None
) -> tuple[str, float]:
    """Return the mail in which a call is asked about, and until when; a new one is taken down.

    Taken down before it is sent: sent again by the next life, it is the same mail.
    """
    now = time.time()
    fresh = (f"permit-{secrets.token_hex(12)}", ends or now + patience(environ))
    found = fresh

    def alter(memory: Memory) -> None:
        nonlocal found
        open_ = {name: one for name, one in _open(memory).items() if one[1] + LATE > now}
        found = open_.setdefault(call, fresh)
        memory["permits"] = dict(list(open_.items())[-KEPT:])

    session.change(environ, alter)
    return found


def _open(memory: Memory) -> dict[str, tuple[str, float]]:
    found = memory.get("permits")
    if not isinstance(found, dict):
        return {}
    return {
        call: (str(one[0]), float(one[1]))
        for call, one in found.items()
        if isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[1], int | float)
    }


def _forget(call: str, name: str, environ: Mapping[str, str]) -> None:
    def alter(memory: Memory) -> None:
        open_ = _open(memory)
        if open_.get(call, ("",))[0] == name:
            del open_[call]
        memory["permits"] = open_
        hook.doing(memory, "thinking", session.lease(environ, session.TOOL), time.time())

    session.tell(environ, session.change(environ, alter))


def _awaited(
    seat: mail.Seat, name: str, until: float, status: str, environ: Mapping[str, str]
) -> Answer:
    """Wait for the end of a question; alive and busy meanwhile, and revived if it dies of this."""
    told, looked = 0.0, 0
    while (now := time.time()) < until + LATE:
        if now - told >= TOLD_AGAIN:
            told = now

            def alter(memory: Memory) -> None:
                hook.doing(memory, status[:100], max(until + LATE - time.time(), 0.0), time.time())

            session.tell(environ, session.change(environ, alter))
        if (found := _state(name, environ)) and found.get("state") in _ENDS:
            return _answer(found)
        changed = os.stat(seat.inbox).st_mtime_ns
        if changed != looked and (refusal := _bounced(seat, name)):
            return Answer(None, f"people were not asked: {refusal}", FLOODED in refusal)
        looked = changed
        time.sleep(LOOK)
    return Answer(None, "nobody answered in time")


_ENDS = ("approved", "denied", "expired", "withdrawn")


def _answer(found: Mapping[str, Any]) -> Answer:
    state, comment = found["state"], str(found.get("comment") or "")
    if state in ("expired", "withdrawn"):
        return Answer(None, "nobody answered in time")
    by = str(found.get("by") or "somebody in charge")
    return Answer(allowed=state == "approved", reason=f"{state} by {by}: {comment}".rstrip(": "))


def _state(name: str, environ: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return where the daemon says that a question stands; ``None``: it has not heard it."""
    found = session.published(environ, "questions.json").get("questions")
    known = found if isinstance(found, list) else []
    return next((one for one in known if isinstance(one, dict) and one.get("id") == name), None)


def _replies(seat: mail.Seat, name: str) -> list[mail.Mail]:
    return [
        one
        for one in mail.inbox(seat)
        if one.said.get("reply_to") == name and one.said.get("from") == PIT
    ]


def _bounced(seat: mail.Seat, name: str) -> str:
    bounces = (one for one in _replies(seat, name) if one.said.get("kind") == "bounce")
    return next((str(one.said.get("body")) for one in bounces), "")


def _acknowledge(seat: mail.Seat, name: str, answer: Answer) -> None:
    """Take the mails about a question away: the model hears of it as the result of its call."""
    deadline = time.monotonic() + SETTLED
    while True:
        found = _replies(seat, name)
        told = any(str(one.said.get("id")).startswith("decision-") for one in found)
        if told or answer.allowed is None or time.monotonic() >= deadline:
            break
        time.sleep(LOOK / 5)
    mail.acknowledge(seat, [one.file for one in found])


# ---------------------------------------------------------------- the hook


def main(words: Sequence[str], environ: Mapping[str, str] = os.environ, descriptor: int = 0) -> int:
    """Run ``lazarus hook --ask``; it ends when people have answered or had their time.

    Args:
        words: ``--ask``, and what else there is.
        environ: the agent's environment; without a heartbeat file in it nothing is done.
        descriptor: where the hook's JSON is read.

    Returns:
        0, or 2 if it could not ask: then the program does not go on.
    """
    if "--help" in words or "-h" in words:
        sys.stdout.write(hook.USAGE)
        return 0
    if not environ.get(beat.FILE):
        return 0
    try:
        answer = answered(words, hook.read(descriptor), environ)
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody has allowed the call
        sys.stderr.write(f"lazarus hook: {type(error).__name__}: {error}\n"[:500])
        return 2
    if answer:
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()
    return 0


def answered(words: Sequence[str], said: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Ask about what a hook tells, and return what the hook prints; empty: no word on it.

    Args:
        words: the hook's words: perhaps ``--mail``, perhaps the event.
        said: the hook's JSON.
        environ: the agent's environment.
    """
    names = [word for word in words if not word.startswith("--")]
    name = names[0] if names else str(said.get("hook_event_name", ""))
    event = hook.canonical(name)
    if "--mail" not in words and event != "PermissionRequest":
        hook.happened(name, said, environ)
    if event not in ("PermissionRequest", "PreToolUse"):
        sys.stderr.write(f"lazarus hook: --ask: found {name[:60]!r}, which asks for nothing\n")
        return ""
    if environ.get(MODE) == "skip":
        return ""
    tool, mode = str(said.get("tool_name") or "")[:120], str(said.get("permission_mode", ""))
    if not tool:
        raise ValueError("found no tool_name in the hook's JSON, expected what is asked about")
    if event == "PreToolUse" and is_free(tool, mode, environ):
        return ""
    answer = decide(tool, said.get("tool_input"), environ)
    is_left = answer.allowed is None and environ.get(FALLBACK) == "ask" and mode not in UNGUARDED
    if is_left:
        return ""  # The program goes on as it would without this hook: it asks at its terminal.
    told = rendered(name, mode, allowed=bool(answer.allowed), reason=answer.reason)
    return json.dumps(told) if told else ""


def rendered(name: str, mode: str, *, allowed: bool, reason: str) -> dict[str, Any] | None:
    """Return an answer as the program reads it; ``None``: it is best said by saying nothing.

    Args:
        name: the event, as the program calls it.
        mode: the program's permission mode.
        allowed: whether the call may go on.
        reason: why not, for the model.
    """
    why = f"{reason or 'not allowed'}. Do not try the same again: do without it, or end here."
    if hook.canonical(name) == "PermissionRequest":
        decision = {"behavior": "allow"} if allowed else {"behavior": "deny", "message": why}
        return {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}
    if name.lower() == "beforetool":
        return None if allowed else {"decision": "deny", "reason": why}
    if allowed and mode in UNGUARDED:
        return None
    said = {"hookEventName": "PreToolUse", "permissionDecision": "allow" if allowed else "deny"}
    return {"hookSpecificOutput": {**said, "permissionDecisionReason": reason if allowed else why}}
