"""Trees like those of agents: many small files, or a few large ones; and 1 % of change."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SEED = 11
_TEXT = 8 << 20


def small_files(root: Path, count: int) -> None:
    """Make ``count`` files of real program text: median 1.2 KB, one in a hundred over 100 KB."""
    chance = random.Random(SEED)
    text = _program_text()
    for number in range(count):
        directory = root / f"pkg{number // 400:03}" / f"mod{number // 20 % 20:02}"
        if number % 20 == 0:
            directory.mkdir(parents=True, exist_ok=True)
        size = min(int(chance.lognormvariate(7.1, 1.9)), 1 << 20)
        start = chance.randrange(len(text) - size)
        (directory / f"file{number % 20:02}.py").write_bytes(text[start : start + size])


def large_files(root: Path, count: int, size: int) -> None:
    """Make ``count`` files of ``size`` bytes: half program text, half that does not compress."""
    chance = random.Random(SEED)
    text = _program_text()
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        with (root / f"data{number:03}.bin").open("wb") as file:
            for part in range(size >> 20):
                start = chance.randrange(len(text) - (1 << 20))
                block = text[start : start + (1 << 20)]
                file.write(block if part % 2 else chance.randbytes(1 << 20))


def change(root: Path, share: float, chance: random.Random) -> int:
    """Edit, append to, remove and add files, ``share`` of all; return how many."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    chosen = chance.sample(files, max(1, int(len(files) * share)))
    for number, path in enumerate(chosen):
        kind = number % 4
        if kind == 0:
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 2)
                file.write(b"edited %d" % chance.randrange(1 << 30))
        elif kind == 1:
            with path.open("ab") as file:
                file.write(b"appended %d\n" % chance.randrange(1 << 30))
        elif kind == 2 and len(files) > 100:
            path.unlink()
        else:
            new = path.with_name(f"new{chance.randrange(1 << 30)}.py")
            new.write_bytes(b"new %d\n" % chance.randrange(1 << 30) * 50)
    return len(chosen)


def touch_up(files: list[Path]) -> None:
    """Append a line to each of these files."""
    for path in files:
        with path.open("ab") as file:
            file.write(b"touched up\n")


def _program_text() -> bytes:
    return b"".join(_sources())[:_TEXT]


def _sources() -> Iterator[bytes]:
    have = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_bytes()
        yield text
        have += len(text)
        if have > _TEXT:
            return
