"""Who may only look sees no invitation."""

from __future__ import annotations

from lazarus_pit.records.invitations import PREFIX
from lazarus_pit.web.masks import masked, masked_bytes

TOKEN = PREFIX + "a-_B" * 10
SAID = f"For whoever works at the host: lazarus join {TOKEN} -- PROGRAM"


def test_a_token_is_starred_out_for_a_viewer_alone() -> None:
    hidden = masked(SAID, "viewer")
    assert (TOKEN in hidden, len(hidden)) == (False, len(SAID))
    assert "a-_B" not in hidden
    assert hidden.startswith("For whoever works at the host: lazarus join invite-***")
    assert masked(SAID, "operator") == masked(SAID, "approver") == SAID
    assert masked_bytes(SAID.encode(), "viewer") == hidden.encode()
    assert masked_bytes(SAID.encode(), "operator") == SAID.encode()


def test_other_words_stay() -> None:
    said = "invite-only; an invite- to all"
    assert masked(said, "viewer") == said
