"""The homes that a proposal asks for, and openings in words."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from lazarus_pit.cli import widening
from lazarus_pit.formats.isolation import Openings

HOME = os.path.realpath(pwd.getpwuid(0).pw_dir)


@pytest.mark.skipif(not os.path.isdir(HOME), reason="root has no home here")
def test_homes_are_those_of_users_of_this_machine(tmp_path: Path) -> None:
    names = ("root", "nobody-of-this-name")
    homes, missing = widening.homes_of(names, tmp_path)
    assert homes == [HOME]
    assert missing == ["@nobody-of-this-name: no user of this machine with a home"]


@pytest.mark.skipif(not os.path.isdir(HOME), reason="root has no home here")
def test_a_home_that_holds_the_cells_stays_closed() -> None:
    homes, missing = widening.homes_of(("root",), Path(HOME) / "missions")
    assert homes == []
    assert missing == [f"@root: {HOME} holds the cells themselves"]


def test_what_is_open_is_said_and_obeys_nobody() -> None:
    said = widening.lines(Openings(rw=("/srv/\x1b[2J",), credentials={"key": "/etc/key"}))
    assert said == ["WRITES OUTSIDE: /srv/\\u001b[2J", "credentials: key (/etc/key)"]
    assert widening.lines(Openings()) == []
