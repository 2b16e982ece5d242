"""Write members below a directory that nobody else can reach, and never through a link."""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

import msgspec

from lazarus_pit.cells.checkpoint.below import Chain, split
from lazarus_pit.cells.checkpoint.intake import Chunks, Link
from lazarus_pit.cells.checkpoint.untar import Found, printable
from lazarus_pit.errors import FormatError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET_ID = 0o6000
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.ELOOP}


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """How far an archive is trusted."""

    own: bool = True
    """It is a checkpoint of this host: owners, setuid bits and all attributes are kept. Else a
    setuid file is refused and only attributes of the ``user`` namespace are set."""
    owner: tuple[int, int] | None = None
    """The uid and gid that everything is given to; for root alone."""


class Placed(NamedTuple):
    """What a placer leaves to be done at the end, and what it could not do."""

    directories: list[Found]
    notes: list[str]


class Writer:
    """Places members below the directory ``root``. A share of the work has one of its own."""

    def __init__(self, root: int, trust: Trust) -> None:
        self._chain = Chain(root, make=True)
        self._trust = trust
        self._is_root = os.geteuid() == 0
        self._directories: list[Found] = []
        self._notes: list[str] = []

    def file(self, member: Found, chunks: Chunks) -> None:
        """Make a regular file. Raises ``FormatError`` where its name is taken, and ``OSError``."""
        if not self._trust.own and member.mode & _SET_ID:
            raise FormatError(f"{printable(member.path)}: refused: a setuid file from elsewhere")
        directory, name = split(member.path)
        # Attributes are set on a file that its owner can write to.
        mode = 0o600 if member.xattrs else member.mode & 0o777
        try:
            fd = os.open(name, _NEW_FILE, mode, dir_fd=self._chain.fd(directory))
        except OSError as error:
            raise _told(error, member.path) from None
        try:
            for offset, chunk in chunks:
                done = os.pwrite(fd, chunk, offset)
                while done < len(chunk):
                    done += os.pwrite(fd, chunk[done:], offset + done)
            if member.sparse:
                os.ftruncate(fd, member.real_size)
            self._finish(fd, member)
        finally:
            os.close(fd)

    def directory(self, member: Found) -> None:
        """Make a directory; its attributes are set at the end, as its contents change them."""
        try:
            self._chain.fd(member.path.removesuffix("/") + "/")
        except OSError as error:
            raise _told(error, member.path) from None
        self._directories.append(member)

    def symlink(self, member: Found) -> None:
        """Make a symbolic link, whatever it points to: nothing here ever follows one."""
        directory, name = split(member.path)
        try:
            parent = self._chain.fd(directory)
            os.symlink(member.target, name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise _told(error, member.path) from None
            self._notes.append(f"{printable(member.path)}: a link too long for this filesystem")
            return
        owner = self._owner(member)
        if owner is not None:
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
        times = (member.mtime_ns, member.mtime_ns)
        os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)

    def result(self) -> Placed:
        """Say what is left to do."""
        self._chain.close()
        return Placed(self._directories, self._notes)

    def finish(self, links: list[Link], directories: list[Found]) -> list[str]:
        """Make the further names of files and set the directories' attributes, deepest first."""
        for link in links:
            directory, name = split(link.path)
            target_directory, target = split(link.target)
            source = os.dup(self._chain.fd(target_directory))
            try:
                os.link(
                    target,
                    name,
                    src_dir_fd=source,
                    dst_dir_fd=self._chain.fd(directory),
                    follow_symlinks=False,
                )
            except OSError as error:
                raise _told(error, link.path) from None
            finally:
                os.close(source)
        for member in sorted(directories, key=lambda one: -one.path.count("/")):
            self._finish(self._chain.fd(member.path.removesuffix("/") + "/"), member)
        return self.result().notes

    def _owner(self, member: Found) -> tuple[int, int] | None:
        if not self._is_root:
            return None
        return self._trust.owner or ((member.uid, member.gid) if self._trust.own else None)

    def _finish(self, fd: int, member: Found) -> None:
        # A file is mostly born as it shall be; looking costs less than telling the kernel again.
        born = os.fstat(fd)
        owner = self._owner(member)
        mode = stat.S_IMODE(born.st_mode)
        if owner is not None and owner != (born.st_uid, born.st_gid):
            os.fchown(fd, *owner)
            mode = -1  # It may have lost its setuid bits.
        for name, value in member.xattrs.items():
            self._set_xattr(fd, member.path, name, value)
            mode = -1  # An access control list is a mode too.
        if mode != member.mode:
            os.fchmod(fd, member.mode)
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))

    def _set_xattr(self, fd: int, path: str, name: str, value: bytes) -> None:
        if not (self._trust.own or name.startswith("user.")):
            self._notes.append(f"{printable(path)}: attribute {name} from elsewhere was not set")
            return
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            self._notes.append(f"{printable(path)}: attribute {name} could not be set: {why}")


def _told(error: OSError, path: str) -> Exception:
    """Have an error about a name that is in the way name the member."""
    if error.errno not in _IN_THE_WAY:
        return error
    why = "another member is in its way, or a link is in its path"
    return FormatError(f"{printable(path)}: refused: {why}")
