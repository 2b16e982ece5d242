"""Lives in their walls, tried by an ordinary user too; `make test-user` tries all the rest."""

from __future__ import annotations

import pytest

import ordinary_user


@pytest.mark.root
@pytest.mark.timeout(320)
@pytest.mark.skipif(not ordinary_user.can_run(), reason="needs root, unshare and setpriv")
def test_lives_are_the_same_for_an_ordinary_user() -> None:
    ordinary_user.passes(["tests/contract/test_sandboxes.py", "tests/integration/test_lives.py"])
