"""Who may reach what, with names that lead where an enemy would have them lead."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

import pytest

from lazarus_pit.errors import FormatError, RefusedError
from lazarus_pit.formats.allowlist import Address, parse_rules
from lazarus_pit.sandboxes.egress import denials, policy, request
from lazarus_pit.sandboxes.egress.denials import Denials
from lazarus_pit.sandboxes.egress.request import Request

OWN = "93.184.215.99"
"""A public address that is the host's."""


def reached(rules: Sequence[str], host: str, port: int, *answers: str) -> list[str]:
    """The addresses connected to when the name is resolved, once, to these answers."""

    def is_own(address: Address) -> bool:
        return str(address) == OWN

    left = [list(answers)]

    async def resolve(_host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address(answer) for answer in left.pop()]

    found = asyncio.run(policy.addresses(parse_rules(rules), host, port, resolve, is_own))
    return [str(address) for address in found]


def test_a_name_is_resolved_once_and_led_to_its_addresses() -> None:
    assert reached(["a.org"], "a.org", 443, "93.184.215.14", "2606:2800:21f::1") == [
        "93.184.215.14",
        "2606:2800:21f::1",
    ]


def test_a_name_never_leads_to_this_hosts_own_public_address() -> None:
    assert reached(["a.org"], "a.org", 443, OWN, "93.184.215.14") == ["93.184.215.14"]
    with pytest.raises(RefusedError, match="this host's own"):
        reached(["a.org"], "a.org", 443, f"::ffff:{OWN}")
    assert reached(["a.org", OWN], "a.org", 443, OWN) == [OWN]


@pytest.mark.parametrize(
    "answer",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
    ],
)
def test_a_name_that_leads_nowhere_public_is_refused(answer: str) -> None:
    with pytest.raises(RefusedError, match="not public"):
        reached(["a.org"], "a.org", 443, answer)


def test_what_is_public_of_several_is_connected_to() -> None:
    assert reached(["a.org"], "a.org", 443, "127.0.0.1", "93.184.215.14") == ["93.184.215.14"]
    assert reached(["a.org"], "a.org", 443, "64:ff9b::5db8:d70e") == ["64:ff9b::5db8:d70e"]


def test_a_private_address_is_reached_where_a_rule_names_it_too() -> None:
    rules = ["a.org:80", "10.0.0.5:80"]
    assert reached(rules, "a.org", 80, "10.0.0.5") == ["10.0.0.5"]
    with pytest.raises(RefusedError):
        reached(rules, "a.org", 80, "10.0.0.6")
    with pytest.raises(RefusedError):
        reached(["a.org", "10.0.0.5:80"], "a.org", 443, "10.0.0.5")


def test_a_name_without_addresses_is_refused() -> None:
    with pytest.raises(RefusedError, match="leads to nothing"):
        reached(["a.org"], "a.org", 443)


# ---------------------------------------------------------------- requests


def parse(*lines: str) -> Request:
    return request.parse("\r\n".join([*lines, "", ""]).encode("latin-1"))


def test_a_tunnel() -> None:
    assert parse("CONNECT Example.com:443 HTTP/1.1") == Request("example.com", 443)
    assert parse("CONNECT [::1]:22 HTTP/1.0", "Host: x") == Request("[::1]", 22)


def test_a_page_is_asked_for_anew() -> None:
    found = parse(
        "POST http://a.org:8080?q HTTP/1.1",
        "Host: forged.org",
        "Proxy-Authorization: Basic c2VjcmV0",
        "Connection: keep-alive, X-Mine",
        "X-Mine: 1",
        "X-Kept: yes",
        "Content-Length: 5",
    )
    assert (found.host, found.port, found.body) == ("a.org", 8080, 5)
    assert found.head.decode().split("\r\n") == [
        "POST /?q HTTP/1.1",
        "Host: a.org:8080",
        "Connection: close",
        "x-kept: yes",
        "content-length: 5",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        ["GET / HTTP/1.1"],
        ["GET a.org HTTP/1.1"],
        ["GET https://a.org/ HTTP/1.1"],
        ["GET ftp://a.org/ HTTP/1.1"],
        ["GET http://user@a.org/ HTTP/1.1"],
        ["GET http://a.org/#x HTTP/1.1"],
        ["GET http://a.org:0/ HTTP/1.1"],
        ["GET http://a.org:99999/ HTTP/1.1"],
        ["GET  http://a.org/ HTTP/1.1"],
        ["GET http://a.org/ HTTP/2"],
        ["GET http://a.org/\nHost: b HTTP/1.1"],
        ["CONNECT a.org HTTP/1.1"],
        ["CONNECT a.org:x HTTP/1.1"],
        ["CONNECT http://a.org:443 HTTP/1.1"],
        ["CONNECT user@a.org:443 HTTP/1.1"],
        ["CONNECT a.org:443/ HTTP/1.1"],
        ["GET http://a.org/ HTTP/1.1", " folded"],
        ["GET http://a.org/ HTTP/1.1", "No colon"],
        ["GET http://a.org/ HTTP/1.1", "Name : value"],
        ["GET http://a.org/ HTTP/1.1", "X: a\nGET http://b.org/ HTTP/1.1"],
        ["GET http://a.org/ HTTP/1.1", "X: a\rb"],
        ["GET http://a.org/ HTTP/1.1", "X: a\0b"],
        ["POST http://a.org/ HTTP/1.1", "Transfer-Encoding: chunked"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: 1", "Content-Length: 2"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: -1"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: 1, 1"],
    ],
)
def test_what_could_be_understood_in_two_ways_is_refused(lines: list[str]) -> None:
    with pytest.raises(FormatError):
        parse(*lines)


# ---------------------------------------------------------------- telling


def test_a_place_is_told_at_once_and_then_counted() -> None:
    told = Denials()
    told.note("c/a", "x.org", 443, "why")
    assert [(d.host, d.times) for d in told.due(0.0)] == [("x.org", 1)]
    for _ in range(5):
        told.note("c/a", "x.org", 443, "why")
    assert list(told.due(denials.QUIET - 1)) == []
    assert told.waiting
    assert [(d.host, d.times) for d in told.due(denials.QUIET)] == [("x.org", 5)]
    assert not told.waiting


def test_many_places_are_told_slowly_and_the_rest_is_a_number() -> None:
    told = Denials()
    for number in range(100):
        told.note("c/a", f"h{number}", 443, "why")
    told.note("c/b", "other", 443, "why")
    first = list(told.due(0.0))
    assert [d.host for d in first if d.key == "c/b"] == ["other"]
    assert len([d for d in first if d.key == "c/a"]) == denials.BURST
    assert sum(d.others for d in first) == 100 - denials.KEPT
    assert len(list(told.due(denials.REFILL * 3))) == 3


def test_what_could_not_be_told_is_told_later() -> None:
    told = Denials()
    told.note("c/a", "x.org", 443, "why")
    for _ in told.due(0.0):
        break  # Nobody was there to hear it.
    assert [d.host for d in told.due(1.0)] == ["x.org"]
