"""The allow-list of network mode ``allow``: hosts and ports that a member may reach.

A rule is ``HOST``, ``*.HOST``, an address, each with ``:PORT`` or without; an IPv6 address with a
port stands in brackets. Without a port it means 80 and 443. ``*.HOST`` is every name below HOST,
at any depth, and not HOST itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

PROXY_PORT = 3128
"""Where the proxy listens inside; it cannot be forwarded too."""
WEB_PORTS = frozenset({80, 443})
MAX_RULES = 256
MAX_FORWARDS = 32

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}\Z")
# C libraries read 127.1, 0x7f.1 and 2130706433 as addresses: no name may end like one.
_NUMBER_AT_END = re.compile(r"(?:\A|\.)(?:[0-9]+|0x[0-9a-f]*)\Z")
_EXPECTED = "HOST, *.HOST or an address, each with or without :PORT"


class Rule(NamedTuple):
    """One entry of the list."""

    host: str
    """In lower case, without the ``*.``; empty for an address."""
    below: bool
    """Whether it means the names below ``host``, and not ``host``."""
    address: Address | None
    ports: frozenset[int]


def parse_rule(entry: str) -> Rule:
    """Return the rule that an entry of ``allow`` means.

    Raises:
        FormatError: says what was found and what was expected.
    """
    host, ports = _split(entry.lower(), entry)
    address = literal(host)
    if address is not None:
        return Rule("", below=False, address=address, ports=ports)
    below = host.startswith("*.")
    name = host.removeprefix("*.").removesuffix(".")
    if not is_name(name):
        raise FormatError(f"found {text.shown(entry)}, expected {_EXPECTED}")
    return Rule(name, below=below, address=None, ports=ports)


def parse_rules(entries: Sequence[str]) -> tuple[Rule, ...]:
    """Return all rules of a list.

    Raises:
        FormatError: one of them is none, or there are too many.
    """
    if len(entries) > MAX_RULES:
        raise FormatError(f"found {len(entries)} entries, expected at most {MAX_RULES}")
    return tuple(parse_rule(entry) for entry in entries)


def check_forwards(ports: Sequence[int]) -> None:
    """Pass ports of the host's loopback that may be led into a cell.

    Raises:
        FormatError: names the one that may not.
    """
    if len(ports) > MAX_FORWARDS:
        raise FormatError(f"found {len(ports)} ports, expected at most {MAX_FORWARDS}")
    for port in ports:
        if not 1 <= port <= 65_535:
            raise FormatError(f"found {port}, expected ports from 1 to 65535")
        if port == PROXY_PORT:
            raise FormatError(f"found {port}, which is the proxy's own port inside")
        if list(ports).count(port) > 1:
            raise FormatError(f"{port} is named twice")


def permits_name(rules: Iterable[Rule], name: str, port: int) -> bool:
    """Whether a rule names this host (lower case, no dot at its end) and port."""
    return any(port in rule.ports and _covers(rule, name) for rule in rules)


def permits_address(rules: Iterable[Rule], address: Address, port: int) -> bool:
    """Whether a rule names this very address and port."""
    return any(port in rule.ports and rule.address == address for rule in rules)


def literal(host: str) -> Address | None:
    """Return the address that this is in its one proper spelling; ``None`` for anything else.

    An IPv4 address in IPv6's clothes is the IPv4 address.
    """
    if "%" in host or (host.startswith("[") != host.endswith("]")):
        return None
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return plain(address)


def plain(address: Address) -> Address:
    """Return the IPv4 address that is mapped into IPv6, if it is one, else the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def is_name(host: str) -> bool:
    """Whether this is a host name, and surely no odd spelling of an address."""
    return bool(_NAME.match(host)) and not _NUMBER_AT_END.search(host)


def _covers(rule: Rule, name: str) -> bool:
    if not rule.host:
        return False
    return name.endswith(f".{rule.host}") if rule.below else name == rule.host


def _split(entry: str, shown: str) -> tuple[str, frozenset[int]]:
    """Part host and port; an IPv6 address without brackets has none."""
    if entry.count(":") > 1 and not entry.startswith("["):
        return entry, WEB_PORTS
    host, colon, port = entry.rpartition(":")
    if not colon or entry.endswith("]"):
        return entry, WEB_PORTS
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise FormatError(f"found {text.shown(shown)}, expected {_EXPECTED}, PORT from 1 to 65535")
    return host, frozenset({int(port)})
