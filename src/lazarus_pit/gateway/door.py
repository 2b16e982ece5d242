"""Who may come in, and into which room: Host, Origin, token and path of an opening request. Pure.

Pages that a person's browser happens to show can open a WebSocket to this machine as well as any
program here can. Two headers that a page cannot forge tell them apart: Origin says which site the
page came from, Host says by which name it believes to be talking to us (a foreign name that was
made to resolve to this address, DNS rebinding, shows there).
"""

from __future__ import annotations

import hmac
import re
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qs

from msgspec import Struct
from websockets.datastructures import Headers, MultipleValuesError

from lazarus_pit.gateway.hub import EVERYBODY

PROTOCOL = "nexus.v1"
"""The subprotocol that a browser offers beside its token."""
BEARER = "bearer."
"""What a subprotocol that carries a token begins with; browsers can set no other header."""

_CELL_ROOM = re.compile(r"/cell/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_DIGITS = re.compile(r"[0-9]{1,9}\Z")


class Door(Struct, frozen=True, kw_only=True):
    """By which rules clients are let in."""

    token: str = ""
    """What every client must know; empty where none is asked for."""
    origins: frozenset[str] = frozenset()
    """Origins of other sites whose pages may come in, as browsers write them."""
    hosts: frozenset[str] = frozenset()
    """Names of this gateway, beside addresses and ``localhost``; lower case, no port."""


class Entry(Struct, frozen=True, kw_only=True):
    """A client may come in."""

    room: str = EVERYBODY
    replay: int = 0
    """How many of the room's last messages it wants first."""
    notices: bool = True
    """Whether it wants to be told of gaps."""
    subprotocol: str = ""


class Refusal(Struct, frozen=True):
    """A client may not come in, and why."""

    status: HTTPStatus
    why: str


def admit(door: Door, path: str, headers: Headers) -> Entry | Refusal:
    """Decide over an opening request by its path (with query) and headers."""
    try:
        host, origin = headers.get("Host"), headers.get("Origin")
        authorization = headers.get("Authorization", "")
    except MultipleValuesError as error:
        return Refusal(HTTPStatus.BAD_REQUEST, f"header {error.args[0]} is there more than once")
    if host is None:
        return Refusal(HTTPStatus.BAD_REQUEST, "header Host is missing")
    if not is_our_name(door, host):
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"host {host!r} is not a name of this gateway; name it with --allow-host",
        )
    if origin is not None and not is_welcome_origin(door, origin, host):
        return Refusal(
            HTTPStatus.FORBIDDEN,
            f"origin {origin!r} is not welcome; name it with --origin",
        )
    offered = [
        word.strip()
        for line in headers.get_all("Sec-WebSocket-Protocol")
        for word in line.split(",")
    ]
    if door.token and not _knows_token(door.token, authorization, offered):
        return Refusal(
            HTTPStatus.UNAUTHORIZED,
            "a token is required: Authorization: Bearer TOKEN, "
            f"or the subprotocols {PROTOCOL} and {BEARER}TOKEN",
        )
    return _find_room(path, _choose(offered))


def is_our_name(door: Door, host: str) -> bool:
    """Tell whether a Host header names this gateway. Addresses cannot be rebound: they do."""
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost") or name in door.hosts:
        return True
    return is_address(name)


def is_address(name: str) -> bool:
    """Tell whether this is an IP address and no name."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_welcome_origin(door: Door, origin: str, host: str) -> bool:
    """Tell whether pages of an origin may come in: our own, and those that are listed."""
    ours = {f"http://{host.lower()}", f"https://{host.lower()}"}
    return origin.lower() in ours | door.origins


def _knows_token(token: str, authorization: str, offered: list[str]) -> bool:
    scheme, _, credentials = authorization.partition(" ")
    said = [credentials.strip()] if scheme.lower() == "bearer" else []
    said += [word.removeprefix(BEARER) for word in offered if word.startswith(BEARER)]
    return any(hmac.compare_digest(word.encode(), token.encode()) for word in said)


def _choose(offered: list[str]) -> str:
    """Pick the subprotocol to confirm; a browser that offered some insists on one of them."""
    if PROTOCOL in offered:
        return PROTOCOL
    return next((word for word in offered if word.startswith(BEARER)), "")


def _find_room(path: str, subprotocol: str) -> Entry | Refusal:
    place, _, query = path.partition("?")
    place = place.lower()
    if place.startswith("/cell/") and not _CELL_ROOM.match(place):
        return Refusal(HTTPStatus.NOT_FOUND, f"no such room: {place!r}; expected /cell/<uuid>")
    try:
        asked = parse_qs(query, keep_blank_values=True, max_num_fields=16)
    except ValueError as error:
        return Refusal(HTTPStatus.BAD_REQUEST, f"query {query!r}: {error}")
    replay = asked.get("replay", ["0"])[-1]
    if not _DIGITS.match(replay):
        return Refusal(
            HTTPStatus.BAD_REQUEST, f"replay is {replay!r}; expected a number of messages"
        )
    return Entry(
        room=place if place.startswith("/cell/") else EVERYBODY,
        replay=int(replay),
        notices=asked.get("gap", ["1"])[-1] != "0",
        subprotocol=subprotocol,
    )
