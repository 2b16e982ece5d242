"""An answer counts once, for the request it means, and is written with how far we heard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels.base import Heard, Outcome, Receipt
from lazarus_pit.channels.desk import Desk, Settling, SettlingAll, Work
from lazarus_pit.channels.gathering import FEW
from lazarus_pit.core.model import CellStatus
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.digest import Digest
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.question import Ending, Question
from lazarus_pit.formats.reply import read
from lazarus_pit.linux.inotify import IN_CLOSE_WRITE, Inotify
from lazarus_pit.records import approvals, carried
from lazarus_pit.records import questions as people
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


def questions(pit: PitPaths) -> list[Question]:
    return [one for one in work(pit).ask if isinstance(one, Question)]


def carry(pit: PitPaths, request: str, receipt: str = "41", at: float = ASKED) -> None:
    asyncio.run(desk_of(pit).carried((request,), Receipt(receipt, at)))


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
    one, wake = questions(pit)[0], work(pit).wake
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
    ours, far = sorted(questions(pit), key=lambda one: one.mission)[::-1]
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
    assert isinstance(settling, Settling)
    assert (settling.receipt, settling.ending) == ("41", Ending("approved", "ada", "post"))
    asyncio.run(desk_of(pit).settled((request,)))
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
    assert [type(one) for one in work(pit).settle] == [Settling]


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
    asyncio.run(desk_of(pit).let_go((request,)))
    assert work(pit).ask == []


def heap(pit: PitPaths, count: int = FEW + 1) -> list[str]:
    return [ask(pit, f"pool/g{number}", died=900.0) for number in range(count)]


def look(pit: PitPaths, now: float = NOW) -> Work:
    return asyncio.run(desk_of(pit, now=now).work(gathers=True))


def tell_all(pit: PitPaths, receipt: str = "41") -> Digest:
    (digest,) = look(pit).ask
    assert isinstance(digest, Digest)
    asyncio.run(desk_of(pit).bind(digest))
    asyncio.run(desk_of(pit).carried(digest.requests, Receipt(receipt, ASKED)))
    return digest


def outcomes(pit: PitPaths, requests: list[str]) -> list[str]:
    return [outcome(pit, one)[0] for one in requests]


def test_many_who_die_are_told_in_one_message_and_few_each_by_itself(pit: PitPaths) -> None:
    requests = heap(pit, FEW)
    assert [one.id for one in look(pit).ask] == requests
    requests.append(ask(pit, "pool/last", died=900.0))
    (digest,) = look(pit).ask
    assert isinstance(digest, Digest)
    assert list(digest.requests) == requests
    assert digest.names[0] == "g0"
    assert len(work(pit).ask) == len(requests), "a channel that gathers nothing tells each"


def test_what_is_no_death_is_told_by_itself_and_in_its_place(pit: PitPaths) -> None:
    first = ask(pit, "pool/asker", note="anything else")
    heap(pit)
    last = ask(pit, "pool/asker2", note="anything else")
    asked = look(pit).ask
    assert [one.id for one in (asked[0], asked[2])] == [first, last]
    assert isinstance(asked[1], Digest)


def test_who_presses_for_all_answers_those_once_that_are_open_and_no_other(pit: PitPaths) -> None:
    requests = heap(pit)
    digest = tell_all(pit)
    assert look(pit).ask == []
    newcomer = ask(pit, "pool/late", died=900.0)
    assert hear(pit, "skip g0").counts, "each is answered by itself as well"
    assert look(pit).settle == [], "shown once none of them is open"
    pressed = hear(pit, "+1", digest=digest.id)
    assert pressed == Outcome(f"{FEW} agents: approved. 1 had ended before.", counts=True)
    assert outcomes(pit, [*requests, newcomer]) == ["denied", *["approved"] * FEW, "open"]
    again = hear(pit, "+1", digest=digest.id)
    assert (again.counts, "Too late" in again.words) == (False, True)
    (settling,) = look(pit).settle
    assert isinstance(settling, SettlingAll)
    assert settling.receipt == "41"
    assert len(settling.endings) == len(requests)
    asyncio.run(desk_of(pit).settled(settling.digest.requests))
    assert look(pit).settle == []


def test_a_digest_has_a_name_that_can_be_said(pit: PitPaths) -> None:
    requests = heap(pit)
    digest = tell_all(pit)
    assert not hear(pit, f"revive {digest.id[:7]}").counts
    assert not hear(pit, "revive 0123456789abcdef").counts
    assert hear(pit, f"Skip {digest.id[:8]}", about="41").counts
    assert set(outcomes(pit, requests)) == {"denied"}


def test_a_plus_to_a_message_about_many_means_none(pit: PitPaths) -> None:
    requests = heap(pit)
    tell_all(pit)
    said = hear(pit, "+1", about="41")
    assert (said.counts, "That could mean" in said.words) == (False, True)
    assert set(outcomes(pit, requests)) == {"open"}


def test_a_digest_whose_sending_was_cut_short_is_sent_again_as_it_was(pit: PitPaths) -> None:
    requests = heap(pit)
    (digest,) = look(pit).ask
    assert isinstance(digest, Digest)
    asyncio.run(desk_of(pit).bind(digest))
    newcomer = ask(pit, "pool/late", died=900.0)
    again, other = look(pit).ask
    assert again == digest
    assert other.id == newcomer
    assert hear(pit, "+1", digest=digest.id).counts, "the first copy is as good"
    assert set(outcomes(pit, requests)) == {"approved"}


def test_a_question_is_answered_by_its_own_words_with_a_comment_and_revives_nobody(
    pit: PitPaths,
) -> None:
    death = ask(pit, "cell/scribe", 1, died=NOW)
    with opened_records(pit.records) as db:
        asks = people.ask(db, "cell/scribe", 1, "mail-0001", "May I?", expires=NOW + 60, now=NOW)
    (_, question) = questions(pit)
    assert (question.asks, question.answer_to) == ("May I?", asks.id[:8])
    carry(pit, death, "41")
    carry(pit, asks.id, "42")
    assert "approve" not in hear(pit, "revive nobody").words
    said = hear(pit, f"deny {asks.id[:8]}: not today")
    assert said == Outcome("scribe: denied, the agent is told.", counts=True)
    assert outcome(pit, asks.id) == ("denied", "ada", "post")
    assert outcome(pit, death) == ("open", "", "")
    with opened_records(pit.records) as db:
        found = approvals.find(db, asks.id)
        assert found is not None
        assert found.comment == "not today"
    assert hear(pit, f"approve {asks.id[:8]}").words.startswith("scribe: too late, denied by ada")
