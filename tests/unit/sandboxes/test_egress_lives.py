"""A life that cannot be served leaves no descriptor with the proxy, which lives for long."""

from __future__ import annotations

import asyncio
import os

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.sandboxes.egress.lives import Lives
from lazarus_pit.sandboxes.egress.messages import Take
from lazarus_pit.sandboxes.egress.serve import Limits


@pytest.mark.parametrize(
    ("allow", "count", "why"),
    [(("http://a/",), 2, "http://a/"), (("a.example",), 1, "1 descriptors came for 2")],
)
def test_what_came_with_a_life_that_is_not_served_is_closed(
    allow: tuple[str, ...], count: int, why: str
) -> None:
    async def add() -> None:
        lives = Lives(Limits(), lambda *_: None, lambda *_: None, lambda: None)
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
        take = Take(key="cell/a", agent="a", generation=1, allow=allow, forward=())
        with pytest.raises(FormatError, match=why):
            lives.add(take, fds)
        for fd in fds:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)
        assert len(lives) == 0

    asyncio.run(add())
