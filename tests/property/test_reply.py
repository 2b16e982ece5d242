"""Whatever is said, and whatever agents are called: one request is meant by its name, or none."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from lazarus_pit.formats.reply import Asked, folded, name_for, read, tie

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["timmy", "Timmy", "timmy2", "+1", "pool/timmy", "timmy\n", "abcdefab", "revive timmy"]
)
TEXTS = st.text(max_size=40) | st.builds(
    "{}{}".format, st.sampled_from(["revive ", "skip "]), NAMES
)


@st.composite
def requests(draw: st.DrawFn) -> list[Asked]:
    some = draw(st.lists(st.tuples(NAMES, st.booleans()), max_size=6))
    places = ["pool", "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11"]
    return [
        Asked(
            id=f"{draw(st.sampled_from(['abcdefab', '01234567']))}{number:08x}",
            subject=f"{draw(st.sampled_from(places))}/{name}",
            cell=draw(st.sampled_from(["", "pond"])),
            receipt=str(number),
            at=float(number),
            closed=None if still else number + 1.5,
        )
        for number, (name, still) in enumerate(some)
    ]


@given(TEXTS, requests(), st.floats(0, 10))
def test_an_answer_means_one_open_request_or_changes_none(
    text: str, some: list[Asked], at: float
) -> None:
    word = read(text)
    assume(word is not None)
    assert word is not None
    found = tie(word, some, at=at)
    if isinstance(found, str):
        assert "\n" not in found
        return
    is_id = word.whom is not None and len(word.whom) >= 8 and found.id.startswith(word.whom)
    assert found.at <= at or is_id, "who knows the id has seen it, whatever the clocks say"
    rivals = [one for one in some if one.closed is None and one.at <= at and one is not found]
    if word.whom is None:
        assert not rivals
    else:
        said = word.whom
        assert said in folded(found.subject) or found.id.startswith(said) or "/" in said
        if found.closed is None:
            assert all(folded(one.agent) != said for one in rivals)


@given(requests())
def test_the_name_people_are_given_means_that_request_alone(some: list[Asked]) -> None:
    unique = {one.id[:8] for one in some}
    assume(len(unique) == len(some))
    still = [one for one in some if one.closed is None]
    for one in still:
        word = read(f"revive {name_for(one, still)}")
        assert word is not None
        assert tie(word, still, at=100.0) is one


@given(TEXTS.filter(str.isascii))
def test_a_command_reads_the_same_in_any_case(text: str) -> None:
    assert read(f" {text.upper()}\n") == read(text.lower()) == read(text)
