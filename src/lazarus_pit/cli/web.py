"""``lazarus web``: the HTTP API and its page, and the links that let people in."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.outlook import need_of
from lazarus_pit.cli.place import HERE, Place, where, who
from lazarus_pit.cli.sentences import sentence
from lazarus_pit.cli.why import explain
from lazarus_pit.errors import RefusedError, UsageError
from lazarus_pit.linux import unix_sockets
from lazarus_pit.web import keys

_BYTES = 4096
PATIENCE = 1.0
"""Seconds for a server to take a connection."""
MOST_DAYS = 3650
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]]+):[0-9]{1,5}\Z")


def serve(
    *,
    host: Annotated[str, Parameter(help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="0 lets the system pick one.")] = 8767,
    nexus: Annotated[
        str, Parameter(help="HOST:PORT of the Nexus gateway that is told what happens.")
    ] = "",
    place: Place = HERE,
) -> int:
    """Answer on loopback and on ``.lazarus-pit/api.sock`` until SIGTERM or Ctrl-C."""
    from lazarus_pit.web.operations import Operations  # noqa: PLC0415
    from lazarus_pit.web.serve import serve as listen  # noqa: PLC0415 - no other verb needs it
    from lazarus_pit.web.spots import Server, Words  # noqa: PLC0415

    if nexus and not _ADDRESS.match(nexus):
        raise UsageError(f"--nexus: found {say.clean(nexus, 80)!r}, expected HOST:PORT")
    config = place.settings()
    pit = PitPaths(config.root)

    def lines(uuid: str, name: str) -> list[str]:
        return explain(config, f"{uuid}/{name}").lines

    def ready(address: str) -> None:
        with contextlib.suppress(OSError):  # Nobody reads our output: then nobody needs the link.
            say.line(f"the page: {_with_login(pit, address, 'approver', who())}")

    command = (sys.executable, "-m", "lazarus_pit")
    words = Words(lines, sentence, need_of)
    server = Server(pit, words, command, tuple(where(config)), Operations(pit.records))
    listen(server, host, port, ready, nexus)
    return 0


def link(
    *,
    role: Annotated[keys.Role, Parameter(help="What its bearer may do.")] = "approver",
    as_: Annotated[
        str | None, Parameter(name="--as", help="Whom it is for; by default, whoever types.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Print a link to the page that logs in once, within ten minutes."""
    pit = place.pit()
    said: Any = msgspec.json.decode(read_hostile(pit.web_address, _BYTES) or b"{}")
    if "url" not in said:
        raise RefusedError(f"nobody has served the page below {pit.root}: `lazarus web serve`")
    say.line(_with_login(pit, said["url"], role, as_ or who()))
    if not _is_served(pit):
        say.complain(f"nobody serves the page below {pit.root} now: `lazarus up`")
    return 0


def _is_served(pit: PitPaths) -> bool:
    """Whether a server of this root is there: its port may be another's by now."""
    with (
        contextlib.suppress(OSError),
        unix_sockets.near(str(pit.web_socket)) as short,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock,
    ):
        sock.settimeout(PATIENCE)
        sock.connect(short)
        return True
    return False


def token(
    *,
    role: Annotated[keys.Role, Parameter(help="What its bearer may do.")] = "viewer",
    as_: Annotated[
        str | None, Parameter(name="--as", help="Whom it is for; by default, whoever types.")
    ] = None,
    days: Annotated[int, Parameter(help="How long it opens anything.")] = 365,
    place: Place = HERE,
) -> int:
    """Print a token for a program that reads the API, such as Prometheus."""
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(f"--days: found {days}, expected 1 to {MOST_DAYS}")
    say.line(keys.new_token(place.pit(), role, as_ or who(), days * 86400.0))
    return 0


def _with_login(pit: PitPaths, address: str, role: keys.Role, name: str) -> str:
    return f"{address}#login={keys.new_link(pit, role, name)}"
