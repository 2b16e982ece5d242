"""Actions: each is the command itself, run as a child, so that there is one way to do a thing.

A child also keeps long work (a restore, a checkpoint) out of the process that answers; it finishes
what it has begun even where that process ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.names import ACTOR
from lazarus_pit.formats.text import one_line

PATIENCE = 10.0
"""Seconds after which an answer no longer waits for the end of what was begun."""
_OUTPUT = 16 * 1024
MOST_WORDS = 200
"""Words of a program and its arguments."""
MOST_LISTED = 100
"""Texts of any other list."""
LONG, LONGEST = 1000, 16_000
"""Characters of a field, and of the one that may be long."""


class Verb(NamedTuple):
    """A command that may be asked for: its flags, and which of the body's fields it takes."""

    what: str
    flags: tuple[str, ...] = ()
    fields: Mapping[str, str] = {}
    """By the name in the body: the flag; an empty one stands for an argument without a flag."""
    needs: tuple[str, ...] = ()
    """Those that may not be left out."""
    given: str = ""
    """The field that the command reads from its standard input; it may be long."""
    last: str = ""
    """The field, a list of texts, that stands after ``--``: a program and its arguments."""
    switches: Mapping[str, str] = {}
    """Fields that are true or false: by the name in the body, the flag for true."""
    lists: Mapping[str, str] = {}
    """Fields that are lists of texts: by the name in the body, the flag that stands before each."""
    words: tuple[str, ...] = ()
    """The command's words, where they are not the verb's own."""
    tells_secrets: bool = False
    """Whether what the command says is for the asker alone."""
    signed: str = ""
    """The flag by which the command is told who asked."""
    ends_lives: bool = False
    """Whether it ends the lives of a whole cell, and so the questions about them."""
    asks_again: bool = False
    """Whether a refusal ends with the token that agrees to what would be lost."""


_CHECKPOINT = {"checkpoint": "--checkpoint"}
OF_AGENTS = {
    "revive": Verb("Give it a new life now.", ("--no-wait",)),
    "stop": Verb("Stop it; it stays stopped.", ("--no-wait",)),
    "start": Verb("Start it again.", ("--no-wait",)),
    "kick": Verb("Take it out of its cell.", ("--no-wait",)),
    "set": Verb(
        "Change its settings: texts NAME=VALUE, and NAME= to take one away.",
        last="settings",
        needs=("settings",),
        words=("agent", "set"),
        signed="--as",
    ),
}
OF_CELLS = {
    "freeze": Verb("Make the cell stand still.", ("--no-wait",)),
    "thaw": Verb("Let it move again.", ("--no-wait",)),
    "checkpoint": Verb("Save it.", fields={"note": "--note"}),
    "restore": Verb("Bring a checkpoint back.", fields=_CHECKPOINT, ends_lives=True),
    "undo": Verb(
        "Go back to a checkpoint by touching only what differs.",
        fields=_CHECKPOINT,
        ends_lives=True,
    ),
    "archive": Verb(
        "End the mission; the cell is kept.", words=("cell", "archive"), ends_lives=True
    ),
    "set": Verb(
        "Change its settings: texts NAME=VALUE, and NAME= to take one away.",
        last="settings",
        needs=("settings",),
        words=("cell", "set"),
        signed="--as",
        ends_lives=True,  # A higher budget ends the questions about those who are held.
    ),
    "destroy": Verb(
        "Remove an archived cell for good; what would be lost is said first.",
        fields={"token": "--token"},
        switches={"force": "--force"},
        words=("cell", "destroy"),
        ends_lives=True,
        asks_again=True,
    ),
    "verify": Verb("Check every byte of a checkpoint.", fields=_CHECKPOINT),
    "diff": Verb(
        "Say what changed between two checkpoints.",
        fields={"old": "", "new": ""},
        needs=("old",),
    ),
    "leave": Verb("Give up a person's seat.", fields={"as": "--as"}, needs=("as",)),
    "invite": Verb(
        "Invite somebody, and give the token that lets it in, once.",
        fields={"name": "", "role": "--role", "ttl": "--ttl"},
        needs=("name",),
        switches={"human": "--human"},
        tells_secrets=True,
    ),
    "fork": Verb(
        "Make a new cell of it.",
        fields={"checkpoint": "--checkpoint", "name": "--name"},
        switches={"start": "--start"},
    ),
}
OF_ALL = {
    "freeze": Verb("Make every active cell stand still.", ("--all", "--no-wait")),
    "thaw": Verb("Let every frozen cell move again.", ("--all", "--no-wait")),
}

OF_APPROVALS = {
    "approve": Verb(
        "Let it be revived, or say yes to a question.",
        ("--via=web",),
        fields={"by": "--as", "comment": "--comment"},
    ),
    "deny": Verb(
        "Leave it dead, or say no to a question.",
        ("--via=web",),
        fields={"by": "--as", "comment": "--comment"},
    ),
}

SEND = Verb(
    "Send a mail as a person of the cell.",
    fields={"as": "--as", "to": "--to", "subject": "--subject"},
    needs=("as", "to", "body"),
    given="body",
)
OF_MAIL = {
    "reply": Verb(
        "Answer a mail as a person of the cell.",
        fields={"as": "--as", "id": ""},
        needs=("as", "id", "body"),
        given="body",
    ),
    "ack": Verb(
        "Say that a person of the cell is done with a mail.",
        fields={"as": "--as", "id": ""},
        needs=("as", "id"),
    ),
}
IMPORT = Verb("Make a cell of an archive.", words=("cell", "import"))
REVOKE = Verb("Close an invitation.", words=("invitations",))
JOIN = Verb(
    "Accept an invitation: an agent is started, a person gets a seat.",
    ("--no-wait",),
    fields={"token": "", "policy": "--policy", "network": "--network"},
    lists={"allow": "--allow", "env": "--env"},
    needs=("token",),
    last="argv",
)


CREATE = Verb(
    "Create a mission cell, and give its UUID.",
    fields={"mission": "--mission", "name": "--name", "repo": "--repo"},
    needs=("mission",),
    words=("cell", "create"),
)
SPAWN = Verb(
    "Start an agent in a cell.",
    ("--no-wait",),
    fields={
        "name": "",
        "role": "--role",
        "policy": "--policy",
        "network": "--network",
        "preset": "--preset",
        "model": "--model",
        "on_revive": "--on-revive",
        "liveness": "--liveness",
    },
    lists={"allow": "--allow", "env": "--env", "rule": "--rule", "limit": "--limit"},
    needs=("name", "argv"),
    last="argv",
)


class Outcome(NamedTuple):
    """What became of a command: its exit code, ``None`` while it goes on, and what it said."""

    code: int | None
    said: str


def flags_of(verb: Verb, body: Mapping[str, Any]) -> list[str]:
    """Return the flags and arguments for what was sent.

    Raises:
        FormatError: a field that this verb does not take or that is missing, or that cannot be.
    """
    more = [name for name in (verb.given, verb.last) if name]
    known = [*verb.fields, *verb.lists, *verb.switches, *more]
    for name, value in body.items():
        if name not in known:
            expected = ", ".join(known) or "nothing"
            raise FormatError(f"body: found {one_line(name, 40)!r}, expected {expected}")
        _check_field(verb, name, value)
    for name in verb.needs:
        if name not in body:
            raise FormatError(f"{name}: missing")
    flags = [
        f"{flag}={body[name]}" if flag else str(body[name])
        for name, flag in verb.fields.items()
        if name in body
    ]
    flags += [f"{flag}={text}" for name, flag in verb.lists.items() for text in body.get(name, ())]
    flags += [flag for name, flag in verb.switches.items() if body.get(name)]
    return [*verb.flags, *flags, *(["-"] if verb.given else [])]


def _check_field(verb: Verb, name: str, value: object) -> None:
    if name == verb.last:
        _check_last(name, value)
    elif name in verb.lists:
        _check_list(name, value)
    elif name in verb.switches:
        if not isinstance(value, bool):
            raise FormatError(f"{name}: expected true or false")
    else:
        most = LONGEST if name == verb.given else LONG
        if not isinstance(value, str) or not 1 <= len(value) <= most or "\0" in value:
            raise FormatError(f"{name}: expected a text of 1 to {most} characters")
        if verb.fields.get(name) == "" and value.startswith("-"):  # It would be read as a flag.
            raise FormatError(f"{name}: expected a text that does not begin with -")


def _check_list(name: str, value: object) -> None:
    texts = value if isinstance(value, list) else [None]
    if len(texts) > MOST_LISTED or not all(
        isinstance(text, str) and 1 <= len(text) <= LONG and "\0" not in text for text in texts
    ):
        raise FormatError(
            f"{name}: expected a list of at most {MOST_LISTED} texts of 1 to {LONG} characters"
        )


def _check_last(name: str, value: object) -> None:
    words = value if isinstance(value, list) else []
    whole = all(isinstance(word, str) and len(word) <= LONGEST for word in words)
    if not (1 <= len(words) <= MOST_WORDS and whole and words[0]) or "\0" in "".join(words):
        raise FormatError(f"{name}: expected a list of 1 to {MOST_WORDS} texts, a program first")


def last_of(verb: Verb, body: Mapping[str, Any]) -> list[str]:
    """Return what stands after every flag."""
    return ["--", *body[verb.last]] if verb.last in body else []


def given_of(verb: Verb, body: Mapping[str, Any]) -> bytes:
    """Return what the command is to read from its standard input."""
    return str(body[verb.given]).encode("utf-8", "replace") if verb.given else b""


_ARGUMENT = {"pattern": "^[^-\\u0000][^\\u0000]*$"}


def schema_of(verb: Verb) -> dict[str, Any]:
    """Return the JSON schema of the body."""
    text = {"type": "string", "minLength": 1, "pattern": "^[^\\u0000]*$"}
    fields: dict[str, Any] = {
        key: {**text, "maxLength": LONG, **({} if flag else _ARGUMENT)}
        for key, flag in verb.fields.items()
    }
    fields |= {
        key: {"type": "array", "maxItems": MOST_LISTED, "items": {**text, "maxLength": LONG}}
        for key in verb.lists
    }
    fields |= {key: {"type": "boolean"} for key in verb.switches}
    if verb.given:
        fields[verb.given] = {**text, "maxLength": LONGEST}
    if verb.last:
        word = {"type": "string", "pattern": text["pattern"], "maxLength": LONGEST}
        first = {**word, "minLength": 1}
        fields[verb.last] = {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_WORDS,
            "prefixItems": [first],
            "items": word,
        }
    return {
        "type": "object",
        "properties": fields,
        "required": list(verb.needs),
        "additionalProperties": False,
    }


def run(
    argv: Sequence[str],
    patience: float | None = PATIENCE,
    given: bytes = b"",
    who: str = "",
    hold: Sequence[int] = (),
) -> Outcome:
    """Run a command for somebody and return what became of it within ``patience`` seconds.

    It inherits the descriptors in ``hold``.

    Its input and output are files and not pipes: nobody who hangs up can stop it.
    """
    with contextlib.ExitStack() as files:
        said, out, err = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        said.write(given)
        said.seek(0)
        env = {**os.environ, ACTOR: who} if who else None
        child = subprocess.Popen(
            argv, stdin=said, stdout=out, stderr=err, env=env, pass_fds=tuple(hold)
        )
        try:
            code = child.wait(patience)
        except subprocess.TimeoutExpired:
            threading.Thread(target=child.wait, daemon=True).start()
            return Outcome(None, "it goes on; its end will be among the events")
        return Outcome(code, _said(out if code == 0 else err))


def _said(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_OUTPUT).decode("utf-8", "replace").strip()
