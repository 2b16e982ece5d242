"""The configuration: contract rows 2.2 and 2.3."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from lazarus_pit import config
from lazarus_pit.cells import layout
from lazarus_pit.core.model import RevivePolicy
from lazarus_pit.errors import ConfigError
from lazarus_pit.formats.forge_settings import Notifications

SHIPPED = Path(__file__).parents[2] / "config" / "lazarus-pit.toml"
HERE = Path("lazarus-pit.toml")


def parsed(source: str) -> config.Config:
    return config.parse(source.encode(), HERE)


def test_a_missing_file_means_defaults_2_2(tmp_path: Path) -> None:
    found = config.load(tmp_path / "none.toml", {})
    assert not found.found
    assert (found.root, found.pid_file, found.log_file) == (
        layout.default_root(),
        layout.default_pid_file(),
        layout.default_log_file(),
    )
    assert found.daemon.log_level == "INFO"
    assert found.cells == config.Cells(
        heartbeat_stale_threshold=60, resurrect_after=120, max_revive_attempts=3, poll_interval=15
    )
    assert found.gateway == config.Gateway(
        host="localhost", port=8765, health_host="localhost", health_port=8766
    )
    assert found.notifications == Notifications(
        open_issue_on_death=True, close_issue_on_revive=True
    )


def test_the_shipped_file_says_the_defaults_2_3() -> None:
    assert config.parse(SHIPPED.read_bytes(), HERE) == parsed("")


def test_the_shipped_file_documents_every_setting_and_no_other_2_3() -> None:
    # Paths differ between root and others and are therefore shown as comments.
    source = re.sub(r"(?m)^# (\w+ = )", r"\1", SHIPPED.read_text())
    shown = {name: list(table) for name, table in tomllib.loads(source).items()}
    known = {name: [info.name for info in fields(s)] for name, s in config.SECTIONS.items()}
    known["rules"] = [name for name in known["rules"] if name not in config.IN_CELLS]
    assert {name: sorted(keys) for name, keys in shown.items()} == {
        name: sorted(keys) for name, keys in known.items()
    }
    if os.geteuid() == 0:
        found = parsed(source)
        assert (found.root, found.pid_file, found.log_file) == (
            layout.default_root(),
            layout.default_pid_file(),
            layout.default_log_file(),
        )


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    found = parsed(
        f"""
        [daemon]
        log_file = "-"
        pid_file = "{tmp_path}/pid"
        [cells]
        root = "missions"
        resurrect_after = 9
        heartbeat_stale_threshold = 4.5
        max_revive_attempts = 7
        [rules]
        revive_policy = "ask"
        no_restart_exit_codes = [1, 2]
        [fleet]
        starts_in_flight = 5
        """
    )
    assert (found.log_file, found.pid_file) == (None, tmp_path / "pid")
    assert found.root == Path.cwd() / "missions"
    rules = found.rules
    assert (rules.resurrect_after, rules.heartbeat_stale_threshold) == (9, 4.5)
    assert (rules.max_revive_attempts, rules.revive_policy) == (7, RevivePolicy.ASK)
    assert (rules.no_restart_exit_codes, found.fleet.starts_in_flight) == ((1, 2), 5)


def test_a_machine_knows_how_many_starts_it_can_bear() -> None:
    assert parsed("").fleet.starts_in_flight == 2 * (os.cpu_count() or 1)


def test_the_environments_token_wins_2_2(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[gitea]\ntoken = "file"\nurl = "http://forge"')
    kept = config.load(path, {}).gitea
    assert (kept.token, kept.url) == ("file", "http://forge")
    found = config.load(path, {"GITEA_TOKEN": "environment"})
    assert (found.gitea.token, found.gitea.url) == ("environment", "http://forge")
    assert config.load(path, {"GITEA_TOKEN": ""}).gitea == config.load(path, {}).gitea


MISTAKES = [
    ("[daemon\n", "lazarus-pit.toml: Expected ']'"),
    ("[daemon]\nlog_level = \n", "(at line 2, column 13)"),
    ("\n[cels]\n", "line 2: [cels]: no such section, did you mean cells?"),
    ("[xyz]\n", "no such section, expected one of daemon, cells, gateway"),
    ("[cells]\n\npol_interval = 3", "line 3: [cells] pol_interval: no such key, did you mean"),
    ('root = "/x"', "root stands outside a section, expected in [cells]"),
    ("x = 1", "x stands outside a section, expected only sections"),
    ("[[daemon]]", "daemon stands outside a section"),
    ('[cells]\npoll_interval = "15"', 'line 2: [cells] poll_interval: found "15", expected a num'),
    ("[cells]\npoll_interval = true", "[cells] poll_interval: found true, expected a number"),
    ("[cells]\npoll_interval = 0", "poll_interval: found 0, expected at least 0.01"),
    ("[cells]\nresurrect_after = nan", "resurrect_after: found nan, expected at least 0.001"),
    ("[cells]\nresurrect_after = inf", "resurrect_after: found inf"),
    ("[cells]\nmax_revive_attempts = 1.5", "found 1.5, expected a whole number"),
    ("[cells]\nmax_revive_attempts = -1", "found -1, expected at least 0"),
    ("[cells]\nroot = 7", "[cells] root: found 7, expected a text"),
    ('[cells]\nroot = "\\u0000"', "[cells] root: found a zero byte"),
    ('[daemon]\nlog_level = "LOUD"', 'found "LOUD", expected one of DEBUG, INFO, WARNING'),
    ("[gateway]\nport = 65536", "found 65536, expected at least 0 and at most 65535"),
    ("[gateway]\nport = 99999999", "port: found 99999999, expected"),
    ('[notifications]\nopen_issue_on_death = "yes"', 'found "yes", expected true or false'),
    ("[rules]\nresurrect_after = 3", "[rules] resurrect_after: has its place in [cells]"),
    ('[rules]\nrevive_policy = "maybe"', "expected one of auto, ask, never"),
    ("[rules]\nno_restart_exit_codes = [300]", "a list of exit codes, 0 to 255"),
    ("[isolation]\nuid = 0", "[isolation] uid: found 0, expected at least 1"),
    ("[fleet]\nstorm_window = 0", "[fleet] storm_window: found 0"),
]


@pytest.mark.parametrize(("source", "said"), MISTAKES, ids=lambda value: value[:50])
def test_a_mistake_is_named_with_its_place_2_2(source: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(source)
    assert said in str(caught.value)
    assert str(caught.value).startswith("lazarus-pit.toml: ")


@pytest.mark.timeout(10)
def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link, tmp_path):
        with pytest.raises(ConfigError, match="expected a regular file"):
            config.load(path, {})
    link.unlink()
    link.symlink_to(SHIPPED)
    assert config.load(link, {}).found


@settings(deadline=None, max_examples=100)
@given(st.text(st.sampled_from("[]{}=\"\n\\'.0a_ #,"), max_size=60) | st.binary(max_size=60))
@example("a=" + "[" * 5000)
@example(b"\xff")
@example('"\\u001b" = 1')
def test_garbage_raises_config_error_and_nothing_else(source: str | bytes) -> None:
    said = complaint(source.encode() if isinstance(source, str) else source)
    assert said.isprintable()


def complaint(source: bytes) -> str:
    """Return what is said against a configuration; any other exception is not caught."""
    try:
        config.parse(source, HERE)
    except ConfigError as error:
        return str(error)
    return ""
