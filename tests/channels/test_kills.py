"""A real pool is killed at each of its requests to the forge, after the deed or before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from forge import LOST, REPO, TOKEN, serving
from integration.pools import FarPool

STEPS = 6
"""Find, mark, open, say, close: the requests that one death and its recovery take."""


@pytest.mark.parametrize("how", [LOST, 503])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_kill_at_any_request_loses_nothing_and_says_nothing_twice(
    tmp_path: Path, step: int, how: int
) -> None:
    with serving() as forge, FarPool(tmp_path) as pool:
        pool.settings["gitea"] = {"url": forge.url, "repo": REPO, "token": TOKEN}
        pool.add("timmy", "auto")
        killed: list[int] = []

        def kill(_method: str, _path: str) -> int | None:
            if killed or len(forge.asked) < step:
                return None
            assert pool.process is not None
            pool.process.kill()  # Dead before the answer: what it was is never known.
            pool.process.wait()
            killed.append(step)
            return how

        forge.trouble = kill
        pool.start()
        forge.until(lambda: bool(killed))
        pool.start()
        forge.until(lambda: [one["state"] for one in forge.issues] == ["closed"])
        pool.wait(lambda: "gateway_recovered" in pool.told(), "it is revived")
        assert len(forge.texts(1)) == 1
        assert "the pool revived it" in forge.texts(1)[0]
        assert [one["name"] for one in forge.labels] == ["resurrection-pool"]
        assert len(pool.lives()) == 1
