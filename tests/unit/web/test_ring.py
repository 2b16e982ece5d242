"""The ring of the stream: bounded, replayed by id, and cruel to nobody but the slow."""

from __future__ import annotations

import asyncio

from lazarus_pit.web.ring import Ring


async def _take(ring: Ring, last: str, count: int) -> list[bytes]:
    reader = ring.read(last)
    return [await anext(reader) for _ in range(count)]


def _events(frames: list[bytes]) -> list[str]:
    return [frame.decode().partition("event: ")[2].partition("\n")[0] for frame in frames]


def test_goes_on_from_the_last_id_or_says_that_it_cannot() -> None:
    async def told() -> None:
        ring = Ring("e", size=3)
        for number in range(5):
            ring.tell(f"n{number}", {})
        assert _events(await _take(ring, "e-3", 3)) == ["hello", "n3", "n4"]
        assert _events(await _take(ring, "e-2", 2)) == ["hello", "n2"]
        for lost in ("e-1", "e-6", "f-3", "e-", "nonsense", "e-" + "9" * 40):
            assert _events(await _take(ring, lost, 1)) == ["reset"]

    asyncio.run(told())


def test_a_reader_that_falls_behind_is_cut_off_and_others_are_not() -> None:
    async def told() -> None:
        ring = Ring("e", size=3)
        slow, quick = ring.read(), ring.read()
        await anext(slow)
        await anext(quick)
        got = []
        for number in range(4):
            ring.tell(f"n{number}", {})
            got.append(await anext(quick))
        assert _events(got) == ["n0", "n1", "n2", "n3"]
        assert [frame async for frame in slow] == []
        assert ring.readers == 1
        ring.close()
        assert [frame async for frame in quick] == []
        assert ring.readers == 0

    asyncio.run(told())
