"""What an update of Telegram's means, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from botapi import ADA
from lazarus_pit.channels.telegram_updates import Ears, updates_in
from lazarus_pit.errors import FormatError


def spoken(**fields: Any) -> Any:
    message = {"message_id": 9, "chat": {"id": 5, "username": "Pit"}, "date": 1, "text": "+1"}
    update = {"update_id": 3, "message": message | {"from": ADA} | fields}
    (read,) = updates_in(json.dumps([update]).encode())
    return Ears("@pit", frozenset()).hear(read, 2.0)


def test_a_chat_may_be_named() -> None:
    assert spoken().forbidden == ""
    assert spoken(chat={"id": 5}).forbidden != ""


def test_what_a_message_answers() -> None:
    question = {"message_id": 7, "chat": {"id": 5}, "text": "is dead"}
    assert spoken().about == ""
    assert spoken(reply_to_message=question).about == "5:7"
    # In a topic every message answers the one that began it, and quotes can be from anywhere.
    assert spoken(reply_to_message=question | {"forum_topic_created": {"name": "pit"}}).about == ""
    assert spoken(external_reply={"origin": {}}).about not in ("", "5:7")


def test_an_update_that_cannot_be_read_is_passed_by() -> None:
    odd = [{"update_id": 8, "message": {"message_id": "x"}}, {"update_id": 9, "poll": {}}]
    assert [one.update_id for one in updates_in(json.dumps(odd).encode())] == [8, 9]
    with pytest.raises(FormatError):
        updates_in(b'[{"update_id": "none"}]')
