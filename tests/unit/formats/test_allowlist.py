"""The allow-list: what its entries mean, and which are refused."""

from __future__ import annotations

import ipaddress

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import allowlist
from lazarus_pit.formats.allowlist import parse_rule, parse_rules, permits_address, permits_name


@pytest.mark.parametrize(
    ("entry", "name", "port", "permitted"),
    [
        ("api.anthropic.com", "api.anthropic.com", 443, True),
        ("api.anthropic.com", "api.anthropic.com", 80, True),
        ("api.anthropic.com", "api.anthropic.com", 22, False),
        ("api.anthropic.com", "xapi.anthropic.com", 443, False),
        ("API.Anthropic.COM.", "api.anthropic.com", 443, True),
        ("github.com:22", "github.com", 22, True),
        ("github.com:22", "github.com", 443, False),
        ("*.githubusercontent.com", "raw.githubusercontent.com", 443, True),
        ("*.githubusercontent.com", "a.b.githubusercontent.com", 443, True),
        ("*.githubusercontent.com", "githubusercontent.com", 443, False),
        ("*.githubusercontent.com", "evilgithubusercontent.com", 443, False),
        ("*.githubusercontent.com", "githubusercontent.com.evil.com", 443, False),
        ("*.x.org:8080", "a.x.org", 8080, True),
        ("*.x.org:8080", "a.x.org", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, False),  # an address is no name
    ],
)
def test_which_names_an_entry_means(entry: str, name: str, port: int, *, permitted: bool) -> None:
    assert permits_name([parse_rule(entry)], name, port) is permitted


@pytest.mark.parametrize(
    ("entry", "address", "port", "permitted"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 80, False),
        ("127.0.0.1", "127.0.0.1", 443, True),
        ("[::1]:8080", "::1", 8080, True),
        ("::1", "::1", 80, True),
        ("[fd00::1]", "fd00::1", 443, True),
        ("[::ffff:10.0.0.5]:80", "10.0.0.5", 80, True),
        ("localhost", "127.0.0.1", 80, False),  # a name names no address
    ],
)
def test_which_addresses_an_entry_means(
    entry: str, address: str, port: int, *, permitted: bool
) -> None:
    rules = [parse_rule(entry)]
    assert permits_address(rules, ipaddress.ip_address(address), port) is permitted


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "a.*.com",
        "*x.com",
        "https://example.com",
        "example.com/path",
        "user@example.com",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:http",
        "example.com:٣",
        "exa mple.com",
        "exämple.com",
        "a..b",
        "-a.com",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "*.0.0.1",
        "[::1",
        "::1]",
        "fe80::1%eth0",
        "a" * 64,
        "a." * 127 + "a" * 10,
    ],
)
def test_an_entry_that_means_nothing_is_refused(entry: str) -> None:
    with pytest.raises(FormatError, match="expected HOST"):
        parse_rule(entry)


def test_a_list_has_an_end() -> None:
    assert len(parse_rules(["a.org"] * allowlist.MAX_RULES)) == allowlist.MAX_RULES
    with pytest.raises(FormatError, match="at most 256"):
        parse_rules(["a.org"] * (allowlist.MAX_RULES + 1))


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ([0], "from 1 to 65535"),
        ([65_536], "from 1 to 65535"),
        ([allowlist.PROXY_PORT], "the proxy's own port"),
        ([80, 80], "80 is named twice"),
        (list(range(1, 40)), "at most 32"),
    ],
)
def test_ports_that_cannot_be_forwarded(ports: list[int], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        allowlist.check_forwards(ports)
    allowlist.check_forwards([11434, 1, 65_535])


@pytest.mark.parametrize("host", ["example.com", "a_b.c", "x1.y2", "1.example", "localhost"])
def test_names_are_names(host: str) -> None:
    assert allowlist.is_name(host)
    assert allowlist.literal(host) is None
