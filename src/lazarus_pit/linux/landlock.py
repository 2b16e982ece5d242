"""Landlock (landlock(7)): a process gives up rights for itself and all it will start.

A ruleset without file rights leaves mounting alone, so it can be taken on before bubblewrap; one
with file rights forbids every mount.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import struct
from collections.abc import Iterable

from lazarus_pit.linux.syscalls import forbid_new_privileges, syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
"""Numbers of the three system calls, the same on every architecture."""
_QUERY_VERSION = 1
_RULE_PATH_BENEATH = 1
_PORTS = 3
"""Bind and connect of TCP ports."""
_SCOPE_ABI = 6
_SCOPES = 3
"""Abstract Unix sockets and signals of processes outside."""

(
    EXECUTE,
    WRITE_FILE,
    READ_FILE,
    READ_DIR,
    REMOVE_DIR,
    REMOVE_FILE,
    MAKE_CHAR,
    MAKE_DIR,
    MAKE_REG,
    MAKE_SOCK,
    MAKE_FIFO,
    MAKE_BLOCK,
    MAKE_SYM,
    REFER,
    TRUNCATE,
    IOCTL_DEV,
) = (1 << bit for bit in range(16))

FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""What can be granted on a file that is no directory."""
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = (
    READ
    | WRITE_FILE
    | TRUNCATE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_SYM
    | REFER
)
DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV

_KNOWN_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many of the file rights each version of the interface knows; 16 from version 5 on."""


def abi() -> int:
    """The version of the kernel's Landlock; 0 where there is none."""
    try:
        return syscall(_CREATE, None, 0, _QUERY_VERSION, what="landlock")
    except OSError:
        return 0


@functools.cache
def scope_ruleset() -> int | None:
    """Return the ruleset that only closes signals and abstract sockets to the outside (version 6).

    Its descriptor is to be restricted by in a child; the process has one and keeps it. ``None``
    where the kernel cannot.

    Raises:
        OSError: the kernel refused.
    """
    if abi() < _SCOPE_ABI:
        return None
    return _create(0, 0, _SCOPES)


def file_ruleset(rules: Iterable[tuple[str, int]], *, ports: bool) -> int:
    """Make a ruleset that grants the given rights below the given paths and no others.

    A path that does not exist is passed over. ``ports`` is whether TCP may be used (version 4);
    signals and abstract sockets are closed where the kernel can.

    Raises:
        OSError: the kernel refused; ``ENOSYS`` or ``EOPNOTSUPP`` where there is no Landlock.
    """
    version = abi()
    if version < 1:
        raise OSError(errno.EOPNOTSUPP, "this kernel has no Landlock")
    handled = (1 << _KNOWN_RIGHTS.get(version, 16)) - 1
    closed_ports = _PORTS if version >= 4 and not ports else 0
    ruleset = _create(handled, closed_ports, _SCOPES if version >= _SCOPE_ABI else 0)
    try:
        for path, rights in rules:
            _grant(ruleset, path, rights & handled)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def restrict(ruleset: int) -> None:
    """Take a ruleset on, for good.

    Raises:
        OSError: the kernel refused.
    """
    forbid_new_privileges()
    syscall(_RESTRICT, ruleset, 0, what="landlock_restrict_self")


def _create(files: int, ports: int, scopes: int) -> int:
    """Older kernels refuse a longer structure than they know, even if the rest is zero."""
    fields = struct.pack("=QQQ", files, ports, scopes)
    used = fields if scopes else fields[:16] if ports else fields[:8]
    return syscall(_CREATE, used, len(used), 0, what="landlock_create_ruleset")


def _grant(ruleset: int, path: str, rights: int) -> None:
    """What may be written lies where agents can put a link in its place: none is followed."""
    last = os.O_NOFOLLOW if rights & ~READ else 0
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | last)
    except OSError:
        return
    try:
        allowed = rights if stat.S_ISDIR(os.fstat(fd).st_mode) else rights & FILE_RIGHTS
        rule = struct.pack("=Qi", allowed, fd)
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0, what=f"landlock rule for {path}")
    finally:
        os.close(fd)
