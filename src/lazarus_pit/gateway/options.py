"""What the command line and the environment ask of ``nexus-gateway``."""

from __future__ import annotations

import argparse
import os
import re
import socket
import stat
from collections.abc import Mapping, Sequence
from typing import NoReturn

from msgspec import Struct, structs

from lazarus_pit.errors import UsageError
from lazarus_pit.gateway.door import Door
from lazarus_pit.gateway.hub import FRAME_COST
from lazarus_pit.gateway.limits import Limits

EXAMPLE = """\
example:
  nexus-gateway --port 8765 --origin http://127.0.0.1:8080
  NEXUS_TOKEN=$(openssl rand -hex 32) nexus-gateway --host 0.0.0.0

environment:
  NEXUS_TOKEN        the token, where --token-file is not given
  NEXUS_HEALTH_HOST  NEXUS_HEALTH_PORT   where the flags are not given

exit status: 0 stopped by a signal, 1 a port could not be had, 2 wrong use.
"""

TOKEN_CHARACTERS = 16
"""The shortest token that is taken."""

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+\Z")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^/\s:@]+)(:\d+)?\Z", re.IGNORECASE)

LIMIT_FLAGS: tuple[tuple[str, str, str], ...] = (
    ("--max-message-bytes", "message_bytes", "longest message"),
    ("--max-clients", "clients", "clients at once"),
    ("--max-clients-per-address", "clients_per_address", "of one address beyond loopback"),
    ("--messages-per-second", "messages_per_second", "of one client in the long run; 0: no limit"),
    ("--bytes-per-second", "bytes_per_second", "of one client in the long run; 0: no limit"),
    ("--ring-messages", "ring_messages", "messages a room remembers for slow and late clients"),
    ("--ring-bytes", "ring_bytes", "bytes a room remembers"),
    ("--hub-bytes", "hub_bytes", "bytes that all rooms remember together"),
    ("--handshake-seconds", "handshake_seconds", "patience with an opening request"),
    ("--ping-seconds", "ping_seconds", "silence after which a client is pinged"),
    ("--pong-seconds", "pong_seconds", "patience for its answer"),
    ("--stuck-seconds", "stuck_seconds", "patience with a client that reads nothing"),
)
"""Flags for limits: the flag, the field of ``Limits``, and what ``--help`` says."""


class Options(Struct, frozen=True, kw_only=True):
    """How to run the gateway."""

    host: str
    port: int
    health_host: str
    health_port: int
    door: Door
    limits: Limits


def read_options(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Read flags and environment.

    Raises:
        UsageError: a value cannot be, or an address beyond loopback was asked without a token.
    """
    asked = _parser(environment).parse_args(arguments)
    limits = structs.replace(Limits(), **{name: getattr(asked, name) for _, name, _ in LIMIT_FLAGS})
    if limits.ring_bytes < limits.message_bytes + FRAME_COST:
        raise UsageError(
            f"--ring-bytes {limits.ring_bytes} cannot hold one message; expected at least "
            f"{limits.message_bytes + FRAME_COST} (--max-message-bytes and {FRAME_COST} more)"
        )
    if limits.hub_bytes < limits.ring_bytes:
        raise UsageError(
            f"--hub-bytes {limits.hub_bytes} is less than --ring-bytes {limits.ring_bytes}"
        )
    origins = frozenset(_origin(text) for text in asked.origin)
    named = [re.sub(r":\d+\Z", "", origin.partition("://")[2]) for origin in origins]
    door = Door(
        token=_token(asked.token_file, environment),
        origins=origins,
        hosts=frozenset(
            name.lower() for name in (*named, *asked.allow_host, asked.host, socket.gethostname())
        ),
    )
    return Options(
        host=asked.host,
        port=asked.port,
        health_host=asked.health_host,
        health_port=asked.health_port,
        door=door,
        limits=limits,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nexus-gateway",
        description="WebSocket hub: what one client says, every other client hears.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="localhost", help="where to listen (localhost)")
    parser.add_argument("--port", type=_port, default=8765, help="WebSocket port (8765)")
    parser.add_argument(
        "--health-host",
        default=environment.get("NEXUS_HEALTH_HOST") or "127.0.0.1",
        help="where to answer GET /health (127.0.0.1)",
    )
    parser.add_argument("--health-port", type=_port, help="its port (8766)")
    parser.add_argument(
        "--token-file", metavar="FILE", help="token that every client must know; mode 0600"
    )
    parser.add_argument(
        "--origin", action="append", default=[], help="site whose pages may connect; repeatable"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name that clients may call this gateway by; repeatable",
    )
    for flag, name, meaning in LIMIT_FLAGS:
        default = getattr(Limits(), name)
        parser.add_argument(
            flag,
            dest=name,
            type=_count if isinstance(default, int) else _amount,
            default=default,
            metavar="N",
            help=f"{meaning} ({default:.0f})",
        )
    health_port = environment.get("NEXUS_HEALTH_PORT") or "8766"
    try:
        parser.set_defaults(health_port=_port(health_port))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"environment NEXUS_HEALTH_PORT: {error}") from None
    return parser


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a port from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 1 on")
    return int(text)


def _amount(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a number from 0 on")
    return float(text)


def _origin(text: str) -> str:
    if not _ORIGIN.match(text):
        raise UsageError(f"--origin {text!r}; expected scheme://host or scheme://host:port")
    return text.lower()


def _token(path: str | None, environment: Mapping[str, str]) -> str:
    """Read the token from its file, else from the environment; empty where neither is given."""
    if path is None:
        source, text = "environment NEXUS_TOKEN", environment.get("NEXUS_TOKEN", "")
        if not text:
            return ""
    else:
        source, text = f"token file {path}", _read_private(path)
    token = text.strip()
    if len(token) < TOKEN_CHARACTERS or not _TOKEN.match(token):
        raise UsageError(
            f"{source}: expected one token of at least {TOKEN_CHARACTERS} letters, digits or "
            f"-._~+ ; found {len(token)} characters"
        )
    return token


def _read_private(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise UsageError(
                    f"token file {path}: others can read it (mode {mode:04o}); "
                    f"expected 0600: chmod 600 {path}"
                )
            return file.read(4096)
    except OSError as error:
        raise UsageError(f"token file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"token file {path}: expected ASCII text") from None
