"""Envelopes: what is written is read back; garbage raises FormatError and nothing else."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from lazarus_pit.core.model import Role
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import envelope, instant
from lazarus_pit.formats.envelope import Envelope, Kind, MailName

quick = settings(deadline=None, max_examples=60)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}", fullmatch=True)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
bodies = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
subjects = st.text(st.characters(categories=["L", "N", "P"]), max_size=200)
times = st.integers(0, 253_402_300_799).map(instant.to_rfc3339)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | bodies

envelopes = st.builds(
    Envelope,
    id=ids,
    to=names | st.just("*"),
    sender=names | st.none(),
    kind=st.sampled_from(Kind),
    subject=subjects,
    body=bodies,
    reply_to=ids | st.none(),
    sent_at=times | st.just(""),
    expires=times | st.none(),
    found=st.dictionaries(st.from_regex(r"x-[a-z]{1,8}", fullmatch=True), scalars, max_size=3),
)


@quick
@given(envelopes)
def test_what_is_written_is_read_back(sent: Envelope) -> None:
    data = envelope.encode(sent)
    read = envelope.parse(data)
    assert isinstance(read, Envelope)
    assert envelope.encode(read) == data
    assert (read.id, read.to, read.sender, read.body) == (sent.id, sent.to, sent.sender, sent.body)
    assert {name: read.found[name] for name in sent.found} == sent.found
    assert not set(data) & set(range(0x20)) - {0x0A}


@quick
@given(
    st.binary(max_size=300)
    | st.dictionaries(
        st.sampled_from(["id", "to", "from", "kind", "ack", "expires", "subject", "body"]),
        st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=4),
    ).map(lambda found: json.dumps(found).encode())
)
def test_garbage_raises_format_error_alone(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        envelope.parse(data)


@quick
@given(st.integers(0, 10**20 - 1), st.integers(0, 2**62), st.integers(0, 10**13 - 1), names, ids)
def test_a_file_name_says_all_of_it(
    sequence: int, generation: int, expires: int, sender: str, mail_id: str
) -> None:
    name = MailName(sequence, generation, expires, sender, mail_id)
    assert envelope.parse_name(name.file()) == name
    assert len(name.file()) <= 250
    assert "/" not in name.file()


@quick
@given(st.text(max_size=80))
def test_a_strange_file_name_raises_format_error_alone(text: str) -> None:
    with contextlib.suppress(FormatError):
        assert envelope.parse_name(text).file() == text


@quick
@given(names | st.just("*"), names, st.dictionaries(names, st.sampled_from(Role), max_size=6))
def test_receivers_are_members_and_no_mail_goes_round(
    to: str, sender: str, members: dict[str, Role]
) -> None:
    meant = envelope.receivers(to, sender, members)
    assert set(meant) <= set(members)
    assert sender not in meant or to == sender
    assert to not in members or meant == [to]


@quick
@given(times)
def test_expiry_never_comes_early(expires: str) -> None:
    mail = Envelope(id="a" * 8, to="*", expires=expires)
    assert envelope.expiry(mail) >= instant.from_rfc3339(expires)
    assert envelope.expiry(Envelope(id="a" * 8, to="*")) == 0
