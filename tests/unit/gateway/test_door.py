"""Who may come in."""

from http import HTTPStatus

import pytest
from websockets.datastructures import Headers

from lazarus_pit.gateway.door import Door, Entry, Refusal, admit

WORD = "a-token-of-some-length"
CELL = "/cell/0b9f0f3e-6c1f-4b6e-9a55-1b1f6f0c2d3e"
OPEN = Door(origins=frozenset({"https://pit.example"}), hosts=frozenset({"nexus.example"}))
LOCKED = Door(token=WORD)


def ask(door: Door, path: str = "/", *headers: tuple[str, str]) -> Entry | Refusal:
    names = {name for name, _ in headers}
    host = [] if "Host" in names else [("Host", "localhost:8765")]
    return admit(door, path, Headers([*host, *headers]))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765", "lazarus.localhost:8765",
     "nexus.example:8765", "Nexus.Example", "10.0.0.7"],
)  # fmt: skip
def test_our_names_are_ours(host: str) -> None:
    assert isinstance(ask(OPEN, "/", ("Host", host)), Entry)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "nexus.example.evil:80", "", "1.2.3", "[x]"]
)
def test_a_foreign_name_that_was_made_to_lead_here_is_refused(host: str) -> None:
    answer = ask(OPEN, "/", ("Host", host))
    assert isinstance(answer, Refusal)
    assert answer.status is HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize(
    "origin", ["http://localhost:8765", "https://localhost:8765", "https://pit.example"]
)
def test_our_own_and_listed_origins_are_welcome(origin: str) -> None:
    assert isinstance(ask(OPEN, "/", ("Origin", origin)), Entry)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://pit.example", "https://pit.example.evil", "null", "",
     "https://pit.example:444", "http://localhost:3000", "http://localhost"],
)  # fmt: skip
def test_pages_from_elsewhere_are_not(origin: str) -> None:
    answer = ask(OPEN, "/", ("Origin", origin))
    assert isinstance(answer, Refusal)
    assert answer.status is HTTPStatus.FORBIDDEN
    assert repr(origin) in answer.why


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization"])
def test_a_header_that_is_there_twice_is_refused(name: str) -> None:
    answer = ask(LOCKED, "/", (name, "localhost"), (name, "localhost"))
    assert answer == Refusal(HTTPStatus.BAD_REQUEST, f"header {name} is there more than once")


def test_a_request_names_its_host() -> None:
    answer = admit(OPEN, "/", Headers())
    assert answer == Refusal(HTTPStatus.BAD_REQUEST, "header Host is missing")


@pytest.mark.parametrize(
    ("header", "value", "chosen"),
    [
        ("Authorization", f"Bearer {WORD}", ""),
        ("Authorization", f"bearer  {WORD} ", ""),
        ("Sec-WebSocket-Protocol", f"nexus.v1, bearer.{WORD}", "nexus.v1"),
        ("Sec-WebSocket-Protocol", f"bearer.{WORD}", f"bearer.{WORD}"),
    ],
)
def test_who_knows_the_token_comes_in(header: str, value: str, chosen: str) -> None:
    assert ask(LOCKED, "/", (header, value)) == Entry(subprotocol=chosen)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Nothing", ""),
        ("Authorization", f"Basic {WORD}"),
        ("Authorization", f"Bearer {WORD[:-1]}"),
        ("Authorization", "Bearer "),
        ("Authorization", "Bearer t\xe9l\xe9"),
        ("Sec-WebSocket-Protocol", "nexus.v1"),
        ("Sec-WebSocket-Protocol", f"nexus.v1, {WORD}"),
    ],
)
def test_who_does_not_know_it_stays_outside(header: str, value: str) -> None:
    answer = ask(LOCKED, "/", (header, value))
    assert isinstance(answer, Refusal)
    assert answer.status is HTTPStatus.UNAUTHORIZED
    assert WORD not in answer.why


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/", Entry()),
        ("/anything/else", Entry()),
        (CELL, Entry(room=CELL)),
        (CELL.upper() + "?replay=5", Entry(room=CELL, replay=5)),
        ("/?replay=1&replay=7&gap=0", Entry(replay=7, notices=False)),
        ("//[", Entry()),
    ],
)
def test_the_path_names_the_room(path: str, entry: Entry) -> None:
    assert ask(OPEN, path) == entry


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/cell/", HTTPStatus.NOT_FOUND, "/cell/<uuid>"),
        ("/cell/timmy", HTTPStatus.NOT_FOUND, "'/cell/timmy'"),
        (CELL + "/x", HTTPStatus.NOT_FOUND, "/cell/<uuid>"),
        ("/?replay=-1", HTTPStatus.BAD_REQUEST, "replay is '-1'"),
        ("/?replay=", HTTPStatus.BAD_REQUEST, "replay is ''"),
        ("/?replay=1e3", HTTPStatus.BAD_REQUEST, "replay is '1e3'"),
        ("/?" + "a=1&" * 20, HTTPStatus.BAD_REQUEST, "query"),
    ],
)
def test_a_path_that_names_no_room_is_refused(path: str, status: HTTPStatus, why: str) -> None:
    answer = ask(OPEN, path)
    assert isinstance(answer, Refusal)
    assert answer.status is status
    assert why in answer.why
