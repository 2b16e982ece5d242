"""A request about somebody who stands still, in the shape that the page reads."""

from __future__ import annotations

from lazarus_pit.records.approvals import Request
from lazarus_pit.web.approvals import approval

HELD = {"held": 70.0, "hold": 1, "why": "loop"}


def test_the_page_is_told_why_one_stands_still() -> None:
    one = Request("a" * 16, "cell/scribe", 3, dict(HELD), 70.0, 400.0, "open", "", "", None)
    said = approval(one)
    assert said.why == "it calls the same tools with the same results again and again"
    assert (said.died, said.attempts) == (None, None)
