"""One agent's whole life under a real daemon, in a real sandbox, with real signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit, processes, send
from lazarus_pit.cells import provision
from lazarus_pit.core.model import CellStatus, Desired

# Beats five times a second with a rising cycle; says which life it is.
BEATING = (
    "i=0; echo life $LAZARUS_GENERATION; while :; do i=$((i+1)); "
    'printf \'{"cycle": %d, "status": "working"}\' $i > $LAZARUS_HEARTBEAT_FILE.t; '
    "mv $LAZARUS_HEARTBEAT_FILE.t $LAZARUS_HEARTBEAT_FILE; sleep 0.2; done"
)
ONE_BEAT = "echo '{}' > $LAZARUS_HEARTBEAT_FILE; "


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


def sh(script: str) -> tuple[str, str, str]:
    return ("/bin/sh", "-c", script)


def agent_pid(pit: Pit, cell: object, marker: str) -> int:
    """The process in the sandbox that carries the marker, seen from outside."""
    pid: int = pit.wait(lambda: max(processes(marker), default=0), f"process {marker}")
    return pid


def test_sigkill_is_noticed_and_the_agent_revived(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATING + " # marker-kill"))
    pit.wait_event(cell, "agent_ready", "worker")
    send(agent_pid(pit, cell, "marker-kill"), signal.SIGKILL)
    died = pit.wait_event(cell, "agent_died", "worker")
    assert died.data["exit"] == "signal 9"
    assert died.data["generation"] == 1
    assert pit.wait_event(cell, "agent_revived", "worker").data["generation"] == 2
    pit.wait(lambda: "life 2" in cell.log("worker").read_text(), "its first words")


def test_sigstop_is_a_hang_told_apart_from_an_exit(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATING + " # marker-stop"))
    pit.wait_event(cell, "agent_ready", "worker")
    for pid in processes("marker-stop"):
        send(pid, signal.SIGSTOP)
    hung = pit.wait_event(cell, "agent_hung", "worker")
    assert hung.data["beat_age"] >= 1.2
    assert hung.data["progress_age"] >= 1.2
    assert hung.data["computing"] is False
    pit.wait_event(cell, "agent_revived", "worker", generation=2)
    assert pit.events(cell, "heartbeat_stale", "worker")


def test_exit_codes_decide(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "done", *sh("exit 0"))
    pit.spawn(cell, "misconfigured", *sh("exit 78"))
    pit.spawn(cell, "crashing", *sh("exit 3"), rules={"max_revive_attempts": 3})
    assert pit.wait_event(cell, "agent_exited", "done").data["exit"] == "exit 0"
    told = pit.wait_event(cell, "agent_escalated", "misconfigured")
    assert told.data["reason"] == "no_retry_exit_code"
    told = pit.wait_event(cell, "agent_escalated", "crashing")
    assert told.data["reason"] == "attempts_exhausted"
    assert told.data["clear"] == f"lazarus revive {cell.uuid}/crashing"
    deaths = pit.events(cell, "agent_died", "crashing")
    assert [event.data["exit"] for event in deaths] == ["exit 3"] * 4


def test_a_revive_by_hand_clears_giving_up(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "crashing", *sh("exit 3"), rules={"max_revive_attempts": 1})
    pit.wait_event(cell, "agent_escalated", "crashing")
    pit.want(cell, "crashing", request=1)
    pit.wait_event(cell, "agent_escalated", "crashing", count=2)
    assert len(pit.events(cell, "agent_started", "crashing")) == 4


def test_detached_grandchildren_do_not_survive_a_revive(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    script = (
        'if [ "$LAZARUS_GENERATION" = 1 ]; then setsid sh -c "trap \'\' TERM HUP; '
        'exec sleep 3333" & fi; ' + BEATING + " # marker-orphan"
    )
    pit.spawn(cell, "worker", *sh(script))
    pit.wait_event(cell, "agent_ready", "worker")
    orphan = pit.wait(
        lambda: max(processes("sleep\0003333", cell), default=0), "the detached grandchild"
    )
    send(agent_pid(pit, cell, "marker-orphan"), signal.SIGKILL)
    pit.wait_event(cell, "agent_revived", "worker", generation=2)
    pit.wait(lambda: not Path(f"/proc/{orphan}").exists(), "the end of the grandchild")


def test_silence_is_forgiven_to_who_computes_prints_or_announced_it(pit: Pit) -> None:
    cell, other = pit.cell(), pit.cell()
    pit.start()
    pit.spawn(cell, "computing", *sh(ONE_BEAT + "while :; do :; done"))
    pit.spawn(cell, "printing", *sh(ONE_BEAT + "while :; do echo line; sleep 0.3; done"))
    busy = (
        "until=$(($(date +%s) + 600)); echo '{\"busy_until\": '$until'}' > $LAZARUS_HEARTBEAT_FILE;"
        " sleep 600"
    )
    pit.spawn(cell, "busy", *sh(busy))
    # The one that really hangs proves that verdicts were given meanwhile.
    pit.spawn(other, "hung", *sh(ONE_BEAT + "sleep 600"))
    pit.wait_event(other, "agent_hung", "hung", count=2)
    assert not pit.events(cell, "agent_hung")
    assert not pit.events(cell, "agent_died")


def test_holds_burn_no_attempt(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    quota = (
        'if [ "$LAZARUS_GENERATION" = 1 ]; then '
        'echo \'{"status": "quota_wait", "hold_until": \'$(($(date +%s) + 2))\'}\' '
        "> $LAZARUS_HEARTBEAT_FILE.t; mv $LAZARUS_HEARTBEAT_FILE.t $LAZARUS_HEARTBEAT_FILE; "
        "sleep 0.5; exit 1; fi; " + BEATING
    )
    pit.spawn(cell, "worker", *sh(quota))
    assert pit.wait_event(cell, "agent_held", "worker").data["hold"] == "quota_wait"
    pit.wait_event(cell, "agent_left_waiting", "worker")
    pit.wait_event(cell, "agent_ready", "worker", generation=2)
    assert not pit.events(cell, "agent_died", "worker")
    pit.wait(
        lambda: pit.health(cell)["worker"].readings.get("attempts_used") == 0, "no attempt burned"
    )


def test_what_people_want_wins(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATING + " # marker-want"))
    pit.wait_event(cell, "agent_ready", "worker")
    pit.want(cell, "worker", desired=Desired.STOP)
    pit.wait_event(cell, "agent_stopped", "worker")
    assert not processes("marker-want")
    pit.stop()
    pit.start()
    pit.want(cell, "worker", desired=Desired.RUN)
    pit.wait_event(cell, "agent_ready", "worker", generation=2)
    assert len(pit.events(cell, "agent_started", "worker")) == 2


def test_freezing_suspends_deadlines(pit: Pit) -> None:
    cell, other = pit.cell(), pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATING))
    pit.wait_event(cell, "agent_ready", "worker")
    provision.move_cell(cell, CellStatus.FROZEN)
    pit.wait_event(cell, "agent_frozen", "worker")
    beat = cell.beat("worker").stat().st_mtime_ns
    pit.spawn(other, "hung", *sh(ONE_BEAT + "sleep 600"))
    pit.wait_event(other, "agent_hung", "hung", count=2)
    assert cell.beat("worker").stat().st_mtime_ns == beat
    provision.move_cell(cell, CellStatus.ACTIVE)
    pit.wait_event(cell, "agent_thawed", "worker")
    pit.wait(lambda: cell.beat("worker").stat().st_mtime_ns > beat, "a beat after the thaw")
    assert not pit.events(cell, "agent_died", "worker")


def test_policies_ask_and_never(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    ask = {"revive_policy": "ask", "approval_timeout": 600}
    pit.spawn(cell, "asking", *sh("exit 3"), rules=ask)
    pit.spawn(cell, "final", *sh("exit 3"), rules={"revive_policy": "never"})
    pit.spawn(cell, "ignored", *sh("exit 3"), rules={**ask, "approval_timeout": 0.5})
    pit.wait_event(cell, "agent_escalated", "final", reason="policy_never")
    pit.wait_event(cell, "agent_escalated", "ignored", reason="approval_expired")
    pit.wait_event(cell, "approval_requested", "asking")
    assert len(pit.events(cell, "agent_started")) == 3
    pit.want(cell, "asking", request=1)
    pit.wait_event(cell, "approval_requested", "asking", count=2)
    assert len(pit.events(cell, "agent_started", "asking")) == 2


def test_sd_notify_is_a_heartbeat(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    speak = (
        "import os,socket,time\n"
        "s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect(os.environ['NOTIFY_SOCKET'])\n"
        "s.send(b'READY=1\\nSTATUS=serving')\n"
        "while True: s.send(b'WATCHDOG=1'); time.sleep(0.2)\n"
    )
    pit.spawn(cell, "service", "python3", "-c", speak)
    ready = pit.wait_event(cell, "agent_ready", "service")
    assert ready.data["source"] == "heartbeat"
    assert pit.wait_event(cell, "heartbeat", "service").data["status"] == "serving"


def test_a_process_agent_is_watched_by_its_process_alone(pit: Pit) -> None:
    cell, other = pit.cell(), pit.cell()
    pit.start()
    pit.spawn(cell, "plain", "/bin/sleep", "7777", rules={"liveness": "process"})
    pit.wait_event(cell, "agent_ready", "plain")
    pit.spawn(other, "hung", *sh(ONE_BEAT + "sleep 600"))
    pit.wait_event(other, "agent_hung", "hung", count=2)
    assert not pit.events(cell, "agent_died")


def test_a_program_that_is_not_there_is_said_and_not_retried_for_ever(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "typo", "/no/such/program", rules={"max_revive_attempts": 2})
    assert pit.wait_event(cell, "agent_escalated", "typo").data["reason"] == "cannot_start"
    assert "/no/such/program" in pit.events(cell, "agent_start_failed")[0].data["why"]


def test_the_environment_names_the_life(pit: Pit) -> None:
    os.environ["KNOWN_TO_THE_DAEMON"] = "do-not-tell"
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "teller", *sh("env; id -u; exit 0"))
    pit.wait_event(cell, "agent_exited", "teller")
    # The log is written by a process beside the daemon, so it may come a moment after the event.
    pit.wait(
        lambda: re.search(r"^\d+\n\Z", cell.log("teller").read_text(), re.MULTILINE),
        "the whole log",
    )
    said = cell.log("teller").read_text()
    assert f"LAZARUS_CELL_UUID={cell.uuid}" in said
    assert "LAZARUS_AGENT=teller" in said
    assert "LAZARUS_GENERATION=1" in said
    assert "do-not-tell" not in said
    assert said.splitlines()[-1] != "0"


def test_sigterm_ends_the_daemon_within_a_second_and_agents_go_on(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATING + " # marker-term"))
    pit.wait_event(cell, "agent_ready", "worker")
    pid = agent_pid(pit, cell, "marker-term")
    begun = time.monotonic()
    assert pit.stop() == 0
    assert time.monotonic() - begun < 30  # The contract's second is measured by bench/, not here.
    assert pid in processes("marker-term")
    pit.start()
    pit.wait_event(cell, "agent_adopted", "worker")
    assert pid in processes("marker-term")
    assert len(pit.events(cell, "agent_started", "worker")) == 1


def test_a_member_that_is_kicked_is_stopped_and_forgotten(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATING + " # marker-kick"))
    pit.wait_event(cell, "agent_ready", "worker")
    argv = [sys.executable, "-m", "lazarus_pit", "kick", "pond/worker", "--config", str(pit.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert not processes("marker-kick")
    assert pit.events(cell, "agent_left", "worker")
    assert cell.home("worker").is_dir()
    pit.wait(lambda: "worker" not in pit.health(cell), "the daemon forgets it")
