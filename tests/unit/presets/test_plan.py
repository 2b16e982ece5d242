"""How a life with a preset begins, decided from what is known of the last one."""

from __future__ import annotations

import json

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import conversation
from lazarus_pit.formats.conversation import Conversation
from lazarus_pit.formats.recipe import MAX_TASK, check_recipe
from lazarus_pit.presets.base import Wanted, Where
from lazarus_pit.presets.choose import PRESETS, preset
from lazarus_pit.presets.plan import Past, Plan, plan

TASK = "chart the tide pools"
FIRST = Past("ada", 1, "fresh-id")
DIED = FIRST._replace(
    generation=3,
    lived=True,
    ending="signal 9",
    ended_at="2026-04-06T00:00:00Z",
    session="conv-7",
    unanswered=("Bash: make test",),
)


def wanted(name: str) -> Wanted:
    return Wanted((preset(name).program,), TASK, "some-model", ("--own", "flag"))


def begun(name: str, past: Past) -> Plan:
    return plan(preset(name), wanted(name), past)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_begins_with_its_task_alone(name: str) -> None:
    found = begun(name, FIRST)
    program = found.argv[found.argv.index("--") + 1 :]
    assert found.argv[:4] == ("lazarus", "drive", name, "--begin")
    assert program[0] == preset(name).program
    assert TASK in program, "the task is one argument, as it was given"
    assert {"some-model", "--own", "flag"} <= set(program)
    assert (found.resumes, found.forgets) == ("", "")


@pytest.mark.parametrize("name", PRESETS)
def test_after_a_death_it_is_told_and_goes_on_where_it_can(name: str) -> None:
    found = begun(name, DIED)
    told = next(word for word in found.argv if "[lazarus-pit]" in word)
    assert all(
        words in told
        for words in ("2026-04-06T00:00:00Z", "signal 9", "life 3", "Bash: make test", TASK)
    )
    resumes = preset(name).resumes
    assert found.argv[3:5] == (("--resume", "conv-7") if resumes else ("--begin", ""))
    assert found.resumes == ("conv-7" if resumes else "")


@pytest.mark.parametrize(
    ("past", "why"),
    [
        (DIED._replace(exhausted=True), "exhausted"),
        (DIED._replace(lost=True), "not_found"),
        (DIED._replace(session="", known=False), "none_known"),
    ],
)
def test_a_conversation_that_cannot_go_on_is_not_asked_for(past: Past, why: str) -> None:
    found = begun("claude_code", past)
    assert (found.resumes, found.forgets, found.argv[3]) == ("", why, "--begin")
    assert found.argv[4] == "fresh-id", "a new id: the old one is taken"
    assert any("look there" in word for word in found.argv)


def test_who_died_before_any_conversation_has_lost_none() -> None:
    found = begun("codex", DIED._replace(session=""))
    assert (found.forgets, found.argv[3]) == ("", "--begin")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"session": "--dangerous"}', "session"),
        (b'{"session": 7}', "session"),
        (b'{"open": ["x"]}', "open"),
        (b"[]", "conversation"),
        (b" " * (conversation.MAX_BYTES + 1), "bytes"),
    ],
)
def test_what_an_agent_wrote_of_its_conversation_is_hostile(text: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        conversation.parse(text)


def test_words_of_a_call_stay_on_their_line() -> None:
    found = conversation.parse(b'{"open": {"a": "x\\n\\u001b[2J"}, "session": "ok", "other": 1}')
    assert found == Conversation(session="ok", open={"a": "x\n\x1b[2J"})
    assert found.unanswered == ("x\\u000a\\u001b[2J",)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"name": "x", "task": " "}, "task"),
        ({"name": "No Such", "task": "t"}, "name"),
        ({"task": "t"}, "name"),
        ({"name": "x", "task": "t" * (MAX_TASK + 1)}, "bytes"),
        ({"name": "x", "task": "t\0"}, "zero"),
        ({"name": "x", "task": "t", "arguments": "--flag"}, "arguments"),
    ],
)
def test_a_recipe_says_what_is_wrong_with_it(found: dict[str, object], says: str) -> None:
    with pytest.raises(FormatError, match=says):
        check_recipe(found)


def test_no_recipe_is_no_preset() -> None:
    assert not check_recipe({}).name


def test_people_are_asked_where_a_program_can_wait_for_them() -> None:
    able = [name for name in PRESETS if preset(name).asks]
    assert able == ["claude_code", "codex", "opencode", "gemini", "qwen", "pi", "acp"]
    for name in able:
        asking = plan(preset(name), wanted(name)._replace(asks=True), FIRST)
        assert asking.argv[5] == "--ask"
        assert "--ask" not in begun(name, FIRST).argv
        settings = json.dumps(dict(preset(name).files(Where("/home", "/workspace", asks=True))))
        told = " ".join(asking.argv) + settings.replace('\\", \\"', " ")
        assert name == "acp" or "hook --ask" in told
    claude = plan(preset("claude_code"), wanted("claude_code")._replace(asks=True), FIRST)
    assert "--dangerously-skip-permissions" not in claude.argv


@pytest.mark.parametrize("found", ["always", 1])
def test_permissions_are_skip_or_ask(found: object) -> None:
    with pytest.raises(FormatError, match=r"permissions: .*expected skip or ask"):
        check_recipe({"name": "codex", "task": TASK, "permissions": found})
