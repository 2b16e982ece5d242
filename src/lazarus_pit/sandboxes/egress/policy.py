"""May this agent reach that place? Names are resolved once; what was checked is connected to.

A name that the list allows still leads nowhere private: an address that is not of the public
Internet, or is this host's own, must be named by a rule of its own, with the port. So a name that
is made to point at this machine, or at the network behind it, opens nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence

from lazarus_pit.errors import RefusedError
from lazarus_pit.formats import allowlist
from lazarus_pit.formats.allowlist import Address, Rule

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Look a name up; raises ``OSError`` where there is none."""
IsOwn = Callable[[Address], bool]
"""Whether an address is one of this host's."""

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_EMBEDDING = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052): IPv4 in the last 32 bits
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056): in bits 16 to 47
)


async def addresses(
    rules: Sequence[Rule], host: str, port: int, resolve: Resolve, is_own: IsOwn
) -> list[Address]:
    """Return the addresses that may be connected to for a host and port, best first.

    Raises:
        RefusedError: says why not, as a sentence that goes on from the host's name.
        OSError: the name is allowed but cannot be resolved.
    """
    address = allowlist.literal(host)
    if address is not None:
        if not allowlist.permits_address(rules, address, port):
            raise RefusedError("is an address that no rule names")
        return [address]
    if not allowlist.is_name(host):
        raise RefusedError("is not a host name")
    if not allowlist.permits_name(rules, host, port):
        raise RefusedError("is not on the allow-list")
    found = [allowlist.plain(each) for each in await resolve(host, port)]
    passed = [
        each
        for each in found
        if allowlist.permits_address(rules, each, port) or (is_public(each) and not is_own(each))
    ]
    if not passed:
        where = found[0] if found else "nothing"
        fault = "is this host's own" if found and is_public(found[0]) else "is not public"
        raise RefusedError(f"leads to {where}, which {fault} and which no rule names")
    return passed


def is_public(address: Address) -> bool:
    """Whether an address is of the public Internet, and so is what may be hidden in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    for network, shift in _EMBEDDING:
        if address in network:
            return is_public(ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and address.is_global and address.teredo is None
