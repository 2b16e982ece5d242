"""What stands in every sandbox: a public copy of ``/etc``, our own small programs, a Python.

Built once for each daemon and user, in a directory that no agent can write. The name holds the
boot and a digest of everything copied, so that running sandboxes keep what they began with and
what an earlier boot left can be swept away.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lazarus_pit
from lazarus_pit.linux import mounts, procfs

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
"""Directories of the host that every agent may read."""

_ETC_WORDS = (
    "alternatives bash.bashrc ca-certificates ca-certificates.conf crypto-policies "
    "debian_version fonts gai.conf gitconfig host.conf inputrc java-17-openjdk "
    "java-21-openjdk ld.so.cache ld.so.conf ld.so.conf.d locale.alias locale.conf locale.gen "
    "localtime login.defs lsb-release magic maven mime.types nanorc networks npmrc "
    "nsswitch.conf os-release perl pip.conf pki profile profile.d protocols python3 "
    "python3.11 python3.12 python3.13 rpc services shells ssl terminfo timezone vim wgetrc "
    "xattr.conf xdg"
)
_ETC = tuple(_ETC_WORDS.split())
"""What programs look up there. No passwords, no keys, no services' secrets."""

_OPEN_TO_ALL = stat.S_IROTH

INNER_PACKAGES = "/lazarus/packages"
"""Where the MCP server's libraries are inside a sandbox with its own file system."""

_ENTRY = """#!/bin/sh
# Inside a cell only what a member may use is at hand.
case "${{1-}}" in
    beat)
        shift
        exec {python} -I -S {library}/lazarus_pit/beat.py "$@"
        ;;
    mail | hook | drive)
        module=lazarus_pit.$1
        case "$* " in
            drive*) module=lazarus_pit.presets.drive ;;
            hook*" --ask "*) module=lazarus_pit.permission ;;
        esac
        shift
        exec {python} -I -S -c "import sys; sys.path.insert(0, '{library}')
from $module import main; sys.exit(main(sys.argv[1:]))" "$@"
        ;;
    mcp)
        shift
        exec {python} -I -S -c "import sys; sys.path[:0] = ['{library}', '{packages}']
from lazarus_pit.mcp.server import main; sys.exit(main(sys.argv[1:]))" "$@"
        ;;
    "" | -h | --help | help)
        cat <<END
Usage: lazarus COMMAND, inside a cell one of

  beat   tell the pit that this agent is alive (lazarus beat --help)
  mail   write to the other members, and read what they wrote (lazarus mail --help)
  hook   tell the pit what a program's hook says (lazarus hook --help)
  mcp    offer the team's tools by MCP, on standard input and output
END
        exit 0
        ;;
esac
echo "lazarus: inside a cell there is only beat, mail, hook and mcp, not '${{1-}}'" >&2
exit 2
"""


_PROFILE = """\
# Login shells forget the PATH that the agent was given; some programs run each command in one.
export PATH="/lazarus/bin:$PATH"
"""


class Furniture(NamedTuple):
    """Where the pieces are on the host."""

    etc: str
    bin: str
    """``lazarus`` for use inside a sandbox with its own file system."""
    host_bin: str
    """``lazarus`` for agents that see the host's."""
    package: str
    packages: str
    """Where the libraries are that the MCP server needs, if not in a system directory."""
    python: str
    """The prefix of an interpreter that is not in a system directory, else empty."""
    host_python: str
    """Where that interpreter's programs are on the host, if the agents' user can reach them."""
    in_sight: frozenset[str]
    """Which of these paths any user can still walk to when others are staged."""


def build(scratch: str, uid: int, gid: int) -> Furniture:
    """Build the furniture for agents of one user below ``scratch``, or find it there.

    Raises:
        OSError: the directory cannot be written.
    """
    package = os.path.realpath(os.path.dirname(lazarus_pit.__file__))
    prefix = os.path.realpath(sys.base_prefix)
    python = "" if is_in_system(prefix) else prefix
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    within_reach = uid == os.geteuid() or is_open_to_all(prefix)
    host_python = f"{prefix}/bin/{name}" if within_reach else "python3"
    libraries = os.path.realpath(sysconfig.get_path("purelib"))
    packages = "" if is_in_system(libraries) else libraries
    made_of = (str(uid), str(gid), package, libraries, prefix, host_python)
    boot = procfs.boot_id()[:8]
    place = Path(scratch) / f"{boot}-{_digest(made_of)}"
    if not place.is_dir():
        _sweep(Path(scratch), boot)
        inner = f"/lazarus/python/bin/{name}" if python else f"{prefix}/bin/{name}"
        _build(
            place,
            uid,
            gid,
            {
                "bin": (inner, "/lazarus/lib", INNER_PACKAGES if packages else libraries),
                "host-bin": (host_python, os.path.dirname(package), libraries),
            },
        )
    etc, inner_bin = str(place / "etc"), str(place / "bin")
    pieces = [piece for piece in (etc, inner_bin, package, packages, python) if piece]
    return Furniture(
        etc=etc,
        bin=inner_bin,
        host_bin=str(place / "host-bin"),
        package=package,
        packages=packages,
        python=python,
        host_python=f"{prefix}/bin" if python and within_reach else "",
        in_sight=frozenset(piece for piece in pieces if _is_in_sight(piece)),
    )


def host_etc() -> list[str]:
    """The same choice of ``/etc``, on the host, for agents who see its own."""
    return [f"/etc/{name}" for name in (*_ETC, "passwd", "group", "hosts", "resolv.conf")]


def is_in_system(path: str) -> bool:
    """Whether agents see a path of the host because it lies in a system directory."""
    return any(path == top or path.startswith(f"{top}/") for top in SYSTEM)


def is_open_to_all(path: str) -> bool:
    """Whether any user can walk to a directory and into it."""
    return all(place.stat().st_mode & stat.S_IXOTH for place in (Path(path), *Path(path).parents))


def _is_in_sight(path: str) -> bool:
    return is_open_to_all(path) and not path.startswith(f"{mounts.STAGE}/")


def _build(place: Path, uid: int, gid: int, entries: dict[str, tuple[str, str, str]]) -> None:
    """``entries`` are directories for ``lazarus``, with the Python and the libraries it uses."""
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    new.chmod(0o755)
    _copy_etc(new / "etc")
    profile = new / "etc" / "profile.d"
    profile.mkdir(exist_ok=True)
    (profile / "lazarus.sh").write_text(_PROFILE, encoding="ascii")
    for account, text in _accounts(uid, gid).items():
        (new / "etc" / account).write_text(text, encoding="ascii")
    for name, words in entries.items():
        _write_entry(new / name, *words)
    try:
        new.rename(place)
    except OSError:
        shutil.rmtree(new)  # Another daemon of ours was faster.
        if not place.is_dir():
            raise


def _accounts(uid: int, gid: int) -> dict[str, str]:
    """The few names that hold inside; ``resolv.conf`` is where the host's is put on top."""
    nologin = "/usr/sbin/nologin"
    return {
        "passwd": f"root:x:0:0:root:/nonexistent:{nologin}\n"
        f"agent:x:{uid}:{gid}:agent:/mission/home:/bin/sh\n"
        f"nobody:x:65534:65534:nobody:/nonexistent:{nologin}\n",
        "group": f"root:x:0:\nagent:x:{gid}:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost cell\n::1 localhost\n",
        "resolv.conf": "",
    }


def _write_entry(directory: Path, python: str, library: str, packages: str) -> None:
    directory.mkdir(mode=0o755)
    entry = directory / "lazarus"
    text = _ENTRY.format(python=python, library=library, packages=packages)
    entry.write_text(text, encoding="utf-8")
    entry.chmod(0o755)


# ---------------------------------------------------------------- /etc


def _readable(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file, link and directory below a path that any user of the host may read."""
    try:
        found = os.lstat(path)
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        yield path, found
    elif stat.S_ISDIR(found.st_mode) and found.st_mode & _OPEN_TO_ALL:
        yield path, found
        for name in sorted(os.listdir(path)):
            yield from _readable(f"{path}/{name}")
    elif stat.S_ISREG(found.st_mode) and found.st_mode & _OPEN_TO_ALL:
        yield path, found


def _entries() -> Iterator[tuple[str, os.stat_result]]:
    for name in _ETC:
        yield from _readable(f"/etc/{name}")


def _digest(made_of: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join(made_of).encode())
    digest.update(_ENTRY.encode() + _PROFILE.encode())
    for path, found in _entries():
        digest.update(f"{path}\0{found.st_mtime_ns}\0{found.st_size}\n".encode())
    return digest.hexdigest()[:16]


def _copy_etc(target: Path) -> None:
    """Copy; a link that leads out of the system directories is replaced by what it leads to."""
    target.mkdir(mode=0o755)
    for path, found in _entries():
        copy = f"{target}{path.removeprefix('/etc')}"
        with contextlib.suppress(OSError):
            if stat.S_ISLNK(found.st_mode):
                _copy_link(path, copy)
            elif stat.S_ISDIR(found.st_mode):
                os.mkdir(copy, 0o755)
            else:
                shutil.copyfile(path, copy)


def _copy_link(path: str, copy: str) -> None:
    leads_to = os.readlink(path)
    if leads_to.startswith("/usr/") or not leads_to.startswith("/"):
        os.symlink(leads_to, copy)
    elif os.stat(path).st_mode & _OPEN_TO_ALL and os.path.isfile(path):
        shutil.copyfile(path, copy)


def _sweep(scratch: Path, boot: str) -> None:
    """Remove what earlier boots left; nothing of theirs can be in use."""
    with contextlib.suppress(OSError):
        for entry in list(scratch.iterdir()):
            if entry.is_dir() and not entry.name.startswith(boot):
                shutil.rmtree(entry, ignore_errors=True)
