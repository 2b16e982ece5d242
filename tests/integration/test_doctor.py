"""The doctor finds what is wrong by trying it, and a healthy machine healthy."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.typing_it import Typist, process
from lazarus_pit.cli import checks
from lazarus_pit.cli.checks import KERNEL, PLACE, Verdict

pytestmark = pytest.mark.sandbox


@pytest.fixture
def lazarus(tmp_path: Path) -> Typist:
    config = tmp_path / "pit.toml"
    config.write_text(
        f'[daemon]\npid_file = "{tmp_path}/pid"\nlog_file = "-"\n[cells]\nroot = "{tmp_path}/m"\n'
    )
    return Typist(tmp_path / "m", config)


def test_a_machine_on_which_sandboxes_work_is_healthy(lazarus: Typist, tmp_path: Path) -> None:
    found = lazarus("doctor", "--json").json()
    assert found["healthy"] is True
    assert set(found["checks"][0]) == {"name", "verdict", "found", "means"}
    verdicts = {check["name"]: check["verdict"] for check in found["checks"]}
    for name in ("writing outside", "reading a home", "signalling outside", "beating inside"):
        assert verdicts[name] == "ok"
    assert len(verdicts) == len(KERNEL) + len(PLACE) + 5
    assert not (tmp_path / "m").exists(), "looking must leave nothing behind"


def test_without_walls_the_same_attempts_succeed(lazarus: Typist) -> None:
    said = lazarus("doctor", "--unsafe-no-sandbox")
    assert said.code == 1
    assert "failed    writing outside" in said.out
    assert "failed    signalling outside" in said.out


def test_a_bubblewrap_that_works_is_passed_over_in_silence() -> None:
    said = process("doctor", "--fix-bubblewrap")
    assert (said.code, said.out, said.err) == (0, "", "")


def test_a_place_where_no_cell_can_be_is_found(lazarus: Typist, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "pit.toml").write_text(f'[cells]\nroot = "{tmp_path}/file/missions"\n')
    said = lazarus("doctor")
    assert said.code == 1
    assert f"failed    root                {tmp_path}/file is a file, expected a dir" in said.out


def test_records_that_cannot_be_read_are_a_finding_among_others(
    lazarus: Typist, tmp_path: Path
) -> None:
    (tmp_path / "m" / ".lazarus-pit" / "records.db").mkdir(parents=True)
    said = lazarus("doctor")
    assert said.code == 1
    (line,) = [line for line in said.out.splitlines() if "records.db" in line]
    assert line.startswith("failed    people")
    assert "ok        forge" in said.out, "what comes after it is looked at as well"


def test_a_kernel_without_means_is_degraded_and_says_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "FLEET", 10**9)
    found = checks.watches()
    assert found.verdict is Verdict.DEGRADED
    assert "polled" in found.means
