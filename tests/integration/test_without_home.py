"""A user without a home directory, as services often are: a clear error, never a traceback."""

from __future__ import annotations

import sys

import pytest

import ordinary_user


@pytest.mark.root
@pytest.mark.skipif(not ordinary_user.can_run(), reason="needs root, unshare and setpriv")
def test_without_a_home_it_says_what_to_set() -> None:
    argv = ["env", "-u", "HOME", sys.executable, "-B", "-m", "lazarus_pit", "up"]
    done = ordinary_user.run(argv, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "HOME: not set" in done.stderr
    assert "Traceback" not in done.stderr
