"""Whatever bytes are given, a proposal is read or refused with FormatError, and in time."""

import contextlib
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.proposal import Proposal, parse_proposal

EXAMPLE = (Path(__file__).parents[2] / "examples" / "mission-proposal.md").read_text()
LINES = EXAMPLE.split("\n")

fragments = st.one_of(
    st.sampled_from(LINES),
    st.text(max_size=40),
    st.sampled_from(
        ["- [x] ", "|", "---", "<!--", "-->", "## ", "- @", "#" * 7, "| 1 | 2 |", "\x00"]
    ),
)


@given(st.binary(max_size=200))
@example(b"\xff")
@example(b"---")
@example(b"# " + b" " * 60_000 + b"x")
def test_garbage_raises_format_error_only(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        assert isinstance(parse_proposal(data), Proposal)


@given(st.lists(st.tuples(st.integers(0, len(LINES)), fragments), max_size=6))
def test_a_page_spoilt_anywhere_is_read_or_refused(spoils: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for at, fragment in spoils:
        lines[at:at] = [fragment]
    with contextlib.suppress(FormatError):
        proposal = parse_proposal("\n".join(lines).encode("utf-8", "surrogatepass"))
        assert proposal.agents
        assert proposal.summary


@given(st.permutations(range(9)))
def test_the_order_of_sections_does_not_matter(order: list[int]) -> None:
    head, *sections = EXAMPLE.split("\n## ")
    page = "\n## ".join([head, *(sections[index].rstrip("\n") + "\n" for index in order)])
    assert parse_proposal(page.encode()) == parse_proposal(EXAMPLE.encode())
