"""What a coordinator may have the daemon do, heard once though the daemon is killed in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.budget import Curb, Tab, Total
from lazarus_pit.core.model import CellStatus, Desired, Phase, RevivePolicy, Role, Rules
from lazarus_pit.daemon import clerk as clerks
from lazarus_pit.daemon import teaming
from lazarus_pit.daemon.router import Answer
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.manifest import Manifest, Member, with_member
from office import ROLES, Office


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.mark.parametrize("subject", ["revive ben", "checkpoint", "invite eve observer"])
def test_nobody_but_a_coordinator_is_heard(office: Office, subject: str) -> None:
    before = office.manifest
    for sender in ("ben", "cat", "obs"):
        answer = office.ask(subject, sender)
        assert answer is not None
        assert answer.sort == "not_allowed"
        assert f"only coordinators may ask for this, you are {ROLES[sender]}" in answer.text
    assert office.manifest == before
    assert (office.saves, office.pit.records.exists()) == ([], False)


def test_a_revive_is_heard_once(office: Office) -> None:
    assert office.ask("revive ben") == Answer("", "ben gets a new life")
    office.restart()
    office.ask("revive ben")
    assert office.member("ben").request == 1
    office.ask("revive ben", mail_id="mail-0002")
    assert office.member("ben").request == 2


def people_stopped(office: Office) -> None:
    def stop(old: Manifest) -> Manifest:
        return with_member(old, replace(office.member("ben"), desired=Desired.STOP))

    store.update_manifest(office.cell, stop)


def people_froze(office: Office) -> None:
    provision.move_cell(office.cell, CellStatus.FROZEN)


def people_decide(office: Office) -> None:
    key = f"{office.cell.uuid}/ben"
    office.agents[key] = Agent(key=key, rules=Rules(revive_policy=RevivePolicy.ASK))


def people_are_asked(office: Office) -> None:
    key = f"{office.cell.uuid}/ben"
    held = Curb(number=1, tab=Tab(), uptime=1.0, total=Total())
    office.agents[key] = Agent(key=key, phase=Phase.HELD, reason="loop", curb=held)


def people_said_no(office: Office) -> None:
    key = f"{office.cell.uuid}/ben"
    office.agents[key] = Agent(key=key, phase=Phase.ESCALATED, reason="denied")


@pytest.mark.parametrize(
    "wish", [people_stopped, people_froze, people_decide, people_are_asked, people_said_no]
)
def test_what_people_want_stands_above_a_coordinator(
    office: Office, wish: Callable[[Office], None]
) -> None:
    wish(office)
    answer = office.ask("revive ben")
    assert answer is not None
    assert answer.sort == "not_allowed"
    assert office.member("ben").request == 0


def test_a_coordinator_has_bounds(office: Office) -> None:
    sorts = []
    for number in range(clerks.ASKED_MAX + 1):
        answer = office.ask("revive ben", mail_id=f"mail-{number:04}")
        assert answer is not None
        sorts.append(answer.sort)
    assert sorts.count("") == office.member("ben").request == clerks.REVIVES_MAX
    assert sorts[-1] == "rate"


@pytest.mark.parametrize(("whom", "why"), [("ada", "you live"), ("zoe", "no agent of this cell")])
def test_a_coordinator_revives_others_of_its_cell(office: Office, whom: str, why: str) -> None:
    answer = office.ask(f"revive {whom}")
    assert answer is not None
    assert answer.sort == "not_allowed"
    assert why in answer.text


def test_a_coordinator_gets_a_token_and_nobody_else_sees_it(office: Office) -> None:
    office.drop("invite eve reviewer 30min")
    office.router.route([office.desk("ada")])
    (answer,) = office.inbox("ada")
    assert (answer["from"], answer["kind"], answer["reply_to"]) == (
        *("lazarus-pit", "note"),
        "mail-0001",
    )
    token = answer["body"].partition("lazarus join ")[2].split()[0]
    launch = Member(name="x", role=Role.OBSERVER, command=("true",))
    assert teaming.join(office.pit, token, launch, provision.agent_owner()).new
    assert office.member("eve").role is Role.REVIEWER
    assert token not in office.cell.events.read_text()
    assert not os.listdir(office.cell.outbox("ada"))


def test_an_invitation_that_was_never_told_is_told_after_a_restart(office: Office) -> None:
    office.drop("invite eve reviewer")
    office.ask("invite eve reviewer")  # Killed before the answer was put into the inbox.
    office.restart()
    office.router.route([office.desk("ada")])
    (answer,) = office.inbox("ada")
    token = answer["body"].partition("lazarus join ")[2].split()[0]
    assert teaming.invited(office.pit, token).name == "eve"
    office.drop("invite eve reviewer")  # Killed before it left the outbox.
    office.restart()
    office.router.route([office.desk("ada")])
    assert len(office.inbox("ada")) == 1
    assert teaming.invited(office.pit, token).name == "eve"


def test_a_checkpoint_is_answered_when_it_is_taken(office: Office) -> None:
    office.drop("checkpoint before the merge")
    office.drop("checkpoint before the merge")
    (office.cell.outbox("ada") / "2.json").write_text('{"id": "mail-0002", "to": "ben"}')
    outcome = office.router.route([office.desk("ada")])[0]
    assert outcome.again is not None
    assert outcome.again > 0
    assert [mail["id"] for mail in office.inbox("ben")] == ["mail-0002"]
    assert os.listdir(office.cell.outbox("ada")) == ["1.json"]
    office.router.route([office.desk("ada")])
    ((note, told),) = office.saves
    assert note == "asked for by ada: before the merge"
    told("checkpoint x was taken")
    office.router.route([office.desk("ada")])
    assert [mail["body"] for mail in office.inbox("ada")] == ["checkpoint x was taken"]
    assert not os.listdir(office.cell.outbox("ada"))


def test_who_leaves_is_gone_and_a_namesake_does_not_leave(office: Office) -> None:
    office.drop("leave", "obs")
    office.router.route([office.desk("obs")])
    assert office.manifest.member("obs") is None
    assert not os.listdir(office.cell.outbox("obs"))


def test_a_machine_that_refuses_leaves_the_request_where_it_is(office: Office) -> None:
    office.drop("revive ben")
    with store.locked(office.cell):
        outcome = office.router.route([office.desk("ada")])[0]
    assert outcome.again is not None
    assert os.listdir(office.cell.outbox("ada")) == ["1.json"]
    with store.locked(office.cell):
        for _ in range(3):
            with pytest.raises(StoreError):
                office.ask("revive ben", mail_id="mail-0002")
    office.router.route([office.desk("ada")])
    assert office.member("ben").request == 1


def test_a_request_by_a_forger_is_none(office: Office) -> None:
    office.drop("revive ben", "obs", **{"from": "ada"})
    office.router.route([office.desk("obs")])
    assert "lay in the outbox of obs" in office.inbox("obs")[0]["body"]
    assert office.member("ben").request == 0
