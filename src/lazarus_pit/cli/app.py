"""``lazarus``: the verbs in one table; the code of each is loaded when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from lazarus_pit import __version__
from lazarus_pit.cli.guard import guarded
from lazarus_pit.errors import UsageError


class Verb(NamedTuple):
    """One thing that can be done: where its code is, what it does, and how it is typed.

    ``takes`` are its arguments, where the signature does not say them well enough.
    """

    code: str
    what: str
    example: str
    takes: str = ""


VERBS: dict[str, Verb] = {
    "up": Verb("up:up", "Run the daemon in the foreground.", "lazarus up"),
    "status": Verb(
        "status:status", "Show the cells and agents that are watched.", "lazarus status"
    ),
    "top": Verb("top.verb:top", "Watch the fleet and act on it, in a terminal.", "lazarus top"),
    "cells": Verb("cells:cells", "List every cell, archived ones too.", "lazarus cells --json"),
    "cell create": Verb(
        "cells:create",
        "Create a mission cell.",
        'lazarus cell create --name pond --mission "Write the field guide"',
    ),
    "cell show": Verb("cells:show", "Show one cell.", "lazarus cell show pond"),
    "cell path": Verb(
        "cells:path",
        "Print a cell's directory, for scripts.",
        "lazarus cell path pond",
    ),
    "cell archive": Verb(
        "endings:archive",
        "End a mission: its agents are stopped, the cell is kept.",
        "lazarus cell archive pond",
    ),
    "cell export": Verb(
        "moving:export",
        "Write a cell into one archive, to move it elsewhere.",
        "lazarus cell export pond /tmp/pond.tar.gz",
    ),
    "cell import": Verb(
        "moving:import_",
        "Make a cell of an archive from elsewhere.",
        "lazarus cell import /tmp/pond.tar.gz",
    ),
    "cell destroy": Verb(
        "endings:destroy",
        "Remove an archived cell for good.",
        "lazarus cell destroy pond",
    ),
    "cell set": Verb(
        "setting:set_cell",
        "Change settings of a cell: rules, budgets, limits, intervals.",
        "lazarus cell set pond mission_minutes=600 checkpoint_interval=900",
        "CELL NAME=VALUE...",
    ),
    "agent set": Verb(
        "setting:set_agent",
        "Change settings of one agent: rules, budgets, limits.",
        "lazarus agent set pond/scribe revive_policy=ask budget_turns=200",
        "AGENT NAME=VALUE...",
    ),
    "spawn": Verb(
        "spawn:spawn",
        "Start an agent in a cell. The program and its arguments follow --.",
        "lazarus spawn pond scribe --role developer -- python3 scribe.py",
        "CELL NAME [OPTIONS] -- PROGRAM [ARGUMENT...]",
    ),
    "stop": Verb("agents:stop", "Stop an agent; it stays stopped.", "lazarus stop pond/scribe"),
    "start": Verb("agents:start", "Start a stopped agent again.", "lazarus start pond/scribe"),
    "revive": Verb(
        "agents:revive",
        "Give an agent a new life now; clears used attempts and holds.",
        "lazarus revive pond/scribe",
    ),
    "approvals": Verb(
        "approvals:approvals",
        "List the requests that wait for a person's word.",
        "lazarus approvals --all",
    ),
    "approve": Verb(
        "approvals:approve",
        "Let a dead agent be revived, a held one go on; say yes to a question.",
        "lazarus approve pond/scribe",
    ),
    "deny": Verb(
        "approvals:deny",
        "Leave a dead agent dead, end a held one; say no to a question.",
        "lazarus deny pond/scribe",
    ),
    "invite": Verb(
        "inviting:invite",
        "Invite somebody into a cell: prints the token that lets it in, once.",
        "lazarus invite pond scribe --role developer --ttl 1h",
    ),
    "join": Verb(
        "inviting:join",
        "Accept an invitation. An agent's program and its arguments follow --.",
        "lazarus join invite-5Wq... -- python3 scribe.py",
        "TOKEN [OPTIONS] [-- PROGRAM ARGUMENT...]",
    ),
    "leave": Verb(
        "inviting:leave", "Give up a person's seat in a cell.", "lazarus leave pond --as ada"
    ),
    "invitations": Verb(
        "inviting:invitations",
        "List the invitations that can still be accepted.",
        "lazarus invitations pond --all",
        "[OPTIONS] [CELL]",
    ),
    "channels": Verb(
        "channels:channels",
        "List the channels on which people are asked, and how each is.",
        "lazarus channels --json",
    ),
    "channel serve": Verb(
        "channels:serve",
        "Ask and hear people on every configured channel, in the foreground.",
        "lazarus channel serve",
    ),
    "kick": Verb(
        "agents:kick",
        "Take a member out of its cell; its directories stay.",
        "lazarus kick pond/scribe",
    ),
    "checkpoint": Verb(
        "checkpoints:checkpoint",
        "Save a cell.",
        'lazarus checkpoint pond --note "before the merge"',
    ),
    "checkpoints": Verb(
        "checkpoints:checkpoints", "List a cell's checkpoints.", "lazarus checkpoints pond"
    ),
    "verify": Verb(
        "checkpoints:verify", "Check every byte of a checkpoint.", "lazarus verify pond"
    ),
    "diff": Verb(
        "checkpoints:diff",
        "Say what changed between two checkpoints.",
        "lazarus diff pond 20260406 latest",
        "[OPTIONS] CELL OLD [NEW]",
    ),
    "restore": Verb(
        "checkpoints:restore",
        "Bring a checkpoint back; agents are stopped before and started after.",
        "lazarus restore pond --checkpoint 20260406T1",
    ),
    "undo": Verb(
        "checkpoints:undo",
        "Go back to a checkpoint by touching only what differs.",
        "lazarus undo pond",
    ),
    "fork": Verb(
        "forking:fork", "Make a new cell of a checkpoint.", "lazarus fork pond --name pond-b"
    ),
    "freeze": Verb(
        "freezing:freeze", "Make a cell stand still.", "lazarus freeze pond", "[OPTIONS] CELL|--all"
    ),
    "thaw": Verb(
        "freezing:thaw",
        "Let a frozen cell move again.",
        "lazarus thaw pond",
        "[OPTIONS] CELL|--all",
    ),
    "why": Verb(
        "why:why",
        "Explain an agent's state: the readings, the decision, what comes next.",
        "lazarus why pond/scribe",
    ),
    "events": Verb(
        "events:events", "Show what happened.", "lazarus events pond -f", "[OPTIONS] [WHAT]"
    ),
    "logs": Verb("logs:logs", "Show what an agent printed.", "lazarus logs pond/scribe -f"),
    "shell": Verb(
        "shell:shell",
        "Open a shell inside the walls of an agent, or of a visitor to its cell.",
        "lazarus shell pond scribe",
        "[OPTIONS] CELL [AGENT]",
    ),
    "sandbox explain": Verb(
        "explain:explain",
        "Say what holds an agent, layer by layer, and the exact command.",
        "lazarus sandbox explain pond/scribe",
    ),
    "beat": Verb(
        "beat:beat",
        "Send a heartbeat from inside a cell (`lazarus beat --help`).",
        "lazarus beat --status thinking --cycle 7",
    ),
    "mcp": Verb(
        "mcp:mcp",
        "Offer the team's tools by MCP, on standard input and output.",
        "lazarus mcp --cell pond --as ada",
    ),
    "hook": Verb(
        "hook:hook",
        "Tell the pit what a program's hook says (`lazarus hook --help`).",
        "lazarus hook PreToolUse",
    ),
    "mail": Verb(
        "mail:mail",
        "Mail between the members of a cell (`lazarus mail --help`).",
        'lazarus mail send --cell pond --as ada --to scribe --subject "Chapter 2" "Please read it"',
    ),
    "doctor": Verb(
        "doctor:doctor",
        "Check the machine, the sandbox and the configuration.",
        "lazarus doctor",
    ),
    "web serve": Verb(
        "web:serve",
        "Serve the HTTP API and the page in the foreground.",
        "lazarus web serve --port 8767",
    ),
    "web link": Verb(
        "web:link",
        "Print a link to the page that logs in once, within ten minutes.",
        "lazarus web link --role viewer",
    ),
    "web token": Verb(
        "web:token",
        "Print a token for a program that reads the API.",
        "lazarus web token --as prometheus > prometheus.token",
    ),
    "simulate": Verb(
        "simulate:simulate",
        "Try the supervisor against simulated faults, in virtual time.",
        "lazarus simulate --seeds 50",
    ),
    "demo": Verb("demo:demo", "Watch two real agents die and come back.", "lazarus demo"),
    "completion": Verb(
        "completion:completion",
        "Print the shell's completion script.",
        "lazarus completion bash > ~/.local/share/bash-completion/completions/lazarus",
    ),
}

SPELLINGS = {
    ("checkpoint", "verify"): "verify",
    ("checkpoint", "diff"): "diff",
    ("channels", "serve"): "channel serve",
}
"""Two words that mean another verb: ``checkpoint`` itself takes a cell's name in that place."""

NOUNS = {
    "cell": "Create, show, change, archive or destroy a mission cell.",
    "agent": "Change an agent's settings.",
    "channel": "The channels on which people are asked.",
    "web": "The HTTP API and its page.",
    "sandbox": "Look at an agent's walls.",
}
GROUPS = {
    "Daemon and machine": "up doctor web channel demo simulate completion",
    "Looking": "status top why events logs cells",
    "Cells": "cell freeze thaw",
    "Agents": "spawn start stop revive agent shell sandbox",
    "People and members": "approvals approve deny channels invite join invitations leave kick mail",
    "Checkpoints": "checkpoint checkpoints restore undo fork diff verify",
    "Inside a cell": "beat hook mcp",
}
"""Under which heading `lazarus --help` shows each verb and noun."""
EPILOGUE = "Exit codes: 0 good, 1 unhealthy or failed, 2 wrong use or configuration, 75 try again."


def build() -> App:
    """Return the command line; the code of a verb is imported when it is used."""
    app = App(
        name="lazarus",
        help="Keeps the missions of AI agents alive.",
        version=__version__,
        help_format="plaintext",
        help_formatter="plain",
        help_epilogue=EPILOGUE,
        result_action="return_value",
        default_parameter=Parameter(show_default=lambda value: value or None),
    )
    headings = {title: Group(title, sort_key=place) for place, title in enumerate(GROUPS)}
    under = {word: headings[title] for title, words in GROUPS.items() for word in words.split()}
    nouns = {name: App(name=name, help=what, group=under[name]) for name, what in NOUNS.items()}
    for noun in nouns.values():
        app.command(noun)
    for words, verb in VERBS.items():
        first, _, name = words.rpartition(" ")
        place = nouns[first] if first else app
        code = f"{__package__}.{verb.code}"
        epilogue = f"Example: {verb.example}\n\n{EPILOGUE}"
        shown: dict[str, Any] = (
            {"usage": f"Usage: lazarus {words} {verb.takes}"} if verb.takes else {}
        )
        shown |= {} if first else {"group": under[words]}
        place.command(code, name=name, help=verb.what, help_epilogue=epilogue, **shown)
    return app


def run(words: Sequence[str]) -> int:
    """Do what was typed and return the exit code. Nothing escapes as a traceback."""
    return guarded(lambda: _run(spelled(hoist(words))))


def _run(words: Sequence[str]) -> int:
    app = build()
    try:
        _check_spawn(app, words)
        result = app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(_misuse(error)) from None
    return result if isinstance(result, int) else 0


def _misuse(error: CycloptsError) -> str:
    """Say what was typed wrong, and which help says what is right."""
    verb = " ".join(error.command_chain or ())
    said = str(error)
    if isinstance(error, UnusedCliTokensError):
        said = f"{verb}: found {' '.join(error.unused_tokens or ())!r}, expected nothing more"
    return f"{said.rstrip('.')} (see `{' '.join(filter(None, ('lazarus', verb)))} --help`)"


def hoist(words: Sequence[str]) -> list[str]:
    """Move ``--root`` and ``--config`` from before the verb to among its own options."""
    front: list[str] = []
    rest = list(words)
    while rest and rest[0].partition("=")[0] in ("--root", "--config"):
        take = 1 if "=" in rest[0] else 2
        front += rest[:take]
        rest = rest[take:]
    end = rest.index("--") if "--" in rest else len(rest)
    return rest[:end] + front + rest[end:] if rest else front


def _check_spawn(app: App, words: Sequence[str]) -> None:
    """Refuse a name that is really the program: ``spawn CELL -- sleep 1`` has forgotten it.

    Raises:
        UsageError: fewer than two words stand before ``--``.
    """
    if words[:1] != ["spawn"] or "--" not in words:
        return
    front = list(words[: words.index("--")])
    _, bound, _ = app.parse_args([*front, "--", "program"], exit_on_error=False, print_error=False)
    if "program" not in bound.arguments.get("argv", ()):
        raise UsageError("spawn: expected CELL NAME -- PROGRAM ..., found no NAME before --")


def spelled(words: Sequence[str]) -> list[str]:
    """Return the words with every verb in its own spelling."""
    verb = SPELLINGS.get((words[0], words[1])) if len(words) > 1 else None
    return [*verb.split(), *words[2:]] if verb else list(words)
