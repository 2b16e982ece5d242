"""An answer counts once, for the request it means, and is written with how far we heard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels.base import Heard, Outcome, Receipt
from lazarus_pit.channels.desk import Desk, Work
from lazarus_pit.core.model import CellStatus
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.question import Ending
from lazarus_pit.formats.reply import read
from lazarus_pit.linux.inotify import IN_CLOSE_WRITE, Inotify
from lazarus_pit.records import approvals, carried
from lazarus_pit.records.database import opened_records

NOW = 1000.0
ASKED, SAID = 1000.0, 1001.0


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> PitPaths:
    return PitPaths(tmp_path)


def desk_of(pit: PitPaths, channel: str = "post", now: float = NOW) -> Desk:
    return Desk(pit, channel, lambda: now)


def ask(pit: PitPaths, subject: str = "pool/timmy", generation: int = 1, **facts: object) -> str:
    with opened_records(pit.records) as db:
        return approvals.open_request(
            db, subject, generation, facts, expires=NOW + 300.0, now=NOW
        ).id


def work(pit: PitPaths, channel: str = "post", now: float = NOW) -> Work:
    return asyncio.run(desk_of(pit, channel, now).work())


def carry(pit: PitPaths, request: str, receipt: str = "41", at: float = ASKED) -> None:
    asyncio.run(desk_of(pit).carried(request, Receipt(receipt, at)))


def hear(pit: PitPaths, text: str, *, now: float = NOW, **more: object) -> Outcome:
    heard = Heard(read(text), "ada", SAID)._replace(**more)  # type: ignore[arg-type]
    return asyncio.run(desk_of(pit, now=now).hear(heard))


def outcome(pit: PitPaths, request: str) -> tuple[str, str, str]:
    with opened_records(pit.records) as db:
        found = approvals.find(db, request)
        assert found is not None
        return found.outcome, found.by, found.via


def test_where_nothing_was_ever_asked_there_is_nothing_to_do(pit: PitPaths) -> None:
    assert work(pit) == Work([], more=False, settle=[], wake=None)
    assert not pit.records.exists()


def test_a_question_says_what_a_person_should_know(pit: PitPaths) -> None:
    facts: dict[str, Any] = {
        "died": 900.0,
        "attempts": 2,
        "mission": "Forge",
        "probes": {"tcp": "failed"},
    }
    request = ask(pit, **facts)
    (one,), _, _, wake = work(pit)
    assert (one.id, one.agent, one.mission, one.died, one.attempts) == (
        request,
        "timmy",
        "Forge",
        900.0,
        2,
    )
    assert (one.probes, one.answer_to, wake) == ({"tcp": "failed"}, "timmy", 300.0)


def test_an_agent_of_a_cell_has_its_cell_and_mission(pit: PitPaths) -> None:
    wanted = Manifest(
        uuid=provision.new_uuid(), status=CellStatus.ACTIVE, mission="Write the guide", name="pond"
    )
    paths = provision.create_cell(pit.root, wanted, provision.agent_owner())
    ask(pit, f"{paths.uuid}/timmy")
    ask(pit)
    ours, far = sorted(work(pit).ask, key=lambda one: one.mission)[::-1]
    assert (ours.mission, ours.answer_to) == ("Write the guide", "pond/timmy")
    assert "pond" in ours.place
    assert (far.mission, far.answer_to) == ("", "pool/timmy")


def test_what_was_carried_is_not_offered_again(pit: PitPaths) -> None:
    request = ask(pit)
    carry(pit, request)
    assert work(pit).ask == []
    assert [one.id for one in work(pit, "other").ask] == [request]


def test_an_answer_counts_once_and_rings_the_bell(pit: PitPaths) -> None:
    request = ask(pit)
    carry(pit, request)
    pit.bell.touch()
    bell = Inotify()
    bell.add(str(pit.bell), IN_CLOSE_WRITE)
    assert hear(pit, "Revive Timmy") == Outcome("timmy: approved.", counts=True)
    assert len(bell.read()) == 1
    bell.close()
    assert outcome(pit, request) == ("approved", "ada", "post")
    again = hear(pit, "skip timmy")
    assert again == Outcome("timmy: too late, approved by ada (post).", counts=False)
    assert outcome(pit, request) == ("approved", "ada", "post")
    (settling,) = work(pit).settle
    assert (settling.receipt, settling.ending) == ("41", Ending("approved", "ada", "post"))
    asyncio.run(desk_of(pit).settled(request))
    assert work(pit).settle == []


@pytest.mark.parametrize("text", ["don't revive timmy", "revive timmy2", "+1 +1", "hello"])
def test_what_is_no_answer_changes_nothing(pit: PitPaths, text: str) -> None:
    request = ask(pit)
    carry(pit, request)
    assert not hear(pit, text).counts
    assert outcome(pit, request)[0] == "open"


def test_what_is_not_asked_here_is_not_answered_here(pit: PitPaths) -> None:
    request = ask(pit)
    assert "Nobody" in hear(pit, "+1").words
    assert "Nobody" in hear(pit, "revive timmy").words
    assert outcome(pit, request)[0] == "open"


def test_somebody_who_may_not_is_told_so(pit: PitPaths) -> None:
    request = ask(pit)
    carry(pit, request)
    assert hear(pit, "+1", forbidden="not you") == Outcome("not you", counts=False)
    assert hear(pit, "hello", forbidden="not you").words == ""  # People may talk.
    assert outcome(pit, request)[0] == "open"


def test_an_answer_after_its_time_changes_nothing(pit: PitPaths) -> None:
    request = ask(pit)
    carry(pit, request)
    late = hear(pit, "+1", now=NOW + 300.0, about="41")
    assert late == Outcome("timmy: too late, nobody answered in time.", counts=False)
    assert outcome(pit, request)[0] == "expired"
    assert [one.ending.outcome for one in work(pit).settle] == ["expired"]


def test_a_button_belongs_to_its_request(pit: PitPaths) -> None:
    """Even on a message whose receipt a crash has lost."""
    first, second = ask(pit), ask(pit, "pool/bob")
    assert hear(pit, "+1", request=first).counts
    assert hear(pit, "+1", request="0" * 16).words.startswith("That request is not known")
    assert [outcome(pit, one)[0] for one in (first, second)] == ["approved", "open"]


def test_an_answer_to_an_earlier_life_revives_no_later_one(pit: PitPaths) -> None:
    old = ask(pit)
    carry(pit, old, "41")
    new = ask(pit, generation=2)
    assert hear(pit, "+1", about="41").words == "timmy: too late, no answer is needed any more."
    assert "said before it was asked" not in hear(pit, "revive timmy").words
    carry(pit, new, "42", at=SAID + 5.0)
    assert not hear(pit, "revive timmy").counts
    assert outcome(pit, new)[0] == "open"
    assert hear(pit, "revive timmy", at=SAID + 6.0).counts


def test_how_far_we_heard_is_written_with_the_answer(pit: PitPaths) -> None:
    request = ask(pit)
    carry(pit, request)
    hear(pit, "just talk", notes={"offset": "7"})
    hear(pit, "+1", notes={"offset": "8"})
    assert asyncio.run(desk_of(pit).recall()) == {"offset": "8"}
    # What is heard once more after a crash is too late, and does no harm.
    assert not hear(pit, "+1", notes={"offset": "8"}, about="41").counts


def test_a_fault_in_the_middle_writes_neither(pit: PitPaths) -> None:
    request = ask(pit)
    carry(pit, request)
    with pytest.raises(StoreError):
        hear(pit, "+1", notes={"offset": "7"}, request=object())
    with opened_records(pit.records) as db:
        assert carried.recall(db, "post") == {}


def test_what_the_service_will_not_take_is_let_go(pit: PitPaths) -> None:
    request = ask(pit)
    asyncio.run(desk_of(pit).let_go(request))
    assert work(pit).ask == []
