"""Flags and environment of ``nexus-gateway``."""

from pathlib import Path

import pytest

from lazarus_pit.errors import UsageError
from lazarus_pit.gateway.options import LIMIT_FLAGS, read_options

WORD = "a-token-of-some-length"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{WORD}\n")
    path.chmod(0o600)
    return path


def test_defaults_are_loopback_and_the_ports_of_the_contract() -> None:
    options = read_options([], {})
    assert (options.host, options.port) == ("localhost", 8765)
    assert (options.health_host, options.health_port) == ("127.0.0.1", 8766)
    assert not options.door.token


def test_6_2_the_environment_says_where_health_is() -> None:
    environment = {"NEXUS_HEALTH_HOST": "::1", "NEXUS_HEALTH_PORT": "9"}
    options = read_options([], environment)
    assert (options.health_host, options.health_port) == ("::1", 9)
    assert read_options(["--health-port", "10"], environment).health_port == 10


def test_a_token_comes_from_the_file_before_the_environment(token_file: Path) -> None:
    environment = {"NEXUS_TOKEN": "another-token-of-length"}
    assert read_options([], environment).door.token == environment["NEXUS_TOKEN"]
    flags = ["--token-file", str(token_file)]
    assert read_options(flags, environment).door.token == WORD


def test_hosts_of_listed_origins_are_names_of_ours() -> None:
    flags = ["--origin", "https://Pit.Example:8443", "--allow-host", "Nexus"]
    door = read_options(flags, {}).door
    assert door.origins == {"https://pit.example:8443"}
    assert {"pit.example", "nexus"} <= door.hosts


def test_every_limit_has_its_flag() -> None:
    for flag, name, _ in LIMIT_FLAGS:
        value = 100 * 1024 * 1024
        flags = [flag, str(value)]
        if name in ("message_bytes", "ring_bytes"):
            flags += ["--ring-bytes", str(2 * value), "--hub-bytes", str(4 * value)]
            value *= 2 if name == "ring_bytes" else 1
        assert getattr(read_options(flags, {}).limits, name) == value


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "eighty"], "argument --port: 'eighty'; expected a port from 0 to 65535"),
        (["--port", "65536"], "'65536'; expected a port"),
        (["--origin", "pit.example"], "--origin 'pit.example'; expected scheme://host"),
        (["--origin", "https://pit.example/"], "expected scheme://host"),
        (["--origin", "*"], "expected scheme://host"),
        (["--max-clients", "0"], "'0'; expected a whole number from 1 on"),
        (["--ping-seconds", "-1"], "--ping-seconds"),
        (["--ring-bytes", "100"], "--ring-bytes 100 cannot hold one message"),
        (["--hub-bytes", "100"], "--hub-bytes 100 is less than --ring-bytes"),
        (["--token-file", "/nowhere/token"], "/nowhere/token: No such file"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_use_is_named(flags: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_options(flags, {})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"NEXUS_HEALTH_PORT": "x"}, "environment NEXUS_HEALTH_PORT: 'x'; expected a port"),
        ({"NEXUS_TOKEN": "short"}, "environment NEXUS_TOKEN: expected one token of at least 16"),
        ({"NEXUS_TOKEN": "two words that are long"}, "environment NEXUS_TOKEN: expected one"),
    ],
)
def test_a_wrong_environment_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_options([], environment)
    assert said in str(caught.value)


def test_a_token_file_that_others_can_read_is_refused(token_file: Path) -> None:
    token_file.chmod(0o640)
    with pytest.raises(UsageError, match=r"mode 0640.*chmod 600"):
        read_options(["--token-file", str(token_file)], {})


def test_a_token_file_that_is_not_text_is_refused(token_file: Path) -> None:
    token_file.write_bytes(b"\xff" * 20)
    with pytest.raises(UsageError, match="expected ASCII"):
        read_options(["--token-file", str(token_file)], {})
