"""A member's side of the bus: drop mail into the own outbox, read the own inbox, acknowledge.

Standard library only, for it also runs inside a cell, where nothing else is. No daemon has to be
up: what is sent waits in the outbox. The environment says where: ``LAZARUS_INBOX``,
``LAZARUS_OUTBOX`` and, so that mail is shown again to a new life, ``LAZARUS_GENERATION``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lazarus_pit import wake
from lazarus_pit import words as words_of
from lazarus_pit.words import Words, WordsError

USAGE = """\
Usage: lazarus mail COMMAND [options]

  send --to WHO [BODY]   WHO is a member, a role (developer, reviewer, observer, coordinator) or *
  reply ID [BODY]        answer a mail
  inbox                  list what is not acknowledged yet
  read [ID]              show a mail, by itself the oldest
  ack ID...              say that you are done with it; until then it stays in the inbox
  check --inject         show what is new to this life, for a hook; always exits 0
  wait                   stand still until mail comes, and print none of it; --timeout SECONDS:
                         exits 1 if none has come by then

  --subject TEXT         one line
  --order                it asks for something to be done; observers may not
  --expires-in SECONDS   after that it is of no use
  --json                 for programs

At the host, as a person of a cell: --cell CELL --as MEMBER, and --root or --config; there also
  log --cell CELL        all mail of the cell that is still there; --last N (50)
BODY is one argument, or - for standard input. ID may be the beginning of an id.
Example: lazarus mail send --to reviewer --subject "Chapter 2" "Ready, see workspace/two.md"
"""

MAX_MAIL = 1 << 20
"""Bytes of one mail that are read."""
MAX_BODY = 64 * 1024
"""Characters of a body that the daemon takes."""
INJECT_CHARS = 8000
"""Characters that ``check --inject`` prints at most."""
INJECT_EACH = 2000
"""Characters of one body that ``check --inject`` prints."""
SEEN = ".seen"
"""In the outbox: which mail ``check --inject`` showed last, and to which life."""

WOKEN = ".woken"
"""In the outbox: up to which mail ``wait`` has waited, and in which life."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class MailError(WordsError):
    """What was asked for cannot be: wrong use."""


class _NothingError(Exception):
    """No mail has come in time."""


class Seat(NamedTuple):
    """Where a member's mail lies."""

    inbox: str
    outbox: str
    generation: str = ""
    """Which life of the member this is; empty for a person."""


class Mail(NamedTuple):
    """One mail in an inbox."""

    file: str
    """Its name in the inbox, by which it is acknowledged."""
    said: Mapping[str, Any]


def seat(environ: Mapping[str, str]) -> Seat:
    """Return the seat that an agent's environment names.

    Raises:
        MailError: this is no agent's environment.
    """
    try:
        inbox, outbox = environ["LAZARUS_INBOX"], environ["LAZARUS_OUTBOX"]
    except KeyError as error:
        raise MailError(
            f"{error.args[0]} is not set: outside a cell say --cell CELL and --as MEMBER"
        ) from None
    return Seat(inbox, outbox, environ.get("LAZARUS_GENERATION", ""))


# ---------------------------------------------------------------- sending


def send(at: Seat, to: str, body: str, **more: str | None) -> str:
    """Drop a mail into the outbox, durable before it can be seen, and return its id.

    Args:
        at: whose outbox.
        to: a member's name, a role, or ``*``.
        body: the text.
        more: ``subject``, ``kind``, ``reply_to``, ``expires``, ``id``; see docs/guides/mail.md.

    Raises:
        OSError: it was not sent.
    """
    mail_id = more.get("id") or secrets.token_hex(12)
    said = {"id": mail_id, "to": to, "body": body, "sent_at": _rfc3339(time.time())}
    _drop(at, said | {name: value for name, value in more.items() if value is not None})
    return mail_id


def acknowledge(at: Seat, files: Sequence[str]) -> None:
    """Ask the daemon to take these mails out of the inbox: names as in ``Mail.file``.

    Raises:
        OSError: it was not written.
    """
    for start in range(0, len(files), 500):
        _drop(at, {"ack": list(files[start : start + 500])}, "ack")


def _drop(at: Seat, said: Mapping[str, Any], what: str = "mail") -> None:
    """Names sort by the clock: that is the order in which the daemon takes them."""
    name = f"{time.time_ns():020d}-{what}-{secrets.token_hex(4)}.json"
    part = f"{at.outbox}/.{name}"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(json.dumps(said).encode())
            file.flush()
            os.fsync(fd)
        os.rename(part, f"{at.outbox}/{name}")
    except BaseException:
        os.unlink(part)
        raise


# ---------------------------------------------------------------- reading


def inbox(at: Seat) -> list[Mail]:
    """Return what waits and is not acknowledged, in the order of delivery.

    Raises:
        OSError: the inbox cannot be read.
    """
    gone = _acknowledged(at)
    found = []
    for file in sorted(os.listdir(at.inbox)):
        if file.startswith(".") or not file.endswith(".json") or file in gone:
            continue
        if (said := _read(f"{at.inbox}/{file}")) is not None and "id" in said:
            found.append(Mail(file, said))
    return found


def _acknowledged(at: Seat) -> set[str]:
    """Return the mails whose acknowledgement the daemon has not seen yet."""
    acks = (name for name in os.listdir(at.outbox) if "-ack-" in name and name[0] != ".")
    return {file for name in acks for file in (_read(f"{at.outbox}/{name}") or {}).get("ack", ())}


def _read(path: str) -> dict[str, Any] | None:
    """Return a JSON object, ``None`` where there is none any more or none that can be read."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(MAX_MAIL))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def find(at: Seat, mail_id: str = "") -> Mail:
    """Return the mail whose id begins so; without an id the oldest.

    Raises:
        MailError: none or several are meant.
        OSError: the inbox cannot be read.
    """
    found = [mail for mail in inbox(at) if str(mail.said["id"]).startswith(mail_id)]
    if not found:
        raise MailError(f"no mail {mail_id}".rstrip() + " in the inbox")
    if mail_id and len(found) > 1:
        raise MailError(f"{mail_id} means {len(found)} mails: say more of the id")
    return found[0]


def new(at: Seat) -> list[Mail]:
    """Return what this life has not been shown by ``check --inject``; all of it to a new life.

    Raises:
        OSError: the inbox cannot be read.
    """
    last = _mark(at, SEEN)
    return [mail for mail in inbox(at) if mail.file > last]


def _mark(at: Seat, name: str) -> str:
    """Return which mail a mark of this life names; empty if there is none."""
    found = _read(f"{at.outbox}/{name}") or {}
    return str(found.get("file", "")) if found.get("generation") == at.generation else ""


def _remember(at: Seat, name: str, file: str) -> None:
    part = f"{at.outbox}/{name}.{os.getpid()}"
    with open(part, "w", encoding="ascii") as made:
        json.dump({"generation": at.generation, "file": file}, made)
    os.rename(part, f"{at.outbox}/{name}")


# ---------------------------------------------------------------- the command


def _inert(value: object) -> str:
    """Return text of strangers in which a terminal finds nothing to obey; lines stay lines."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value or ""))


def _line(mail: Mail) -> str:
    said = mail.said
    kind = "" if said.get("kind") == "note" else f"[{_inert(said.get('kind'))}] "
    return f"{said['id']}  {_inert(said.get('from'))}: {kind}{_inert(said.get('subject'))}"


def _whole(mail: Mail, mark: str = "") -> str:
    fields = ("id", "from", "to", "kind", "subject", "sent_at", "reply_to", "expires")
    head = [f"{name}: {_inert(mail.said[name])}" for name in fields if mail.said.get(name)]
    body = _inert(mail.said.get("body")).replace("\n", f"\n{mark}")
    return "\n".join([*head, "", mark + body])


def _rfc3339(unix: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))


FLAGS = {
    **dict.fromkeys(("--to", "--subject", "--expires-in", "--timeout"), 1),
    **dict.fromkeys(("--order", "--json", "--inject"), 0),
}
"""Flags, and how many words follow each."""


def _body(words: Sequence[str]) -> str:
    if len(words) > 1:
        raise MailError(f"found {len(words)} texts, expected one BODY in quotes, or -")
    text = words[0] if words else ""
    text = sys.stdin.read(MAX_BODY + 1) if text == "-" else text
    if len(text) > MAX_BODY:
        raise MailError(f"BODY: more than {MAX_BODY} characters: put it into a file and name that")
    return text


def _expires(given: Mapping[str, str]) -> str | None:
    seconds = words_of.seconds(given, "--expires-in")
    return None if seconds is None else _rfc3339(time.time() + seconds)


def _send(at: Seat, words: Words) -> None:
    if "--to" not in words.given:
        raise MailError("send: expected --to WHO")
    _post(at, words, words.given["--to"], words.plain, words.given.get("--subject"), None)


def _reply(at: Seat, words: Words) -> None:
    if not words.plain:
        raise MailError("reply: expected the ID of a mail")
    said = find(at, words.plain[0]).said
    subject = words.given.get("--subject") or f"Re: {said.get('subject', '')}"[:200]
    _post(at, words, str(said.get("from")), words.plain[1:], subject, str(said["id"]))


def _post(  # noqa: PLR0913, PLR0917 - all that a mail is made of
    at: Seat, words: Words, to: str, body: Sequence[str], subject: str | None, reply_to: str | None
) -> None:
    kind = "order" if "--order" in words.given else "note"
    expires = _expires(words.given)
    more = {"subject": subject, "kind": kind, "reply_to": reply_to, "expires": expires}
    _say(send(at, to, _body(body), **more))


def _inbox(at: Seat, words: Words) -> None:
    found = inbox(at)
    if "--json" in words.given:
        _say(json.dumps([mail.said for mail in found]))
    else:
        _say("\n".join(_line(mail) for mail in found) or "no mail")


def _show(at: Seat, words: Words) -> None:
    mail = find(at, *words.plain[:1])
    _say(json.dumps(mail.said) if "--json" in words.given else _whole(mail))


def _ack(at: Seat, words: Words) -> None:
    if not words.plain:
        raise MailError("ack: expected the ID of a mail")
    acknowledge(at, [find(at, mail_id).file for mail_id in words.plain])


def _say(text: str) -> None:
    sys.stdout.write(f"{_inert(text)}\n")
    sys.stdout.flush()


def _check(at: Seat, words: Words) -> None:
    if "--inject" not in words.given:
        raise MailError("check: expected --inject")
    if text := unseen(at):
        _say(text)


def unseen(at: Seat) -> str:
    """Return what is new, whole mails as long as they fit, and remember the last one that did.

    Raises:
        OSError: the inbox cannot be read, or what was shown cannot be remembered.
    """
    found = new(at)
    shown: list[str] = []
    for mail in found:
        text = _whole(mail, "> ")  # What a body says must not pass for a mail of another's.
        cut = text[:INJECT_EACH] + ("\n(cut: lazarus mail read)" if text[INJECT_EACH:] else "")
        if sum(map(len, shown)) + len(cut) > INJECT_CHARS:
            break
        shown.append(f"--- mail {len(shown) + 1}\n{cut}")
    if not shown:
        return ""
    _remember(at, SEEN, found[len(shown) - 1].file)
    head = (
        f"You have {len(found)} new mail. It is from other members of your mission, not from your "
        "operator; their words follow >. Acknowledge what you are done with: lazarus mail ack ID"
    )
    return "\n".join([head, *shown])


def _wait(at: Seat, words: Words) -> None:
    """Stand still until there is mail that was not yet shown, nor waited for by this life."""
    patience = words_of.seconds(words.given, "--timeout")
    after = max(_mark(at, SEEN), _mark(at, WOKEN))
    if not (found := wake.wait(at.inbox, after, patience)):
        raise _NothingError
    _remember(at, WOKEN, found)


COMMANDS: dict[str, Callable[[Seat, Words], None]] = {
    "send": _send,
    "reply": _reply,
    "inbox": _inbox,
    "read": _show,
    "ack": _ack,
    "check": _check,
    "wait": _wait,
}


def _command(name: str) -> Callable[[Seat, Words], None]:
    if name not in COMMANDS:
        raise MailError(f"found {name!r}, expected one of {' '.join(COMMANDS)}")
    return COMMANDS[name]


def main(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run ``lazarus mail``; return its exit code.

    0 done, 1 no mail has come, 2 wrong use, 75 the disk refused.
    """
    if not words or "--help" in words or "-h" in words:
        sys.stdout.write(USAGE)
        return 0
    name = words[0]
    quiet = name == "check"  # A hook that fails would stop its agent's turn.
    try:
        _command(name)(seat(environ), words_of.parse(words[1:], FLAGS))
    except _NothingError:
        return 1
    except WordsError as error:
        sys.stderr.write(f"lazarus mail: {_inert(error)}\n")
        return 0 if quiet else 2
    except (OSError, ValueError) as error:
        sys.stderr.write(f"lazarus mail: {_inert(error)}\n")
        return 0 if quiet else 75
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
