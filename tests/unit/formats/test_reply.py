"""An answer is a whole command that means exactly one request, or it changes nothing."""

from __future__ import annotations

import pytest

from lazarus_pit.formats.reply import Asked, Word, name_for, read, tie

POND, GLADE = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11", "1f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11"
REVIVE_TIMMY, PLUS = Word(approved=True, whom="timmy"), Word(approved=True, whom=None)


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
        ("skip timmy", Word(approved=False, whom="timmy")),
        ("+1", PLUS),
        (" +1\n", PLUS),
        ("revive timmy2", Word(approved=True, whom="timmy2")),
        ("revive the white one", Word(approved=True, whom="the white one")),
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
