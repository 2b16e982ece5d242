"""Where the pool's configuration comes from, and what it may say (contract 3.2, 3.3, 3.7, 3.9)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.config import parse as parse_toml
from lazarus_pit.core.model import RevivePolicy
from lazarus_pit.errors import ConfigError, FormatError
from lazarus_pit.formats import channel_settings, pool_config
from lazarus_pit.formats.pool_config import PoolConfig
from lazarus_pit.pool.sources import find


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".nexus").mkdir()
    return {
        "flag": tmp_path / "flag.json",
        "named": tmp_path / "named.json",
        "home": tmp_path / ".nexus" / "resurrection_pool.json",
        "system": tmp_path / "system.json",
    }


def test_3_2_the_first_that_can_be_read_is_taken(places: dict[str, Path]) -> None:
    for number, path in enumerate(places.values(), 1):
        path.write_text(f'{{"poll_interval": {number}}}')
    environ = {"RESURRECTION_CONFIG": str(places["named"])}
    for path in places.values():
        found = find(places["flag"], environ, places["system"])
        assert found.path == path
        path.write_text("{torn")
    last = find(places["flag"], environ, places["system"])
    assert (last.path, last.config) == (None, PoolConfig())
    assert len(last.warnings) == 5


def test_3_2_only_what_was_named_is_missed(places: dict[str, Path]) -> None:
    assert len(find(None, {}, places["system"]).warnings) == 1
    found = find(places["flag"], {"RESURRECTION_CONFIG": "/nowhere"}, places["system"])
    assert [str(places["flag"]) in found.warnings[0], "/nowhere" in found.warnings[1]] == [True] * 2


def test_3_2_what_would_hold_a_reader_up_is_passed_over(places: dict[str, Path]) -> None:
    places["flag"].mkdir()
    places["system"].write_text("{}")
    assert find(places["flag"], {}, places["system"]).path == places["system"]


def test_3_3_defaults_are_the_contracts() -> None:
    config, warnings = pool_config.parse(b'{"gateways": [{"name": "timmy"}]}')
    (one,) = config.gateways
    assert (config.poll_interval, config.dead_threshold, config.approval_timeout) == (60, 300, 300)
    assert (one.host, one.port, one.heartbeat_path, one.process_pattern, one.revive_cmd) == (
        ("localhost", 8765, "~/.nexus/heartbeat.json", "nexus_think", ())
    )
    assert (config.ask_without_channel, config.has_channel, warnings) == ("revive", False, [])


def test_3_3_the_environment_wins(places: dict[str, Path]) -> None:
    places["flag"].write_text('{"telegram": {"bot_token": "a", "chat_id": 5}}')
    environ = {"TELEGRAM_BOT_TOKEN": "b", "GITEA_URL": "u", "GITEA_TOKEN": "t", "NEXUS_REPO": "r"}
    config = find(places["flag"], environ, places["system"]).config
    assert (config.telegram.bot_token, config.telegram.chat_id) == ("b", 5)
    assert (config.gitea.url, config.gitea.token, config.gitea.repo) == ("u", "t", "r")


def test_3_7_the_first_mission_that_lists_it_decides() -> None:
    config, warnings = pool_config.parse(
        b"""{"gateways": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "missions": {
        "one": {"agents": ["a"], "revive_policy": "auto"},
        "two": {"agents": ["a", "b"], "revive_policy": "Never"}}}"""
    )
    assert list(pool_config.policies(config).values()) == ["auto", "ask", "ask"]
    assert [one.split(":")[0] for one in warnings] == ["missions.two.revive_policy"]


@pytest.mark.parametrize(
    ("more", "falls"),
    [
        ("", True),
        (', "ask_without_channel": "hold"', False),
        (', "telegram": {"bot_token": "a", "chat_id": "b"}', False),
        (', "telegram": {"bot_token": "a"}', True),
        (', "nostr": {"relay_url": "ws://a", "recipient_pubkey": "b"}', False),
    ],
)
def test_3_9_ask_falls_back_only_where_nobody_can_be_asked(more: str, falls: bool) -> None:  # noqa: FBT001
    config, _ = pool_config.parse(f'{{"poll_interval": 1{more}}}'.encode())
    assert pool_config.falls_back(config, RevivePolicy.ASK) is falls
    assert not pool_config.falls_back(config, RevivePolicy.NEVER)
    assert pool_config.rules_of(config, RevivePolicy.NEVER).revive_policy is RevivePolicy.NEVER


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[]", "configuration"),
        ('{"gateways": {}}', "gateways"),
        ('{"gateways": [{}]}', "gateways[0].name"),
        ('{"gateways": [{"name": "x", "port": 0}]}', "gateways[0].port"),
        ('{"gateways": [{"name": "x", "revive_cmd": "rm -rf /"}]}', "gateways[0].revive_cmd"),
        ('{"gateways": [{"name": "a\\u0000"}]}', "gateways[0].name"),
        ('{"missions": {"m": {"agents": "x"}}}', "missions.m.agents"),
        ('{"poll_interval": 0}', "poll_interval"),
        ('{"ask_without_channel": "never"}', "ask_without_channel"),
    ],
)
def test_a_wrong_value_is_named(text: str, named: str) -> None:
    with pytest.raises(FormatError) as error:
        pool_config.parse(text.encode())
    assert str(error.value).startswith(f"{named}:")


ALL: dict[str, Any] = {
    "poll_interval": 60, "dead_threshold": 300, "approval_timeout": 300, "probe_timeout": 3,
    "start_timeout": 30, "max_revive_attempts": 3, "ask_without_channel": "revive",
    "gateways": [{
        "name": "timmy", "host": "h", "port": 1, "heartbeat_path": "h", "process_pattern": "p",
        "revive_cmd": ["x"], "health_url": "http://h", "probe_cmd": ["x"],
    }],
    "missions": {"m": {"label": "l", "agents": ["timmy"]}},
    "telegram": {
        "bot_token": "1:a", "bot_token_file": "f", "chat_id": 1, "allowed_users": [1],
        "api_url": "http://h",
    },
    "nostr": {
        "relays": ["ws://h"], "relay_url": "ws://h", "recipient_pubkey": "npub1", "dm": "nip17",
        "secret_key": "k", "secret_key_file": "f",
    },
    "apprise": {"urls": ["json://h"], "urls_file": "f"},
    "gitea": {
        "url": "http://h", "repo": "a/b", "token": "t", "approvers": ["a"], "poll_interval": 15,
        "reopen_within": 9, "provision_approved": False, "webhook_port": 0, "webhook_secret": "s",
    },
    "notifications": {"open_issue_on_death": True, "close_issue_on_revive": True},
}  # fmt: skip
"""Every key but the policy, of which a wrong word is only warned of."""


def places_in(found: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in found.items() if isinstance(found, dict) else enumerate(found):
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places_in(value, (*above, key))


@pytest.mark.parametrize("wrong", [None, [[]], {"a": {}}, 2**70 + 0.5, "\0\n"], ids=repr)
def test_each_value_that_is_wrong_names_file_and_field(
    places: dict[str, Path], wrong: object
) -> None:
    missed: list[object] = []
    for place in places_in(ALL):
        config = copy.deepcopy(ALL)
        at: Any = config
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = wrong
        places["flag"].write_text(json.dumps(config))
        field = [key for key in place if isinstance(key, str)][-1]
        try:
            find(places["flag"], {})
        except ConfigError as error:
            missed += [] if field in str(error).removeprefix(f"{places['flag']}: ") else [place]
        else:
            missed.append(field)
    # A table may hold keys that we do not know, and most texts may hold anything.
    allowed = {"m", "missions", *channel_settings.TABLES, "gitea", "notifications"}
    texts = {"label", "agents", "process_pattern", "health_url"}
    assert set(missed) <= (allowed if isinstance(wrong, dict) else texts)


@pytest.mark.parametrize("link", ["ws://h:abc", "ws://h:99999", "ws://a@h", "http://h", "h"])
def test_an_address_that_is_none_is_named(places: dict[str, Path], link: str) -> None:
    for nostr in ({"relay_url": link}, {"relays": [link]}):
        places["flag"].write_text(json.dumps({"nostr": nostr}))
        with pytest.raises(ConfigError, match=rf"nostr\.{next(iter(nostr))}: expected an address"):
            find(places["flag"], {})


def test_a_file_that_can_be_read_but_is_wrong_is_an_error(places: dict[str, Path]) -> None:
    places["flag"].write_text('{"gateways": 1}')
    with pytest.raises(ConfigError, match=r"flag\.json: gateways: found 1, expected a list"):
        find(places["flag"], {}, places["system"])


def test_what_we_do_not_know_is_warned_of() -> None:
    config, warnings = pool_config.parse(
        b'{"gatewys": [], "gateways": [{"name": "a"}, {"name": "a"}, '
        b'{"name": "b", "process_pattern": "("}, {"name": "c", "process_pattern": ".*"}], '
        b'"missions": {"m": {"agents": ["a", "bb"]}}}'
    )
    assert [one.name for one in config.gateways] == ["a", "b", "c"]
    assert len(warnings) == 5
    assert warnings[-1] == 'missions.m.agents: "bb" is no gateway here; it is passed over'


def test_3_2_the_daemons_toml_may_hold_the_same(places: dict[str, Path], tmp_path: Path) -> None:
    toml = tmp_path / "pit.toml"
    toml.write_text(
        """
        [cells]
        root = "/missions"
        [gitea]
        url = "https://forge.example.org"
        [pool]
        dead_threshold = 7
        [[pool.gateways]]
        name = "timmy"
        revive_cmd = ["true"]
        [pool.missions.m]
        label = "save the world"
        agents = ["timmy"]
        revive_policy = "sometimes"
        [notifications]
        close_issue_on_revive = false
        """
    )
    found = find(toml, {"NEXUS_REPO": "a/b"}, places["system"])
    (timmy,) = found.config.gateways
    assert (timmy.name, timmy.revive_cmd, timmy.port) == ("timmy", ("true",), 8765)
    assert (found.config.dead_threshold, found.root) == (7, Path("/missions"))
    assert found.config.gitea.url == "https://forge.example.org"
    assert found.config.gitea.repo == "a/b"
    assert not found.config.notifications.close_issue_on_revive
    assert ["revive_policy" in one for one in found.warnings] == [True]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dead_treshold = 5", "line 2: [pool] dead_treshold: no such key"),
        ("dead_threshold = 0", "line 2: [pool] dead_threshold: found 0"),
        ("gateways = [{name = 'a', prot = 1}]", "[pool] gateways[0].prot: no such key"),
        ("gateways = [{port = 1}]", "line 2: [pool] gateways[0].name: missing"),
    ],
)
def test_in_the_daemons_toml_every_key_is_checked(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(f"[pool]\n{line}\n".encode(), Path("pit.toml"))
    assert said in str(caught.value)
