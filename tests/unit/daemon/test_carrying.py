"""Each channel of a root is served by one at a time, and who waits takes over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.daemon import carrying
from lazarus_pit.daemon.standing import is_held
from postbox import in_loop


@in_loop
async def test_who_comes_later_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(carrying, "TURN_SECONDS", 0.01)
    caplog.set_level("INFO")
    pit = PitPaths(tmp_path)
    turns: asyncio.Queue[str] = asyncio.Queue()

    def begun(name: str, channel: str = "telegram") -> asyncio.Task[None]:
        async def act() -> None:
            turns.put_nowait(name)
            await asyncio.Event().wait()

        return asyncio.create_task(carrying.in_turn(pit, channel, act))

    async with asyncio.timeout(10):
        first = begun("first")
        assert await turns.get() == "first"
        second, other = begun("second"), begun("other", "nostr")
        assert await turns.get() == "other"  # Another channel waits for nobody.
        while "waits for its turn" not in caplog.text:  # noqa: ASYNC110 - it only says so
            await asyncio.sleep(0)
        assert turns.empty()
        first.cancel()
        assert await turns.get() == "second"
        assert is_held(pit.channel_lock("telegram"))
        for task in (second, other):
            task.cancel()
        await asyncio.wait([first, second, other])
    assert not is_held(pit.channel_lock("telegram"))


@in_loop
async def test_a_channel_that_fails_says_so_and_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(carrying, "TURN_SECONDS", 0.01)
    times = list[int]()
    well = asyncio.Event()

    async def act() -> None:
        times.append(len(times))
        if len(times) < 3:
            raise KeyError("odd")
        well.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        task = asyncio.create_task(carrying.in_turn(PitPaths(tmp_path), "nostr", act))
        waits = asyncio.create_task(well.wait())
        await asyncio.wait([task, waits], return_when=asyncio.FIRST_COMPLETED)
        assert not task.done()
        for one in (task, waits):
            one.cancel()
        await asyncio.wait([task, waits])
    assert caplog.text.count("a fault of ours: nostr begins again") == 2
