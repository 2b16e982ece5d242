"""Workspaces that are hard to save, and pictures of trees to compare."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import stat
from pathlib import Path
from typing import NamedTuple

DAY = 86_400_000_000_000


class Seen(NamedTuple):
    """All that a checkpoint keeps of an entry."""

    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    content: str
    twins: tuple[bytes, ...]
    xattrs: tuple[tuple[str, bytes], ...]
    holes: bool


def picture(root: Path) -> dict[bytes, Seen]:
    """Look at every entry below ``root`` by its raw name; sockets and FIFOs are not in it."""
    seen: dict[bytes, Seen] = {}
    names: dict[int, list[bytes]] = {}
    base = os.fsencode(root)
    stack = [base]
    while stack:
        here = stack.pop()
        for name in os.listdir(here):
            path = os.path.join(here, name)
            state = os.lstat(path)
            if stat.S_ISDIR(state.st_mode):
                stack.append(path)
            if not (stat.S_ISSOCK(state.st_mode) or stat.S_ISFIFO(state.st_mode)):
                names.setdefault(state.st_ino, []).append(path[len(base) :])
    for twins in names.values():
        for name in twins:
            path = base + name
            state = os.lstat(path)
            seen[name] = Seen(
                mode=state.st_mode,
                owner=(state.st_uid, state.st_gid),
                mtime_ns=state.st_mtime_ns,
                content=_content(path, state),
                twins=tuple(sorted(twins)),
                xattrs=_xattrs(path),
                holes=state.st_blocks * 512 < state.st_size - 65536,
            )
    return seen


def _content(path: bytes, state: os.stat_result) -> str:
    if stat.S_ISLNK(state.st_mode):
        return repr(os.readlink(path))
    if not stat.S_ISREG(state.st_mode):
        return ""
    if not os.access(path, os.R_OK):
        return "unreadable"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _xattrs(path: bytes) -> tuple[tuple[str, bytes], ...]:
    return tuple(
        (name, os.getxattr(path, name, follow_symlinks=False))
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    )


def make_hostile(root: Path) -> list[str]:
    """Fill a workspace with all that breaks savers; return what cannot be saved."""
    chance = random.Random(5)
    (root / "plain").mkdir(parents=True)
    for number in range(120):
        (root / "plain" / f"f{number:03}.txt").write_bytes(chance.randbytes(chance.randrange(3000)))
    (root / "empty").mkdir()
    (root / "nothing").touch()
    (root / "large.bin").write_bytes(chance.randbytes(3 << 20) + b"end")
    _odd_names(root)
    _links(root)
    _sparse(root)
    _modes(root)
    unsaved = []
    os.mkfifo(root / "a-fifo")
    unsaved.append("workspace/a-fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(root / "s"))
    unsaved.append("workspace/s")
    for number, when in enumerate((1, -1, -DAY, -1_500_000_000, 4102444800 * 10**9 + 123456789)):
        path = root / "plain" / f"f{number:03}.txt"
        os.utime(path, ns=(when, when))
    os.utime(root / "empty", ns=(999_999_999, 1_234_567_890_123_456_789))
    return unsaved


def _odd_names(root: Path) -> None:
    odd = root / "odd"
    odd.mkdir()
    names = [b"new\nline", b"\xff\xfe", b"-rf", b"a b", b"back\\slash", b"glob*[?]", b"x" * 255]
    names += [b"per%cent=sign", "ünïcödé".encode(), b"#mtree", b"trailing ", b"...", b"..x"]
    for name in names:
        (odd / os.fsdecode(name)).write_bytes(b"content of " + name)
    deep = odd
    for _ in range(6):
        deep /= "d" * 90
    deep.mkdir(parents=True)
    (deep / ("f" * 100)).write_text("far down")


def _links(root: Path) -> None:
    links = root / "links"
    links.mkdir()
    for name, target in {
        "relative": "../plain/f001.txt",
        "absolute": "/etc/passwd",
        "dangling": "nowhere",
        "loop": "loop",
        "escaping": "../../../../etc",
        "long": "/".join(["p" * 50] * 20),
        "odd": os.fsdecode(b"\xff\n"),
    }.items():
        (links / name).symlink_to(target)
    os.link(root / "plain" / "f010.txt", links / "hard")
    os.link(root / "plain" / "f010.txt", root / "aaa-hard")
    os.link(links / "relative", links / "hard-symlink", follow_symlinks=False)


def _sparse(root: Path) -> None:
    with (root / "sparse.img").open("wb") as file:
        file.seek(5 << 20)
        file.write(b"island")
        file.truncate(64 << 20)
    with (root / "all-hole").open("wb") as file:
        file.truncate(10 << 20)
    (root / "zeros").write_bytes(bytes(200_000))


def _modes(root: Path) -> None:
    modes = root / "modes"
    modes.mkdir()
    for mode in (0o400, 0o755, 0o644, 0o4755, 0o2750, 0o1777, 0o666):
        path = modes / f"{mode:04o}"
        path.write_text("mode")
        path.chmod(mode)
    (modes / "closed").mkdir(mode=0o500)
    try:
        os.setxattr(root / "nothing", "user.plain", b"value")
        os.setxattr(root / "empty", "user.with=and%", b"\x00\xff=\n")
        os.setxattr(modes, "user.empty", b"")
    except OSError:
        pass  # This filesystem keeps none; the picture will say so on both sides.
