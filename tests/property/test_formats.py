"""Every format: what we write is read back the same, and garbage raises FormatError alone."""

from __future__ import annotations

import json
import unicodedata
from math import isfinite
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lazarus_pit.core.model import CellStatus, Desired, HoldKind, Role, Rules
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import heartbeat, instant, journal, ledger, manifest, notify, rules, state
from lazarus_pit.formats.heartbeat import Heartbeat
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.ledger import Turn
from lazarus_pit.formats.manifest import Kind, Manifest, Member, Network
from lazarus_pit.formats.state import Health, State

if TYPE_CHECKING:
    from collections.abc import Callable

quick = settings(deadline=None, max_examples=60)

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"
# Text as JSON can carry it: no lone halves of characters.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True)
counts = st.integers(0, 2**62)
seconds = st.integers(0, 10**9).map(float)
times = st.integers(0, 253_402_300_799).map(instant.to_rfc3339)
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
rule_layers = st.fixed_dictionaries(
    {},
    optional={
        "resurrect_after": st.floats(0.001, 1e6),
        "max_revive_attempts": st.integers(0, 1000),
        "revive_policy": st.sampled_from(["auto", "ask", "never"]),
        "no_restart_exit_codes": st.lists(st.integers(0, 255), max_size=3),
        "a_rule_of_tomorrow": values,
    },
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
members = st.builds(
    Member,
    name=names,
    role=st.sampled_from(Role),
    joined_at=times,
    home=st.none() | texts,
    kind=st.sampled_from(Kind),
    command=st.lists(words.filter(bool), max_size=3).map(tuple),
    env=st.dictionaries(words.filter(lambda name: name and "=" not in name), words, max_size=2),
    network=st.sampled_from(Network),
    desired=st.sampled_from([Desired.RUN, Desired.STOP]),
    request=counts,
    rules=rule_layers,
)
manifests = st.builds(
    Manifest,
    uuid=st.just(UUID),
    status=st.sampled_from(CellStatus),
    mission=texts,
    name=st.none() | texts,
    created_at=times,
    created_by=texts,
    agents=st.lists(members, max_size=3, unique_by=lambda member: member.name).map(tuple),
    gitea_issue=st.none() | counts,
    repo=st.none() | st.just("owner/name"),
    rules=rule_layers,
)
heartbeats = st.builds(
    Heartbeat,
    agent=st.none() | names,
    pid=st.none() | st.integers(-(2**31), 2**31),
    timestamp=st.none() | seconds,
    cycle=st.none() | counts,
    model=st.none() | names,
    status=st.none() | names.filter(lambda name: name not in list(HoldKind)),
    cell_uuid=st.none() | st.just(UUID),
    generation=st.none() | counts,
    busy_until=st.none() | seconds,
    hold=st.none() | st.sampled_from(HoldKind),
    hold_until=st.none() | seconds,
)
events = st.builds(
    Event,
    ts=times,
    event=st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True),
    seq=st.none() | counts,
    cell=st.none() | st.just(UUID),
    agent=st.none() | texts,
    data=st.dictionaries(
        texts.filter(lambda name: name not in ("ts", "event", "seq", "cell", "agent")),
        values,
        max_size=3,
    ),
)


def bare(found: Manifest) -> Manifest:
    """Return a manifest without the memory of what it was read from."""
    agents = tuple(replace(member, found={}) for member in found.agents)
    return replace(found, found={}, agents=agents)


@quick
@given(manifests)
def test_a_manifest_is_read_as_it_was_written(written: Manifest) -> None:
    assert bare(manifest.parse(manifest.encode(written))) == written


@quick
@given(manifests, st.dictionaries(texts.map(lambda name: f"x-{name}"), values, max_size=4))
def test_what_is_not_ours_keeps_its_place(written: Manifest, extra: dict[str, Any]) -> None:
    file = {"first": 1, **json.loads(manifest.encode(written)), **extra}
    file["agents"] = [{"mine": [1], **member, **extra} for member in file["agents"]]
    found = manifest.parse(json.dumps(file).encode())
    changed = replace(found, status=CellStatus.ARCHIVED)
    again = json.loads(manifest.encode(changed))
    assert again == {**file, "status": "archived"}
    assert list(again) == list(file)
    assert [list(member) for member in again["agents"]] == [list(m) for m in file["agents"]]


@quick
@given(heartbeats)
def test_a_heartbeat_is_read_as_it_was_written(written: Heartbeat) -> None:
    assert heartbeat.parse(heartbeat.encode(written)) == written


@quick
@given(events)
def test_an_event_is_one_line_and_is_read_as_it_was_written(written: Event) -> None:
    line = journal.encode(written)
    assert line.count(b"\n") == 1
    assert line.decode().splitlines() == [line[:-1].decode()]
    assert journal.parse(line) == written


@quick
@given(
    st.dictionaries(
        names, st.builds(Health, healthy=st.booleans(), reason=texts, readings=st.just({"a": 1}))
    )
)
def test_a_state_is_read_as_it_was_written(health: dict[str, Health]) -> None:
    written = State(cell_uuid=UUID, daemon_pid=7, last_poll=1.5, agent_health=health)
    assert state.parse(state.encode(written)) == written


@quick
@given(
    st.dictionaries(texts, st.none() | values.map(lambda value: json.dumps(value).encode())),
    st.lists(events, max_size=3),
)
def test_a_turn_is_read_as_it_was_written(
    records: dict[str, bytes | None], told: list[Event]
) -> None:
    # A record that is the JSON null cannot be told from no record; the daemon has none such.
    records = {key: None if record == b"null" else record for key, record in records.items()}
    line = ledger.encode(Turn(turn=3, boot="b", records=records, told=told))
    assert line.count(b"\n") == 1
    found = ledger.parse(line)
    assert (found.turn, found.boot, found.told) == (3, "b", told)
    assert {key: record and json.loads(record) for key, record in found.records.items()} == {
        key: record and json.loads(record) for key, record in records.items()
    }


@quick
@given(events, st.data())
def test_an_altered_turn_is_refused(told: Event, data: st.DataObject) -> None:
    line = bytearray(ledger.encode(Turn(turn=3, boot="b", told=[told])))
    place = data.draw(st.integers(0, len(line) - 2))
    line[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        ledger.parse(bytes(line))


@quick
@given(rule_layers, rule_layers)
def test_the_later_layer_of_rules_wins(below: dict[str, Any], above: dict[str, Any]) -> None:
    merged = rules.merge_rules(Rules(), below, above)
    for name, value in {**below, **above}.items():
        if name in rules.RULES:
            assert getattr(merged, name) == (tuple(value) if isinstance(value, list) else value)


# ---------------------------------------------------------------- garbage

KEYS = [
    *("uuid", "name", "mission", "created_at", "created_by", "status", "agents", "gitea_issue"),
    *("repo", "rules", "role", "joined_at", "home", "kind", "command", "env", "network"),
    *("desired", "request", "agent", "pid", "timestamp", "cycle", "model", "cell_uuid", "hold"),
    *("generation", "busy_until", "hold_until", "ts", "event", "seq", "cell", "daemon_pid"),
    *("last_poll", "agent_health", "turn", "boot", "records", "told", "resurrect_after"),
]
wrong = st.recursive(
    scalars
    | st.sampled_from([UUID, "active", "developer", "2026-04-06T00:00:00Z", "a", 2**200, -1])
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=12,
)
nearly = st.dictionaries(st.sampled_from(KEYS), wrong, max_size=12).map(
    lambda found: json.dumps({"uuid": UUID, "status": "active", **found}).encode()
)
garbage = st.binary(max_size=200) | nearly | nearly.map(lambda whole: whole[: len(whole) // 2])


def parse_checked_line(data: bytes) -> object:
    """Parse a line of a ledger whose checksum fits, whatever it says."""
    return ledger.parse(b"%08x %s" % (crc32(data), data))


PARSERS: list[Callable[[bytes], object]] = [
    manifest.parse,
    heartbeat.parse,
    journal.parse,
    state.parse,
    parse_checked_line,
    ledger.parse,
    notify.parse,
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__module__[-9:] + parse.__name__)
@quick
@given(data=garbage)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"uuid":"%s","status":"active","x":%s1%s}' % (UUID.encode(), b"[" * 200, b"]" * 200))
@example(b'{"cycle":' + b"9" * 4000 + b"}")
@example(b'{"timestamp":1e999}')
@example(b'{"timestamp":NaN,"event":Infinity}')
@example(b'{"status":"\\ud800"}')
@example(b'{"status":"\xff"}')
@example(b"\xef\xbb\xbf{}")
@example(b"\0" * 4096)
@example(b"EXTEND_TIMEOUT_USEC=" + b"9" * 4000)
@example("EXTEND_TIMEOUT_USEC=²".encode())
def test_garbage_raises_format_error_and_nothing_else(
    parse: Callable[[bytes], object], data: bytes
) -> None:
    said = complaint(parse, data)
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert len(said) < 1000


def complaint(parse: Callable[[bytes], object], data: bytes) -> str:
    """Return what a parser has to say against these bytes; any other exception is not caught."""
    try:
        parse(data)
    except FormatError as error:
        return str(error)
    return ""


@quick
@given(garbage)
def test_the_numbers_of_a_heartbeat_are_finite(data: bytes) -> None:
    try:
        beat = heartbeat.parse(data)
    except FormatError:
        return
    for number in (beat.timestamp, beat.busy_until, beat.hold_until):
        assert number is None or isfinite(number)
    for count in (beat.cycle, beat.generation):
        assert count is None or 0 <= count < 2**63
    for text in (beat.status, beat.agent, beat.model):
        assert text is None or len(text.splitlines()) <= 1
