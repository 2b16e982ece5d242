"""Mail between real members under a real daemon: forged, flooded, planted, killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import Pit, processes, send
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import Role
from lazarus_pit.formats.envelope import parse_name
from lazarus_pit.formats.manifest import Kind


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


ONE_LIFE = "lazarus beat; while :; do sleep 0.2; done # marker-flood"


def cell_of_people(pit: Pit) -> CellPaths:
    """Three members without programs: what they send and get is all that happens."""
    cell = pit.cell(name="pond")
    for name, role in (
        ("ada", Role.COORDINATOR),
        ("ben", Role.DEVELOPER),
        ("obs", Role.OBSERVER),
    ):
        pit.spawn(cell, name, role=role, kind=Kind.HUMAN)
    return cell


def drop(cell: CellPaths, sender: str, name: str, /, **fields: Any) -> None:
    whole = {"id": f"mail-{name}-0000", "to": "ben", "body": "hello"} | fields
    drop_bytes(cell, sender, name, json.dumps(whole).encode())


def drop_bytes(cell: CellPaths, sender: str, name: str, data: bytes) -> None:
    box = cell.outbox(sender)
    (box / f".{name}").write_bytes(data)
    (box / f".{name}").rename(box / f"{name}.json")


def inbox(cell: CellPaths, agent: str) -> list[dict[str, Any]]:
    names = sorted(p for p in cell.inbox(agent).iterdir() if not p.name.startswith("."))
    return [json.loads(path.read_bytes()) for path in names]


def arrived(pit: Pit, cell: CellPaths, agent: str, count: int) -> list[dict[str, Any]]:
    def enough() -> list[dict[str, Any]] | None:
        found = inbox(cell, agent)
        return found if len(found) >= count else None

    found: list[dict[str, Any]] = pit.wait(enough, f"{count} mails for {agent}")
    return found


def test_mail_goes_to_a_name_a_role_and_everyone_in_order(pit: Pit) -> None:
    cell = cell_of_people(pit)
    pit.start()
    for number in range(100):
        drop(cell, "ada", f"{number:04}", body=str(number))
    drop(cell, "ada", "1000", to="observer")
    drop(cell, "ada", "1001", to="*", subject="all")
    found = arrived(pit, cell, "ben", 101)
    assert [mail["body"] for mail in found] == [*map(str, range(100)), "hello"]
    assert {mail["from"] for mail in found} == {"ada"}
    assert len(arrived(pit, cell, "obs", 2)) == 2
    assert inbox(cell, "ada") == []
    pit.wait(lambda: not list(cell.outbox("ada").iterdir()), "an empty outbox")
    assert pit.wait_event(cell, "messages_delivered", "ada").data["times"] >= 1


def test_what_is_hostile_goes_back_with_the_reason(pit: Pit, tmp_path: Path) -> None:
    cell = cell_of_people(pit)
    secret = tmp_path / "secret"
    secret.write_text('{"id": "secret-0000", "to": "ben", "body": "stolen"}')
    pit.start()
    outbox = cell.outbox("obs")
    (outbox / "link.json").symlink_to(secret)
    os.link(secret, outbox / "hard.json")
    os.mkfifo(outbox / "fifo.json")
    (outbox / "full").mkdir()
    (outbox / "full" / "file").touch()
    drop_bytes(cell, "obs", "big", b"x" * 10_000_000)
    drop_bytes(cell, "obs", "poison", b"{" * 10_000)
    drop(cell, "obs", "forged", **{"from": "ada"})
    drop(cell, "obs", "order", kind="order")
    drop(cell, "obs", "bounce", kind="bounce")
    drop(cell, "obs", "nobody", to="nobody")
    drop(cell, "obs", "zz-good", body="after all that")
    assert [mail["body"] for mail in arrived(pit, cell, "ben", 1)] == ["after all that"]
    why = {mail["body"] for mail in arrived(pit, cell, "obs", 10)}
    assert len(why) == 10
    for part in (
        "symbolic link",
        "2 names",
        "FIFO",
        "directory",
        "10000000 bytes",
        "lay in the outbox of obs",
        "notes, not orders",
        "only the daemon",
        "no other member",
    ):
        assert any(part in reason for reason in why), part
    assert all(m["from"] == "lazarus-pit" and m["kind"] == "bounce" for m in inbox(cell, "obs"))
    pit.wait(lambda: {p.name for p in outbox.iterdir()} == {"full"}, "an outbox tidied up")
    assert pit.wait_event(cell, "message_refused", "obs", reason="forged").data["times"] == 1
    assert secret.read_text().endswith('"stolen"}')


def test_a_daemon_killed_at_any_moment_loses_and_doubles_nothing(pit: Pit) -> None:
    cell = cell_of_people(pit)
    pit.start()
    count = 400
    for part in range(4):
        for number in range(part * 100, part * 100 + 100):
            drop(cell, "ada", f"{number:04}", body=str(number))
        arrived(pit, cell, "ben", part * 100 + 7 * part + 1)
        pit.kill9()
        pit.start()
    found = arrived(pit, cell, "ben", count)
    assert [mail["body"] for mail in found] == [str(number) for number in range(count)]
    pit.wait(lambda: not list(cell.outbox("ada").iterdir()), "an empty outbox")
    assert not [p for p in cell.inbox("ben").iterdir() if p.name.startswith(".")]


def test_a_full_inbox_refuses_and_an_acknowledgement_makes_room(pit: Pit) -> None:
    cell = cell_of_people(pit)
    for number in range(1003):
        drop(cell, "ada", f"{number:04}")
    pit.start()
    assert len(arrived(pit, cell, "ada", 3)) == 3
    assert "inbox of ben is full" in inbox(cell, "ada")[0]["body"]
    names = sorted(os.listdir(cell.inbox("ben")))
    assert len(names) == 1000
    drop_bytes(cell, "ben", "ack", json.dumps({"ack": names[:10]}).encode())
    pit.wait(lambda: len(os.listdir(cell.inbox("ben"))) == 990, "room")
    assert sorted(os.listdir(cell.done("ben"))) == names[:10]
    drop(cell, "ada", "0000")  # Acknowledged long ago: the same mail, sent again.
    drop(cell, "ada", "2000")
    assert arrived(pit, cell, "ben", 991)[-1]["id"] == "mail-2000-0000"


def test_expired_mail_is_a_dead_letter(pit: Pit) -> None:
    cell = cell_of_people(pit)
    pit.start()
    drop(cell, "ada", "late", expires="2026-01-01T00:00:00Z")
    assert "expired" in arrived(pit, cell, "ada", 1)[0]["body"]
    (dead,) = cell.dead("ben").iterdir()
    assert parse_name(dead.name).sender == "ada"
    assert "expired" in json.loads(dead.read_bytes())["dead_because"]
    assert inbox(cell, "ben") == []
    pit.wait_event(cell, "message_dead_lettered", "ada", reason="expired")


ASKING = (
    "lazarus mail send --to helper --subject question 'what is six times seven?'; "
    'while ! lazarus mail inbox | grep -q "helper: Re: question"; '
    "do lazarus beat; sleep 0.1; done; "
    "lazarus mail read; echo got it; while :; do lazarus beat; sleep 0.2; done"
)
ANSWERING = (
    "lazarus beat --busy 60; lazarus mail wait || exit 8; "
    'lazarus mail check --inject | grep -q "six times" || exit 9; '
    "id=$(lazarus mail inbox | cut -d' ' -f1); lazarus mail reply $id forty-two; "
    "lazarus mail ack $id; while :; do lazarus beat; sleep 0.2; done"
)


def test_two_agents_behind_their_walls_ask_and_answer(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "helper", "/bin/sh", "-c", ANSWERING)
    pit.spawn(cell, "asker", "/bin/sh", "-c", ASKING)
    pit.wait_event(cell, "agent_ready", "asker")
    pit.wait(lambda: "got it" in cell.log("asker").read_text(), "the answer")
    assert "forty-two" in cell.log("asker").read_text()
    pit.wait(lambda: len(os.listdir(cell.done("helper"))) == 1, "the acknowledgement")
    assert inbox(cell, "helper") == []
    assert inbox(cell, "asker")[0]["reply_to"]


def test_mail_that_no_life_acknowledges_is_a_dead_letter(pit: Pit) -> None:
    cell = cell_of_people(pit)
    drop(cell, "ada", "poison", to="weak")
    pit.spawn(cell, "weak", "/bin/sh", "-c", "lazarus beat; sleep 0.1; exit 3")
    pit.start()
    pit.wait(lambda: os.path.isdir(cell.dead("weak")) and os.listdir(cell.dead("weak")), "dead")
    dead = json.loads(next(cell.dead("weak").iterdir()).read_bytes())
    assert "not acknowledged in" in dead["dead_because"]
    assert "never read it" in arrived(pit, cell, "ada", 1)[0]["body"]
    assert inbox(cell, "weak") == []


def test_a_flood_of_one_delays_neither_mail_nor_lives_of_others(pit: Pit) -> None:
    cell = cell_of_people(pit)
    pit.spawn(cell, "worker", "/bin/sh", "-c", ONE_LIFE, rules={"resurrect_after": 60.0})
    for number in range(5000):
        drop(cell, "obs", f"{number:05}", to="ada")
    pit.start()
    drop(cell, "ada", "one")
    first = arrived(pit, cell, "ben", 1)[0]
    pit.wait_event(cell, "agent_ready", "worker")
    send(max(processes("marker-flood", cell)), signal.SIGKILL)
    pit.wait_event(cell, "agent_revived", "worker")
    assert first["from"] == "ada"
    assert pit.wait_event(cell, "message_refused", "obs", reason="inbox_full")
    assert len(inbox(cell, "ada")) <= 1000
    assert len(pit.events(cell, "message_refused")) < 10


def lazarus(pit: Pit, *words: str, code: int = 0) -> str:
    """Type a command at the host."""
    argv = [sys.executable, "-m", "lazarus_pit.cli.main", *words, "--root", str(pit.root)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAZARUS_")}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def test_people_write_from_the_host_whether_the_daemon_is_up_or_down(pit: Pit) -> None:
    cell = cell_of_people(pit)
    pit.spawn(cell, "worker", "/bin/sh", "-c", ONE_LIFE)
    ada, ben = ("--cell", "pond", "--as", "ada"), ("--cell", "pond", "--as", "ben")
    sent = lazarus(pit, "mail", "send", *ada, "--to", "ben", "--subject", "tea", "at five").strip()
    assert "no mail" in lazarus(pit, "mail", "inbox", *ben)
    pit.start()
    arrived(pit, cell, "ben", 1)
    assert lazarus(pit, "mail", "inbox", *ben) == f"{sent}  ada: tea\n"
    assert "at five" in lazarus(pit, "mail", "read", *ben, sent[:6])
    lazarus(pit, "mail", "reply", *ben, sent, "gladly")
    lazarus(pit, "mail", "ack", *ben, sent)
    assert arrived(pit, cell, "ada", 1)[0]["reply_to"] == sent
    pit.wait(lambda: not inbox(cell, "ben"), "the acknowledgement")
    log = lazarus(pit, "mail", "log", "--cell", "pond").splitlines()
    assert [line.split("  ", 1)[1] for line in log] == [
        "ada > ben  done  tea",
        "ben > ada  waiting  Re: tea",
    ]
    assert lazarus(pit, "mail", "log", "--cell", "pond", "--last", "1").splitlines() == log[1:]
    agents = json.loads(lazarus(pit, "cell", "show", "pond", "--json"))["agents"]
    assert {one["name"]: one["unread"] for one in agents} == {
        "ada": 1,
        "ben": 0,
        "obs": 0,
        "worker": 0,
    }
    assert "--last" in lazarus(pit, "mail", "log", "--cell", "pond", "--last", "x", code=2)
    stranger = ("--cell", "pond", "--as", "worker")
    refused = lazarus(pit, "mail", "send", *stranger, "--to", "ben", "no", code=2)
    assert "expected a person of this cell (ada, ben, obs)" in refused
