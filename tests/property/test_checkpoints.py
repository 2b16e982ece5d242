"""Whatever a tree holds and however it changes, what is saved is what comes back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.saving import make_cell, save, undo, unpack, verify
from lazarus_pit.cells.checkpoint import tar, untar
from lazarus_pit.cells.checkpoint.index import decode
from lazarus_pit.cells.checkpoint.retention import DAY, HOUR, Kept, expired
from lazarus_pit.errors import FormatError
from trees import picture


class Dated(NamedTuple):
    name: str
    created: float


dated = st.lists(st.integers(0, 60 * DAY), unique=True, max_size=60).map(
    lambda instants: [Dated(f"{instant:010}", float(instant)) for instant in instants]
)
rules = st.builds(Kept, last=st.integers(0, 9), hourly=st.integers(0, 30), daily=st.integers(0, 9))


@given(dated, rules)
def test_retention_keeps_the_newest_and_what_the_rule_names(
    checkpoints: list[Dated], rule: Kept
) -> None:
    gone = set(expired(checkpoints, rule))
    kept = sorted((one for one in checkpoints if one.name not in gone), key=lambda one: one.created)
    everything = sorted(checkpoints, key=lambda one: one.created)
    assert kept[-max(rule.last, 1) :] == everything[-max(rule.last, 1) :]
    assert len(kept) <= max(rule.last, 1) + rule.hourly + rule.daily
    for count, span in ((rule.hourly, HOUR), (rule.daily, DAY)):
        spans = sorted({int(one.created // span) for one in checkpoints})[-count:] if count else []
        newest = [max(o.created for o in checkpoints if o.created // span == s) for s in spans]
        assert set(newest) <= {one.created for one in kept}


@given(dated, rules)
def test_retention_asked_twice_removes_nothing_more(checkpoints: list[Dated], rule: Kept) -> None:
    gone = set(expired(checkpoints, rule))
    assert expired([one for one in checkpoints if one.name not in gone], rule) == []


@given(dated, rules, st.data())
def test_retention_never_removes_what_is_protected(
    checkpoints: list[Dated], rule: Kept, data: st.DataObject
) -> None:
    names = [one.name for one in checkpoints]
    protected = data.draw(st.lists(st.sampled_from(names))) if names else []
    assert not set(expired(checkpoints, rule, protected)) & set(protected)


names = st.sampled_from([b"a", b"b", b"c", b"a.txt"]) | st.binary(min_size=1, max_size=12).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
changes = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "append", "dir", "link", "twin", "hole", "remove", "mode", "swap"]
        ),
        st.lists(names, min_size=1, max_size=3),
        st.binary(max_size=300),
    ),
    max_size=12,
)


MOVES = [("swap", [b"a"], b"b"), ("swap", [b"b"], b"c"), ("swap", [b"c"], b"a")]


def apply(root: bytes, todo: list[tuple[str, list[bytes], bytes]]) -> None:
    """Do to a tree what can be done, and pass over what cannot."""
    for what, parts, data in todo:
        path = os.path.join(root, *parts)
        try:
            if what != "remove":
                os.makedirs(os.path.dirname(path), exist_ok=True)
            _ACTS[what](path, data)
        except OSError:
            continue


def _write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _append(path: bytes, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


def _twin(path: bytes, _data: bytes) -> None:
    _append(path, b"twin")
    os.link(path, path + b".twin", follow_symlinks=False)


def _hole(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.seek(len(data) * 4096)
        file.write(data)
        file.truncate(400 * 4096)


def _remove(path: bytes, _data: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _swap(path: bytes, data: bytes) -> None:
    name = data.replace(b"/", b"").replace(b"\0", b"")[:20] or b"moved"
    os.rename(path, os.path.join(os.path.dirname(path), name))


_ACTS: dict[str, Callable[[bytes, bytes], None]] = {
    "write": _write,
    "append": _append,
    "dir": lambda path, _: os.mkdir(path),
    # Never to a place that exists: the next act may write through it.
    "link": lambda path, data: os.symlink(b"no such place" + data.replace(b"\0", b""), path),
    "twin": _twin,
    "hole": _hole,
    "remove": _remove,
    "swap": _swap,
    "mode": lambda path, data: os.chmod(path, 0o700 | len(data), follow_symlinks=True),
}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes, changes, changes)
def test_what_is_saved_comes_back(
    first: list[tuple[str, list[bytes], bytes]],
    second: list[tuple[str, list[bytes], bytes]],
    third: list[tuple[str, list[bytes], bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cell = make_cell(root)
        workspace = os.fsencode(cell / "workspace")
        apply(workspace, first)
        one = save(cell)
        assert one.left_out == ()
        unpack(one.archive, root / "one")
        assert picture(root / "one" / "workspace") == picture(cell / "workspace")
        apply(workspace, second)
        before = picture(cell / "workspace")
        two = save(cell)
        verify(two.archive)
        unpack(two.archive, root / "two")
        assert picture(root / "two" / "workspace") == before
        apply(workspace, third)
        undo(cell, two.archive)
        assert picture(cell / "workspace") == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes, changes, changes, st.sampled_from([("fanotify",), ("inotify",), ()]))
def test_what_changes_between_the_live_pass_and_the_freeze_is_saved(
    first: list[tuple[str, list[bytes], bytes]],
    second: list[tuple[str, list[bytes], bytes]],
    third: list[tuple[str, list[bytes], bytes]],
    follow: tuple[str, ...],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cell = make_cell(root)
        workspace = os.fsencode(cell / "workspace")
        apply(workspace, first)
        for number, todo in enumerate((second, third)):
            earlier = partial(apply, workspace, [*MOVES, *todo])
            meanwhile = partial(apply, workspace, [*todo[::-1], *MOVES])
            saved = save(cell, meanwhile=meanwhile, earlier=earlier, follow=follow)
            assert saved.left_out == ()
            unpack(saved.archive, root / f"{number}")
            assert picture(root / f"{number}" / "workspace") == picture(cell / "workspace")


@given(st.binary(max_size=2000))
def test_garbage_is_refused_as_garbage(raw: bytes) -> None:
    for read in (_members, decode):
        with suppress(FormatError):
            read(raw)


def _members(raw: bytes) -> None:
    stream = untar.Stream(iter([raw, b"", b""]).__next__)
    while (member := untar.next_member(stream)) is not None:
        for _ in stream.chunks(member.size, 512):
            pass


@given(st.integers(0, 511), st.binary(min_size=1, max_size=12))
def test_a_header_with_any_bytes_is_read_or_refused(at: int, noise: bytes) -> None:
    state = os.stat("/")
    head = bytearray(tar.member_head("name", state, tar.REGULAR, 0))
    head[at : at + len(noise)] = noise
    with suppress(FormatError):
        _members(bytes(head[:512]))
