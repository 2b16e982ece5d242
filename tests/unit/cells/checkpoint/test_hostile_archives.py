"""Archives made to harm: each is refused with the member's name, and nothing outside changes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint import manifest
from lazarus_pit.cells.checkpoint.place import Trust
from lazarus_pit.cells.checkpoint.unpack import UnpackRequest, unpack
from lazarus_pit.errors import FormatError, StoreError, UsageError

FOREIGN = Trust(own=False)
Members = list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]


def line(info: tarfile.TarInfo, data: bytes) -> bytes:
    """The honest line of a member, so that only what it is can be refused."""
    kinds = {tarfile.DIRTYPE: 0o040000, tarfile.SYMTYPE: 0o120000}
    mode = kinds.get(info.type, 0o100000) | info.mode
    seed = os.fsencode(info.linkname) if info.issym() else data
    digest = hashlib.sha256(seed).digest()
    when = int(info.mtime) * 10**9
    said = manifest.attributes(mode, when, len(data), digest, sparse=False)
    return manifest.name_of(info.name) + b" " + said


def make(path: Path, members: Members, *, lines: list[bytes] | None = None) -> Path:
    """Write an archive as an attacker can: well formed, with any members and any list."""
    pairs = [one if isinstance(one, tuple) else (one, b"") for one in members]
    listed = lines if lines is not None else [line(info, data) for info, data in pairs]
    about = manifest.About(created_at="2026-01-01T00:00:00Z", parts=("workspace",))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in pairs:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    preface = manifest.preface_of(about, b"\n".join([b"#mtree", *listed, b""]), 0)
    path.write_bytes(gzip.compress(preface + raw.getvalue(), 1))
    return path


def info(
    name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, to: str = ""
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname = kind, mode, to
    return made


def file(name: str, data: bytes = b"harm", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, mode=mode), data


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    return info(name, kind, 0o777, to)


LINK = tarfile.LNKTYPE
HARMFUL: dict[str, tuple[Callable[[str], Members], str]] = {
    "absolute name": (lambda out: [file(f"{out}/hit")], "hit"),
    "parent name": (lambda _: [file("workspace/../../hit")], "workspace/../../hit"),
    "parent alone": (lambda _: [info("..", tarfile.DIRTYPE)], r"\.\."),
    "dot": (lambda _: [file("workspace/./hit")], "workspace/./hit"),
    "empty component": (lambda _: [file("workspace//hit")], "workspace//hit"),
    "empty name": (lambda _: [file("")], "refused"),
    "outside the parts": (lambda _: [file(".lazarus/state.json")], r"\.lazarus/state\.json"),
    "beside a part": (lambda _: [file("workspace-2/hit")], "workspace-2/hit"),
    "through a link": (
        lambda out: [link("workspace/door", out), file("workspace/door/hit")],
        "workspace/door/hit",
    ),
    "through two links": (
        lambda out: [
            link("workspace/a", out),
            link("workspace/b", "a"),
            file("workspace/b/hit"),
        ],
        "workspace/b/hit",
    ),
    "over a link": (
        lambda out: [link("workspace/door", f"{out}/hit"), file("workspace/door")],
        "workspace/door",
    ),
    "directory over a link": (
        lambda out: [link("workspace/door", out), info("workspace/door/", tarfile.DIRTYPE)],
        "workspace/door",
    ),
    "hard link out": (lambda out: [link("workspace/l", f"{out}/secret", LINK)], "workspace/l"),
    "hard link up": (lambda _: [link("workspace/l", "../secret", LINK)], "workspace/l"),
    "hard link to nothing": (
        lambda _: [link("workspace/l", "workspace/none", LINK)],
        "workspace/l: a link to workspace/none",
    ),
    "hard link through a link": (
        lambda out: [link("workspace/d", out), link("workspace/l", "workspace/d/secret", LINK)],
        "workspace/l: a link to workspace/d/secret",
    ),
    "hard link to a directory": (
        lambda _: [info("workspace/d", tarfile.DIRTYPE), link("workspace/l", "workspace/d", LINK)],
        "workspace/l: a link to workspace/d",
    ),
    "character device": (
        lambda _: [info("workspace/dev", tarfile.CHRTYPE)],
        "workspace/dev: is a c",
    ),
    "block device": (lambda _: [info("workspace/dev", tarfile.BLKTYPE)], "workspace/dev: is a b"),
    "FIFO": (lambda _: [info("workspace/pipe", tarfile.FIFOTYPE)], "workspace/pipe: is a FIFO"),
    "unknown kind": (lambda _: [info("workspace/odd", b"Z")], "workspace/odd: is of the type"),
    "setuid": (lambda _: [file("workspace/su", mode=0o4755)], "workspace/su: refused: a setuid"),
    "setgid": (lambda _: [file("workspace/sg", mode=0o2755)], "workspace/sg: refused: a setuid"),
    "the same name twice": (
        lambda _: [file("workspace/a"), file("workspace/a")],
        "workspace/a: refused: another member",
    ),
    "a file below a file": (
        lambda _: [file("workspace/a"), file("workspace/a/b")],
        "workspace/a/b: refused",
    ),
}


@pytest.mark.parametrize("attack", HARMFUL)
def test_a_harmful_member_is_refused_by_name(attack: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    before = outside.stat().st_mtime_ns
    members, named = HARMFUL[attack]
    archive = make(tmp_path / "evil.tar.gz", members(str(outside)))
    target = tmp_path / "target"
    request = UnpackRequest(archive=str(archive), target=str(target), trust=FOREIGN, jobs=1)
    with pytest.raises(FormatError, match=named) as refusal:
        unpack(request, lambda *_: None)
    assert str(archive) in str(refusal.value)
    assert os.listdir(outside) == ["secret"]
    assert outside.stat().st_mtime_ns == before
    assert (outside / "secret").stat().st_nlink == 1
    assert not target.exists()
    assert not (tmp_path / "hit").exists()


def refused(archive: Path, tmp_path: Path, **more: int) -> str:
    target = tmp_path / "target"
    request = UnpackRequest(archive=str(archive), target=str(target), jobs=1, **more)  # type: ignore[arg-type]
    with pytest.raises((FormatError, StoreError)) as refusal:
        unpack(request, lambda *_: None)
    assert not target.exists()
    return str(refusal.value)


def test_members_and_list_must_agree(tmp_path: Path) -> None:
    good, other = file("workspace/a", b"one"), file("workspace/b", b"two")
    lines = [line(*good), line(*other)]
    path = tmp_path / "a.tar.gz"
    assert "workspace/b: listed" in refused(make(path, [good], lines=lines), tmp_path)
    surplus = refused(make(path, [good, other], lines=lines[:1]), tmp_path)
    assert "workspace/b" in surplus
    assert "not to be there at all" in surplus
    forged = [lines[0].replace(b"mode=0644", b"mode=0600"), lines[1]]
    assert "workspace/a: found" in refused(make(path, [good, other], lines=forged), tmp_path)
    swapped = file("workspace/a", b"six")
    assert "workspace/a: found" in refused(make(path, [swapped, other], lines=lines), tmp_path)


def test_a_bomb_is_refused_before_it_is_written(tmp_path: Path) -> None:
    big = file("workspace/bomb", bytes(3 << 20))
    path = make(tmp_path / "bomb.tar.gz", [big])
    assert path.stat().st_size < 100_000
    assert "3,145,728 bytes when unpacked" in refused(path, tmp_path, most_bytes=2 << 20)
    claim = [line(*big).replace(b"size=3145728", b"size=9000000000000000")]
    path = make(path, [big], lines=claim)
    assert "bytes to unpack, but only" in refused(path, tmp_path, most_bytes=1 << 60)
    liar = [line(*big).replace(b"size=3145728", b"size=5")]
    path = make(path, [big], lines=liar)
    assert "workspace/bomb: more data than is allowed" in refused(
        path, tmp_path, most_bytes=2 << 20
    )


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "ends early"),
        (b"no gzip at all", "no sound gzip stream"),
        (gzip.compress(b""), "found nothing"),
        (gzip.compress(b"no tar at all"), "ends inside a member"),
        (gzip.compress(bytes(10240)), "found nothing"),
    ],
    ids=["empty", "text", "nothing", "no tar", "zeros"],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, raw: bytes, why: str) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(raw)
    assert why in refused(path, tmp_path)


def test_an_ordinary_tar_is_refused_as_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(info("README"))
    assert "found README, expected .lazarus/checkpoint.json" in refused(path, tmp_path)


def test_data_after_the_end_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "x.tar.gz", [file("workspace/a")])
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw + bytes(1024) + b"more"))
    assert "data follows the end" in refused(path, tmp_path)


def test_a_target_that_exists_is_never_touched(tmp_path: Path) -> None:
    path = make(tmp_path / "x.tar.gz", [file("workspace/a")])
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine").touch()
    request = UnpackRequest(archive=str(path), target=str(tmp_path / "target"), jobs=1)
    with pytest.raises(UsageError, match="File exists"):
        unpack(request, lambda *_: None)
    assert os.listdir(tmp_path / "target") == ["mine"]


def test_an_honest_archive_from_elsewhere_is_taken(tmp_path: Path) -> None:
    members: Members = [
        info("workspace/", tarfile.DIRTYPE, 0o755),
        file("workspace/a", b"fine"),
        link("workspace/venv-python", "/usr/bin/python3"),
    ]
    path = make(tmp_path / "x.tar.gz", members)
    target = tmp_path / "target"
    owner = (os.geteuid(), os.getegid())
    request = UnpackRequest(
        archive=str(path), target=str(target), trust=Trust(own=False, owner=owner), jobs=1
    )
    unpack(request, lambda *_: None)
    assert (target / "workspace" / "a").read_bytes() == b"fine"
    assert os.readlink(target / "workspace" / "venv-python") == "/usr/bin/python3"
    assert (target / "workspace" / "a").stat().st_uid == os.geteuid()
