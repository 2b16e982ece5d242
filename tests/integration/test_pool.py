"""``resurrection-pool`` with real gateways (contract section 3; rows are named)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import far
from integration.pools import FarPool
from lazarus_pit.pool.memory import recall


def test_3_1_once_says_by_its_exit_code_whether_all_are_healthy(tmp_path: Path) -> None:
    with FarPool(tmp_path) as pool, far.listening() as port:
        assert pool.run("--once").returncode == 0, "nobody is unwell where there is nobody"
        own = subprocess.Popen(["sleep", f"{100_000 + os.getpid()}"])
        try:
            pool.add(
                "well",
                "never",
                port=port,
                heartbeat_path=str(far.beat(tmp_path / "hb", age=-30.0)),
                process_pattern=rf"^sleep {100_000 + os.getpid()}$",
            )
            assert pool.run("--once").returncode == 0
            pool.add("ill", "never")
            assert pool.run("--once").returncode == 1
        finally:
            own.kill()
            own.wait()


def test_3_6_status_is_a_list_on_stdout_and_changes_nothing(tmp_path: Path) -> None:
    with FarPool(tmp_path) as pool:
        pool.add("timmy", "auto")
        done = pool.run("--status")
        assert not pool.pit.root.exists()
    (one,) = json.loads(done.stdout)
    del one["probes"]
    checked = one.pop("last_checked")
    assert one == {
        "name": "timmy",
        "state": "dead",
        "gateway_alive": False,
        "process_alive": False,
        "heartbeat_age": None,
        "first_dead_at": checked,
        "revive_pending": False,
        "revive_attempts": 0,
    }
    assert done.returncode == 0


def test_3_1_a_dry_run_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold", dead_threshold=0.001) as pool:
        for policy in ("auto", "ask", "never"):
            pool.add(policy, policy)
        pool.settings["dead_threshold"] = 3600.0
        pool.run("--once")
        before = pool.pit.pool.read_bytes()
        pool.settings["dead_threshold"] = 0.001
        done = pool.run("--dry-run")
        assert pool.pit.pool.read_bytes() == before
        assert (pool.all_lives(), pool.requests(), pool.told()) == ([], [], [])
    auto, ask, never = done.stdout.splitlines()
    assert "would run: " in auto
    assert "would ask people" in ask
    assert "would leave it to people (policy_never)" in never
    assert done.returncode == 1


def test_3_7_auto_brings_it_back_and_3_8_only_health_is_success(tmp_path: Path) -> None:
    with FarPool(tmp_path) as pool:
        pool.add("timmy", "auto")
        pool.start()
        pool.wait(lambda: "gateway_recovered" in pool.told(), "recovery")
        assert pool.told() == ["gateway_died", "gateway_revive_started", "gateway_recovered"]
        died, _, back = pool.events()
        assert set(died.data["probes"]) == {"tcp", "process", "heartbeat"}
        assert back.data["by"] == "pool"
        ((generation, pid),) = pool.lives()
        assert generation == 1
        assert os.getsid(pid) == pid, "it is detached"
        assert pool.pit.pool_log("timmy").read_text() == "a gateway begins\n"
        assert pool.stop() == 0
        os.kill(pid, 0)
        (one,) = json.loads(pool.run("--status").stdout)
        assert (one["state"], one["first_dead_at"], one["revive_attempts"]) == ("healthy", None, 0)


def test_3_7_a_command_that_cannot_be_run_is_an_incident(tmp_path: Path) -> None:
    with FarPool(tmp_path) as pool:
        pool.add("empty", "auto", revive_cmd=[])
        pool.add("gone", "auto", revive_cmd=["no-such-program-at-all", "; touch pwned"])
        pool.once_until(lambda: pool.told().count("gateway_escalated") == 2)
        before = pool.told()
        pool.run("--once")
        assert pool.told() == before, "said once"
        reasons = [e.data["reason"] for e in pool.events() if e.event == "gateway_escalated"]
        assert reasons == ["cannot_start", "cannot_start"]


def test_what_it_runs_is_given_none_of_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITEA_TOKEN", "TELEGRAM_BOT_TOKEN", "NOSTR_SECRET_KEY", "ITS_OWN"):
        monkeypatch.setenv(name, "11" * 32)
    revived, probed = tmp_path / "revived", tmp_path / "probed"
    tell = "env | sort > {0}.new && mv {0}.new {0}; exit 1"
    with FarPool(tmp_path, dead_threshold=0.001) as pool:
        pool.add(
            "timmy",
            "auto",
            revive_cmd=["sh", "-c", tell.format(revived)],
            probe_cmd=["sh", "-c", tell.format(probed)],
        )
        pool.once_until(revived.exists)
    for told in (revived.read_text(), probed.read_text()):
        assert "ITS_OWN=" in told
        assert "TOKEN" not in told
        assert "SECRET" not in told


def test_3_7_waiting_for_a_person_holds_up_nobody(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        pool.add("asked", "ask")
        pool.start()
        pool.wait(pool.requests, "the request")
        assert pool.stop() == 0
        pool.add("other", "auto")
        pool.start()
        pool.wait(lambda: "gateway_recovered" in pool.told("other"), "the other is back")
        assert (pool.lives(1), len(pool.requests())) == ([], 1)
        done = pool.lazarus("approve", "asked", "--as", "ada")
        assert done.returncode == 0, done.stderr
        pool.wait(lambda: "gateway_recovered" in pool.told("asked"), "the asked one is back")
        assert [generation for generation, _ in pool.lives(1)] == [1]
        granted = next(e for e in pool.events() if e.event == "approval_granted")
        assert (granted.data["by"], granted.data["via"]) == ("ada", "cli")


def test_approvals_survive_kill_9_and_are_asked_and_used_once(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        pool.add("timmy", "ask")
        pool.start()
        pool.wait(pool.requests, "the request")
        pool.kill9()
        pool.start()
        pool.kill9()
        assert len(pool.requests()) == 1
        assert pool.lazarus("approve", "timmy").returncode == 0  # While no pool is there.
        assert pool.lives() == []
        pool.start()
        pool.wait(lambda: "gateway_recovered" in pool.told(), "recovery")
        pool.kill9()
        pool.start()
        assert pool.stop() == 0
        assert [generation for generation, _ in pool.lives()] == [1]
        assert len(pool.requests()) == 1
        assert pool.lazarus("approve", "timmy").returncode == 1


def test_3_7_no_is_an_incident_and_no_revive(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        pool.add("timmy", None)  # In no mission: ask.
        pool.once_until(pool.requests)
        assert pool.lazarus("deny", "timmy").returncode == 0
        pool.run("--once")
        assert pool.told()[-2:] == ["approval_denied", "gateway_escalated"]
        pool.run("--once")
        assert (pool.lives(), len(pool.requests())) == ([], 1)


def test_an_answer_to_the_old_command_runs_no_new_one(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        gateway = pool.add("timmy", "ask")
        pool.once_until(pool.requests)
        assert pool.lazarus("approve", "timmy").returncode == 0
        gateway["revive_cmd"] = ["touch", str(tmp_path / "other")]
        pool.once_until(lambda: len(pool.requests()) == 2)
        assert not (tmp_path / "other").exists()


def test_a_lost_memory_finds_no_old_answers(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        pool.add("timmy", "ask")
        pool.once_until(pool.requests)
        assert pool.lazarus("approve", "timmy").returncode == 0
        pool.pit.pool.write_bytes(b"{torn")
        pool.once_until(lambda: len(pool.requests()) == 2)
        assert pool.lives() == []
        assert list(pool.pit.private.glob("pool.json.damaged-*"))


@pytest.mark.parametrize("flags", [["--once"], []])
def test_records_that_refuse_keep_nobody_from_a_revive_without_a_word(
    tmp_path: Path, flags: list[str]
) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        pool.settings["telegram"] = {"bot_token": "1:a", "chat_id": 1, "api_url": "http://[::1]:1"}
        pool.add("timmy", "auto")
        pool.add("asked", "ask")
        pool.pit.records.mkdir(parents=True)
        if flags:
            pool.once_until(pool.lives)
        else:
            pool.start().wait(pool.lives, "a revive")
            assert pool.stop() == 0
        assert not pool.lives(2)


def test_3_9_without_a_channel_ask_revives_with_a_warning(tmp_path: Path) -> None:
    with FarPool(tmp_path) as pool:
        pool.add("timmy", "sometimes")
        pool.start()
        pool.wait(lambda: "gateway_recovered" in pool.told(), "recovery")
        said = pool.log.read_text()
        assert 'found "sometimes"' in said
        assert "no channel is configured" in said
        assert pool.requests() == []


def test_kill_9_at_any_moment_revives_no_generation_twice(tmp_path: Path) -> None:
    settings = {"max_revive_attempts": 1_000_000, "start_timeout": 0.001, "dead_threshold": 0.001}
    with FarPool(tmp_path, **settings) as pool:
        noted = str(tmp_path / "noted")
        script = 'echo "$LAZARUS_GENERATION" >> "$0"'
        pool.add("timmy", "auto", revive_cmd=["sh", "-c", script, noted])
        for number in range(5):
            process = subprocess.Popen(pool.argv("--once"), stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2 + 0.05 * number)
            process.kill()
            process.wait()
        pool.once_until(lambda: Path(noted).exists())
        generations = Path(noted).read_text().split()
        assert len(set(generations)) == len(generations)


def test_nothing_is_done_that_cannot_be_remembered(tmp_path: Path) -> None:
    with FarPool(tmp_path, dead_threshold=0.001) as pool:
        pool.add("timmy", "auto")
        pool.run("--once")
        before = pool.pit.pool.read_bytes()
        full = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *pool.argv("--once")]
        done = subprocess.run(full, capture_output=True, text=True, check=False)
        assert "nothing is done until this can be remembered" in done.stderr
        assert (pool.lives(), pool.told(), pool.pit.pool.read_bytes()) == ([], [], before)
        pool.once_until(pool.lives)


def test_who_left_the_configuration_is_forgotten(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold", dead_threshold=0.001) as pool:
        pool.add("timmy", "ask")
        pool.add("gone", "ask")
        pool.once_until(lambda: len(pool.requests()) == 2)
        pool.settings["gateways"].pop()
        pool.run("--once")
        assert list(recall(pool.pit.pool)) == ["timmy"]
        pool.settings["gateways"].clear()
        assert pool.run("--once").returncode == 0
        assert recall(pool.pit.pool) == {}


HOSTILE = ["a\nb\r\x1b[31m", "*bold* [x](http://y) `code`", "n" * 10_000, "../../etc", "\u202ex"]


def test_names_may_hold_anything(tmp_path: Path) -> None:
    with FarPool(tmp_path, ask_without_channel="hold") as pool:
        for number, name in enumerate(HOSTILE):
            pool.add(name, "auto" if number % 2 else "ask")
        pool.start()
        pool.wait(lambda: len(pool.requests()) == 3, "the requests")
        pool.wait(lambda: pool.told().count("gateway_recovered") == 2, "the revived")
        lines = pool.log.read_text().splitlines()
        assert all(line[:2] == "20" and line.isprintable() for line in lines)
        assert {one.subject.removeprefix("pool/") for one in pool.requests()} == set(HOSTILE[::2])
        said = pool.lazarus("approvals").stdout
        assert len(said.splitlines()) == 3
        assert pool.lazarus("events").returncode == 0
        assert [one["name"] for one in json.loads(pool.run("--status").stdout)] == HOSTILE
        logs = list((pool.pit.private / "pool").iterdir())
        assert len(logs) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_whatever_it_is_doing(tmp_path: Path, number: int) -> None:
    """Its probes would hold it for ten minutes; ``stop`` gives up long before."""
    with far.blackholed() as port, FarPool(tmp_path, probe_timeout=600.0) as pool:
        pool.add("timmy", "auto", port=port, probe_cmd=["sleep", "600"])
        pool.start()
        assert pool.stop(number) == 0


def test_a_second_pool_of_a_root_is_refused(tmp_path: Path) -> None:
    with FarPool(tmp_path) as pool:
        pool.start()
        done = pool.run("--once")
        assert done.returncode == 1
        assert pool.process
        assert f"pid {pool.process.pid}" in done.stderr
        assert pool.run("--status").returncode == 0


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--poll-interval", "abc"], 2, "'abc', expected seconds"),
        (["--dead-threshold", "-1"], 2, "dead_threshold: found -1"),
        (["--once", "--status"], 2, "not allowed with"),
    ],
)
def test_3_1_wrong_flags(tmp_path: Path, flags: list[str], code: int, said: str) -> None:
    done = FarPool(tmp_path).run(*flags)
    assert done.returncode == code
    assert said in done.stderr


def test_a_wrong_value_names_file_and_field(tmp_path: Path) -> None:
    pool = FarPool(tmp_path, gateways=[{"name": "x", "port": "many"}])
    done = pool.run("--once")
    assert done.returncode == 2
    assert f'{pool.config}: gateways[0].port: found "many", expected a whole number' in done.stderr
