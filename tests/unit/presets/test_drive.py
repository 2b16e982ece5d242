"""``lazarus drive`` around programs that speak as the real ones do, as its own process."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from launching import until
from lazarus_pit import beat, session
from lazarus_pit.core.model import HoldKind
from lazarus_pit.formats import conversation, heartbeat
from lazarus_pit.formats.conversation import Conversation
from lazarus_pit.formats.heartbeat import Heartbeat
from lazarus_pit.presets import drive

SOURCE = str(Path(beat.__file__).parent.parent)
CODE = f"import sys; sys.path.insert(0, {SOURCE!r}); from lazarus_pit.presets.drive import main; "


class Run(NamedTuple):
    """What became of a program."""

    code: int
    out: str
    beat: Heartbeat | None
    known: Conversation


class Cell:
    """The directories that one agent sees."""

    def __init__(self, folder: Path) -> None:
        for name in ("hb", "home", "workspace"):
            (folder / name).mkdir()
        self.home = folder / "home"
        self.beat = folder / "hb" / "ada.json"
        self.environ = {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "LAZARUS_CELL": str(folder),
            "LAZARUS_AGENT": "ada",
            "LAZARUS_GENERATION": "2",
            beat.FILE: str(self.beat),
        }

    def begin(self, *words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-I", "-S", "-c", f"{CODE}sys.exit(main(sys.argv[1:]))", *words]
        return subprocess.Popen(argv, env=self.environ, stdout=subprocess.PIPE, text=True)

    def run(self, preset: str, how: str, conv: str, lines: list[Any], code: int = 0) -> Run:
        spoken = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
        script = f"printf '%s\\n' {shlex.quote(spoken)}; exit {code}"
        with self.begin(preset, how, conv, "--", "/bin/sh", "-c", script) as process:
            out, _ = process.communicate(timeout=30)
        return Run(process.returncode, out, self.said(), self.known())

    def said(self) -> Heartbeat | None:
        return heartbeat.parse(self.beat.read_bytes()) if self.beat.exists() else None

    def known(self) -> Conversation:
        return conversation.parse((self.home / session.FILE).read_bytes())


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


def item(kind: str, number: str = "item_1", **more: Any) -> dict[str, Any]:
    whole = {"id": number, "type": "command_execution", "command": "make", **more}
    return {"type": f"item.{kind}", "item": whole}


STARTED = {"type": "thread.started", "thread_id": "01a2"}


def test_what_codex_says_becomes_beats_and_its_output_stays_as_it_is(cell: Cell) -> None:
    done = [
        STARTED,
        {"type": "turn.started"},
        item("started"),
        item("completed", aggregated_output="ok", exit_code=0),
        item("completed", "item_2", aggregated_output="ok", exit_code=0),
        "not JSON",
        {"type": "turn.completed", "usage": {"input_tokens": 90, "output_tokens": 9}},
    ]
    found = cell.run("codex", "--begin", "", done)
    assert (found.code, found.out.count("\n")) == (0, len(done))
    assert "not JSON\n" in found.out
    assert found.beat is not None
    assert (found.beat.status, found.beat.session) == ("finished", "01a2")
    assert (found.beat.turns, found.beat.tokens) == (1, 99)
    assert found.beat.tool_repeats == 2, "ids and times of calls are no part of their sameness"
    assert found.known == Conversation(session="01a2", preset="codex")


def test_results_that_do_not_name_their_call_are_told_apart_by_it(cell: Cell) -> None:
    lines: list[Any] = [{"type": "init", "session_id": "g"}]
    for number, path in enumerate(("a", "b", "b")):
        call = {"tool_id": str(number), "tool_name": "mkdir", "parameters": {"path": path}}
        lines += [{"type": "tool_use", **call}]
        lines += [{"type": "tool_result", "tool_id": str(number), "status": "success"}]
    found = cell.run("gemini", "--begin", "", lines)
    assert found.beat is not None
    assert (found.beat.tool, found.beat.tool_repeats) == ("mkdir", 2)


def test_a_call_that_never_ended_is_remembered(cell: Cell) -> None:
    assert cell.run("codex", "--begin", "", [STARTED, item("started")], 1).known.unanswered == (
        "command_execution: make",
    )


@pytest.mark.parametrize(
    ("message", "hold"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", HoldKind.QUOTA_WAIT),
        ("You've hit your usage limit.", HoldKind.QUOTA_WAIT),
        ("unexpected status 401 Unauthorized", HoldKind.AUTH_HOLD),
        ("stream disconnected", None),
    ],
)
def test_an_end_for_want_of_quota_or_login_says_so(
    cell: Cell, message: str, hold: HoldKind | None
) -> None:
    lines = [STARTED, {"type": "turn.failed", "error": {"message": message}}]
    found = cell.run("codex", "--begin", "", lines, 1)
    assert found.code == 1
    assert found.beat is not None
    assert found.beat.hold is hold


def test_a_program_that_fails_and_ends_well_has_failed(cell: Cell) -> None:
    failure = {"stopReason": "error", "errorMessage": "500 broken"}
    lines = [{"type": "session", "id": "p"}, {"type": "turn_end", "message": failure}]
    assert cell.run("pi", "--begin", "", [*lines, {"type": "agent_end"}]).code == 1
    again = [*lines, {"type": "turn_start"}, {"type": "agent_end"}]
    assert cell.run("pi", "--begin", "", again).code == 0, "it tried again and went on"
    limit = {"type": "turn_end", "message": failure | {"errorMessage": "429 slow down"}}
    held = cell.run("pi", "--begin", "", [lines[0], limit, {"type": "agent_end"}])
    assert held.beat is not None
    assert held.beat.hold is HoldKind.QUOTA_WAIT, "the turn's end does not undo it"


def test_an_exit_code_may_say_why(cell: Cell) -> None:
    found = cell.run("gemini", "--begin", "", ["Invalid auth method selected."], 41)
    assert found.beat is not None
    assert (found.code, found.beat.hold) == (41, HoldKind.AUTH_HOLD)


def test_words_of_a_tool_are_no_error_of_the_program(cell: Cell) -> None:
    lines = [STARTED, item("completed", aggregated_output="429 Too Many Requests", exit_code=1)]
    found = cell.run("codex", "--begin", "", lines, 1)
    assert found.beat is not None
    assert found.beat.hold is None


def test_a_full_conversation_is_never_to_be_resumed(cell: Cell) -> None:
    error = {"message": "Codex ran out of room in the model's context window."}
    lines = [STARTED, {"type": "turn.failed", "error": error}]
    assert cell.run("codex", "--begin", "", lines, 1).known.exhausted
    assert not cell.run("codex", "--begin", "", [STARTED]).known.exhausted, "a new one is not"


def test_whether_the_conversation_came_back_is_said(cell: Cell) -> None:
    came = cell.run("codex", "--resume", "01a2", [STARTED])
    assert came.beat is not None
    assert (came.beat.session, came.beat.session_asked) == ("01a2", "01a2")
    other = cell.run("gemini", "--resume", "old", [{"type": "init", "session_id": "new"}])
    assert other.beat is not None
    assert (other.beat.session, other.known.lost) == ("new", False)
    lost = cell.run("codex", "--resume", "01a2", ["Error: no rollout found"], 1)
    assert lost.beat is not None
    assert (lost.beat.session, lost.known.lost) == ("", True)


def test_settings_are_put_into_what_is_there(cell: Cell) -> None:
    (cell.home / ".gemini").mkdir()
    settings = cell.home / ".gemini" / "settings.json"
    settings.write_text('{"theme": "dark", "mcpServers": {"own": {}}}')
    (cell.home / ".gemini" / "trustedFolders.json").write_text("{broken")
    cell.run("gemini", "--begin", "", [])
    found = json.loads(settings.read_text())
    assert found["theme"] == "dark"
    assert set(found["mcpServers"]) == {"own", "lazarus"}
    trusted = json.loads((cell.home / ".gemini" / "trustedFolders.json").read_text())
    assert trusted == {f"{cell.environ['LAZARUS_CELL']}/workspace": "TRUST_FOLDER"}


def test_claude_tells_its_model_its_login_and_its_throttling(cell: Cell) -> None:
    start = {"type": "system", "subtype": "init", "session_id": "c1", "model": "m"}
    retry = {"type": "system", "subtype": "api_retry", "retry_delay_ms": 38600}
    found = cell.run("claude_code", "--begin", "c1", [start, retry])
    assert found.beat is not None
    assert (found.beat.model, found.beat.hold) == ("m", None)
    assert found.beat.status == "throttled, tries again in 39 s"
    assert found.beat.busy_until is not None
    end = {"type": "result", "is_error": True, "api_error_status": 401, "result": "no"}
    refused = cell.run("claude_code", "--begin", "c1", [start, end], 1)
    assert refused.beat is not None
    assert refused.beat.hold is HoldKind.AUTH_HOLD


def test_tokens_are_counted_as_they_are_spent_and_once(cell: Cell) -> None:
    def part(message: str, tokens: int) -> dict[str, Any]:
        usage = {"input_tokens": tokens, "cache_read_input_tokens": 9999}
        return {"type": "assistant", "message": {"id": message, "usage": usage}}

    lines = [part("m1", 100), part("m2", 20), part("m1", 100)]
    spent = cell.run("claude_code", "--begin", "c1", lines).beat
    assert spent is not None
    assert spent.tokens == 120
    cell.environ["LAZARUS_GENERATION"] = "3"
    end = {"type": "result", "usage": {"input_tokens": 120, "output_tokens": 40}}
    whole = cell.run("claude_code", "--begin", "c1", [*lines, end]).beat
    assert whole is not None
    assert whole.tokens == 160


def test_a_limit_that_says_when_it_ends_is_waited_for_until_then(cell: Cell) -> None:
    again = round(time.time()) + 7200
    limit = {"status": "rejected", "resetsAt": again, "rateLimitType": "five_hour"}
    event = {"type": "rate_limit_event", "rate_limit_info": limit}
    end = {"type": "result", "is_error": True, "api_error_status": 429, "result": "no"}
    held = cell.run("claude_code", "--begin", "c1", [event, end], 1).beat
    assert held is not None
    assert (held.hold, held.hold_until) == (HoldKind.QUOTA_WAIT, again)
    limit["resetsAt"] = 7
    past = cell.run("claude_code", "--begin", "c1", [event, end], 1).beat
    assert past is not None
    assert past.hold_until is None, "a time that is over is none"


def test_a_signal_reaches_the_program_and_its_end_is_ours(cell: Cell) -> None:
    ready = cell.home / "ready"
    trap = f"trap 'exit 7' TERM; touch {ready}; sleep 60 & wait"
    with cell.begin("codex", "--begin", "", "--", "/bin/sh", "-c", trap) as process:
        until(ready.exists, "the program's start")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 7


def test_a_program_that_is_not_there_is_not_tried_again(cell: Cell) -> None:
    with cell.begin("codex", "--begin", "", "--", "no-such-program") as process:
        assert process.wait(30) == drive.NOT_FOUND


@pytest.mark.parametrize(
    "words", [[], ["codex"], ["none", "--begin", "", "--", "x"], ["codex", "--go", "", "--", "x"]]
)
def test_wrong_use_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert drive.main(words, {}) == 2
    assert "lazarus drive:" in capsys.readouterr().err


def test_settings_that_cannot_be_written_keep_nobody_from_starting(cell: Cell) -> None:
    (cell.home / ".gemini").write_text("in the way")
    assert cell.run("gemini", "--begin", "", [{"type": "init", "session_id": "g"}]).code == 0


def test_what_is_remembered_is_for_its_owner_alone(cell: Cell) -> None:
    cell.run("codex", "--begin", "", [STARTED])
    assert stat.S_IMODE((cell.home / session.FILE).stat().st_mode) == 0o600


LIMITED = "The API provider has rate limited you. Try again later or check your quotas."
KEY = "The API provider is not able to authenticate you. Check your API key."
AGAIN = "Retrying in 0.2 seconds..."


@pytest.mark.parametrize(
    ("lines", "code", "hold"),
    [
        ([LIMITED, ""], 1, HoldKind.QUOTA_WAIT),
        ([KEY, ""], 1, HoldKind.AUTH_HOLD),
        ([LIMITED, AGAIN, "one.txt", "Tokens: 602 sent, 5 received."], 0, None),
        ([f"Somebody wrote: {KEY}"], 0, None),
    ],
    ids=["quota", "login", "in the end it went on", "within other words"],
)
def test_of_a_program_that_prints_for_people_its_own_sentences_are_known(
    cell: Cell, lines: list[str], code: int, hold: HoldKind | None
) -> None:
    found = cell.run("aider", "--begin", "c-1", lines)
    assert found.beat is not None
    assert (found.code, found.beat.hold) == (code, hold)


def test_what_only_prints_is_at_work_and_may_be_silent_long(cell: Cell) -> None:
    found = cell.run("mini_swe_agent", "--begin", "", ["Building agent config"])
    assert found.beat is not None
    assert found.beat.status == "at work"
    assert (found.beat.busy_until or 0.0) > time.time() + 3000.0


def test_a_hold_for_quota_ends_when_the_vendor_has_said(cell: Cell) -> None:
    error = {"message": "You've hit your usage limit. … or try again in 2 days 17 hours."}
    found = cell.run("codex", "--begin", "", [STARTED, {"type": "turn.failed", "error": error}], 1)
    assert found.beat is not None
    assert found.beat.hold is HoldKind.QUOTA_WAIT
    assert (found.beat.hold_until or 0.0) - time.time() == pytest.approx(65 * 3600, abs=600)
