"""What is begun over the API is bounded: it is processes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lazarus_pit.errors import RefusedError, StoreError, WorldError
from lazarus_pit.records import operations as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.operations import Kept
from lazarus_pit.web import operations
from lazarus_pit.web.operations import Asked, Operations


def test_so_much_is_under_way_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "AT_ONCE", 2)
    known, gate = Operations(tmp_path / "records.db"), tmp_path / "gate"

    def do(key: str) -> str:
        argv = ("sh", "-c", f"until [ -e {gate} ]; do sleep 0.02; done")
        return known.do(Asked("ada", key, argv, b""), "wait", key, argv, secret=False)[0].state

    with ThreadPoolExecutor(2) as asking:
        begun = [asking.submit(do, key) for key in ("one", "two")]
        try:
            deadline = time.monotonic() + 30.0
            while len(known.latest(9)) < len(begun):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            with pytest.raises(WorldError, match="2 operations are under way"):
                do("three")
        finally:
            gate.touch()
        assert [one.result() for one in begun] == ["done", "done"]
    assert do("three") == "done"


def test_a_wish_is_not_done_again_by_a_server_that_was_started_anew(tmp_path: Path) -> None:
    file, done = tmp_path / "records.db", tmp_path / "done"
    argv = ("sh", "-c", f"echo x >> {done}; echo invite-secret")

    def ask(key: str = "mine", who: str = "ada", *words: str) -> tuple[str, str]:
        asked = Asked(who, key, words or argv, b"")
        found, said = Operations(file).do(asked, "invite", "pond", argv, secret=True)
        return found.state, said

    assert ask() == ("done", "invite-secret")
    assert ask() == ("done", "told to whoever asked")
    assert done.read_text() == "x\n"
    with pytest.raises(RefusedError, match="used before"):
        ask("mine", "ada", "another", "wish")
    assert (ask(who="bob"), ask(""), ask("")) == (("done", "invite-secret"),) * 3
    assert done.read_text() == "x\n" * 4
    stored = Operations(file).latest(9)
    assert [one.by for one in stored] == ["ada", "bob", "ada", "ada"]
    assert b"invite-secret" not in b"".join(one.read_bytes() for one in tmp_path.glob("records*"))


def test_what_a_server_did_not_see_end_is_not_done_again(tmp_path: Path) -> None:
    argv = ("sh", "-c", f"echo x >> {tmp_path}/done")
    asked = Asked("ada", "mine", argv, b"")
    row = Kept("0f", "ada", "mine", asked.wish, "stop", "p", "running", None, "", 1e12, None)
    with opened_records(tmp_path / "records.db") as db:
        assert records.begin(db, row) is None  # As one that is killed before its command starts.
    anew = Operations(tmp_path / "records.db")
    found, said = anew.do(asked, "stop", "p", argv, secret=False)
    assert (found.id, found.state, said) == ("0f", "unknown", operations.UNKNOWN)
    assert anew.find("0f") == found
    assert not (tmp_path / "done").exists()


def test_so_many_are_kept_and_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "KEPT", 3)
    with opened_records(tmp_path / "records.db") as db:
        for number in range(5):
            name = str(number)
            one = Kept(name, "a", name, "w", "v", "s", "done", 0, "", number, 1)
            assert records.begin(db, one) is None
        assert [one.id for one in records.latest(db, 9)] == ["2", "3", "4"]
        late = one._replace(id="late", key="late", began=5 + records.KEPT_SECONDS)
        records.begin(db, late)
        assert [one.id for one in records.latest(db, 9)] == ["late"]


def test_without_records_only_a_wish_with_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.db").mkdir()  # As a full disk: they cannot be opened.
    known = Operations(tmp_path / "records.db")
    asked = Asked("ada", "", ("true",), b"")
    assert known.do(asked, "thaw", "p", ("true",), secret=False)[0].state == "done"
    assert [one.verb for one in known.latest(9)] == ["thaw"]
    with pytest.raises(StoreError):
        known.do(asked._replace(key="mine"), "thaw", "p", ("true",), secret=False)
