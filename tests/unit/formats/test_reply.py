"""An answer is a whole command that means exactly one request, or it changes nothing."""

from __future__ import annotations

import pytest

from lazarus_pit.formats.reply import Asked, Word, name_for, read, tie

POND, GLADE = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11", "1f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11"
REVIVE_TIMMY = Word(approved=True, whom="timmy", question=False)
PLUS = Word(approved=True, whom=None)


def asked(
    id_: str,
    agent: str = "timmy",
    place: str = "pool",
    at: float = 10.0,
    closed: float | None = None,
) -> Asked:
    cell = {POND: "pond", GLADE: "glade"}.get(place, "")
    return Asked(id_ * 16, f"{place}/{agent}", cell, f"message {id_}", at, closed)


def say(word: Word, *some: Asked, at: float = 20.0, about: str = "") -> str:
    found = tie(word, some, at=at, about=about)
    return found.id[0] if isinstance(found, Asked) else found


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("revive timmy", REVIVE_TIMMY),
        ("  REVIVE\n Timmy ", REVIVE_TIMMY),
        ("/revive timmy", REVIVE_TIMMY),
        ("skip timmy", Word(approved=False, whom="timmy", question=False)),
        ("+1", PLUS),
        (" +1\n", PLUS),
        ("revive timmy2", Word(approved=True, whom="timmy2", question=False)),
        ("revive the white one", Word(approved=True, whom="the white one", question=False)),
        ("Approve 3FA9c2d1", Word(approved=True, whom="3fa9c2d1", question=True)),
        (
            "/deny 3fa9c2d1 :  Not\nnow: Later\x1b",
            Word(approved=False, whom="3fa9c2d1", question=True, comment="Not now: Later\\u001b"),
        ),
        ("approve: yes", None),
        ("deny", None),
        ("don't revive timmy", None),
        ("please revive timmy", None),
        ("revive", None),
        ("revivetimmy", None),
        ("+1 revive timmy", None),
        ("+10", None),
        ("-1", None),
        ("", None),
        ("revive " + "x" * 5000, None),
    ],
)
def test_a_command_is_the_whole_of_what_is_said(text: str, word: Word | None) -> None:
    assert read(text) == word


def test_a_name_is_the_whole_name() -> None:
    assert say(REVIVE_TIMMY, asked("a"), asked("b", "bob")) == "a"
    assert "Nobody called timmy" in say(REVIVE_TIMMY, asked("a", "timmy2"))


def test_a_plus_counts_where_one_is_open() -> None:
    assert say(PLUS, asked("a")) == "a"
    assert say(PLUS, asked("a", closed=12.0), asked("b", "bob")) == "b"
    assert "say one of: revive timmy, revive bob" in say(PLUS, asked("a"), asked("b", "bob"))
    assert "Nobody waits" in say(PLUS, asked("a", closed=12.0))
    assert say(PLUS, asked("a", closed=21.0)) == "a"  # Somebody was faster.


def test_a_plus_that_answers_a_message_is_about_that_message() -> None:
    two = asked("a"), asked("b", "bob")
    assert say(PLUS, *two, about="message b") == "b"
    assert "Answer the request's own message" in say(PLUS, asked("a"), about="some other message")


def test_a_plus_said_while_two_were_open_means_neither() -> None:
    closed_since = asked("a", closed=21.0)
    assert "could mean 2" in say(PLUS, closed_since, asked("b", "bob"), at=20.0)


def test_a_name_in_two_places_needs_the_place() -> None:
    some = asked("a", place=POND), asked("b", place=GLADE), asked("c")
    assert "say one of: revive pond/timmy, revive glade/timmy, revive pool/timmy" in say(
        REVIVE_TIMMY, *some
    )
    assert say(Word(approved=False, whom="glade/timmy"), *some) == "b"
    assert say(Word(approved=True, whom=f"{POND}/timmy"), *some) == "a"
    assert say(Word(approved=True, whom="pool/timmy"), *some) == "c"
    assert say(Word(approved=True, whom="b" * 8), *some) == "b"
    assert "Nobody" in say(Word(approved=True, whom="b" * 7), *some)


def test_a_name_that_answers_the_message_about_another_is_refused() -> None:
    two = asked("a"), asked("b", "bob")
    assert "asks about bob" in say(REVIVE_TIMMY, *two, about="message b")
    assert say(REVIVE_TIMMY, *two, about="message a") == "a"
    assert say(REVIVE_TIMMY, *two, about="talk") == "a"


def test_what_was_said_before_it_was_asked_is_no_answer_to_it() -> None:
    """An answer that was kept back on its way must not revive a later life."""
    old, new = asked("a", at=1.0, closed=5.0), asked("b", at=30.0)
    assert say(REVIVE_TIMMY, old, new, at=20.0) == "a"  # It is late for that one.
    assert "before it was asked" in say(REVIVE_TIMMY, new, at=20.0)
    assert "Nobody waits" in say(PLUS, old, new, at=20.0)


def test_an_answer_to_a_closed_request_finds_it() -> None:
    assert say(REVIVE_TIMMY, asked("a", at=1.0, closed=2.0), asked("b", at=3.0, closed=4.0)) == "b"
    assert say(PLUS, asked("a", closed=12.0), about="message a") == "a"


def test_a_name_that_cannot_be_typed_is_called_by_its_id() -> None:
    for odd in ("a\nb", "x" * 10_000, "tick`", "two  blanks", "\u202eyloh"):
        one = asked("a", odd)
        assert name_for(one, []) == "a" * 8
    assert name_for(asked("a", "Ünal"), []) == "Ünal"
    assert name_for(asked("a"), [asked("b", "TIMMY", POND)]) == "pool/timmy"


def test_an_agent_called_like_an_id_takes_no_answer_from_its_owner() -> None:
    mimic = asked("a", "b" * 8)
    assert "could mean 2" in say(Word(approved=True, whom="b" * 8), mimic, asked("b"))


APPROVE_TIMMY = Word(approved=True, whom="timmy", question=True)


def test_a_death_and_a_question_of_one_name_are_never_taken_for_each_other() -> None:
    death, question = asked("a"), asked("b")._replace(question=True)
    assert say(REVIVE_TIMMY, death, question) == "a"
    assert say(APPROVE_TIMMY, death, question) == "b"
    assert "Nobody called timmy" in say(REVIVE_TIMMY, question)
    assert "Nobody called timmy" in say(APPROVE_TIMMY, death)
    wrong = say(REVIVE_TIMMY, death, question, about="message b")
    assert wrong == "Say approve or deny bbbbbbbb to that. Nothing was changed."
    assert say(APPROVE_TIMMY, death, question, about="message b") == "b"


def test_a_plus_for_several_is_told_each_ones_own_words() -> None:
    death, question = asked("a"), asked("b")._replace(question=True)
    choices = "say one of: revive timmy, approve bbbbbbbb"
    assert choices in say(PLUS, death, question)
    in_one_issue = [one._replace(receipt="7") for one in (death, question)]
    assert choices in say(PLUS, *in_one_issue, about="7")
    assert say(PLUS, in_one_issue[0]._replace(closed=12.0), in_one_issue[1], about="7") == "b"


def test_a_question_goes_by_its_id_alone_since_its_agent_may_ask_again() -> None:
    one, two = (asked(id_)._replace(question=True) for id_ in "ab")
    assert name_for(one, [two]) == "aaaaaaaa"
    named_so = asked("c", "aaaaaaaa")._replace(question=True)
    assert name_for(one, [named_so]) == "a" * 16


def test_who_knows_an_id_has_seen_the_request_whatever_the_clocks_say() -> None:
    one = Asked("0123456789abcdef", "cell/timmy", "", "r1", 100.0, None)
    short, too_short = (Word(approved=True, whom=one.id[:size]) for size in (8, 7))
    assert tie(short, [one], at=50.0) == one
    for word in (too_short, REVIVE_TIMMY):
        assert isinstance(tie(word, [one], at=50.0), str)
    assert tie(PLUS, [one], at=50.0, about="r1", proves=True) == one
    for about, proves in (("r1", False), ("r2", True), ("", True)):
        assert isinstance(tie(PLUS, [one], at=50.0, about=about, proves=proves), str)
