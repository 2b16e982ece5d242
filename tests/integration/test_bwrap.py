"""Every copy of bubblewrap that can be had here really contains a life, or says why it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from launching import Nest, open_way, run
from lazarus_pit.core.model import Exit
from lazarus_pit.errors import SpawnError
from lazarus_pit.sandboxes import bwrap, choose, landlock
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import Bwrap

COPIES = list(bwrap._candidates())


@pytest.mark.parametrize("copy", COPIES, ids=[copy.path for copy in COPIES])
def test_a_copy_contains_a_life(copy: Bwrap, tmp_path: Path) -> None:
    fault = bwrap._too_old(copy) or bwrap.probe(copy)
    if fault:
        pytest.skip(fault)
    nest = Nest(tmp_path)
    walls = Bubblewrap(copy, str(tmp_path / "furniture"), None)
    script = "test ! -e /etc/shadow && echo inside >file && exit 5"
    assert run(walls, nest.launch("sh", "-c", script)) == Exit(code=5), nest.said()
    assert (nest.workspace / "file").read_text() == "inside\n"


def test_the_one_that_is_chosen_has_passed_the_trial() -> None:
    found, notes = bwrap.find_bwrap()
    assert (found is None) == (not any(not bwrap.probe(copy) for copy in COPIES))
    if found is not None:
        assert bwrap.probe(found) == ""
        assert found.version >= bwrap.OLDEST
    else:
        assert notes


def script(path: Path, text: str) -> Bwrap:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    open_way(path.parent)
    return Bwrap(str(path), bwrap._version(str(path)), (), "")


def test_a_copy_that_fails_is_passed_over_with_its_words(tmp_path: Path) -> None:
    broken = script(tmp_path / "bwrap", "echo 'bwrap: No permissions' >&2; exit 1")
    assert "bwrap: No permissions" in bwrap.probe(broken)
    assert "No such file" in bwrap.probe(Bwrap("/no/such/bwrap", (), (), ""))


@pytest.mark.parametrize(
    ("says", "version"), [("bubblewrap 0.7.0", "0.7.0"), ("nothing", "unknown")]
)
def test_a_copy_that_is_too_old_is_passed_over(says: str, version: str, tmp_path: Path) -> None:
    old = script(tmp_path / "bwrap", f"echo {says}")
    assert bwrap._too_old(old) == f"version {version}, but 0.8 or newer is needed"
    assert bwrap._too_old(script(tmp_path / "new", "echo bubblewrap 0.11.1")) == ""


def test_without_bubblewrap_the_next_best_is_chosen_in_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "find_bwrap", lambda: (None, ("bwrap: broken",)))
    chosen = choose.choose(None, unsafe_no_sandbox=False, scratch=str(tmp_path))
    assert chosen.sandbox.name == "landlock"
    assert not chosen.unconfined
    assert chosen.notes[0] == "bwrap: broken"
    assert "modes, owners, times" in chosen.notes[1]


def test_with_nothing_nothing_is_chosen_unless_it_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "find_bwrap", lambda: (None, ("bwrap: broken",)))
    monkeypatch.setattr(landlock, "why_not", lambda: "no Landlock")
    with pytest.raises(SpawnError, match="bwrap: broken; no Landlock") as caught:
        choose.choose(None, unsafe_no_sandbox=False, scratch=str(tmp_path))
    assert caught.value.fatal
    chosen = choose.choose(None, unsafe_no_sandbox=True, scratch=str(tmp_path))
    assert chosen.unconfined
    assert chosen.sandbox.name == "none"
