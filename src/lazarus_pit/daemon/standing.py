"""Standing: the one daemon of a root, and its word to the service manager.

The lock is the kernel's (``flock``), so it ends with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path

from lazarus_pit.errors import RefusedError, WorldError


def take_lock(path: Path, doing: str = "daemon already watches") -> int:
    """Take a lock of a root for as long as this process lives and return its descriptor.

    Raises:
        RefusedError: another holds it; names its pid, and what it is ``doing``.
        WorldError: the lock file cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise WorldError(f"{path}: cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise RefusedError(f"another {doing} {path.parent.parent}: pid {holder}") from None
    with contextlib.suppress(OSError):  # A full disk costs the number, not the lock.
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def is_held(path: Path) -> bool:
    """Whether a daemon holds the lock of a root."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def write_pid_file(path: Path) -> bool:
    """Write the PID file; False if it cannot be written, which is no reason not to watch."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}\n")
    except OSError:
        return False
    return True


def remove_pid_file(path: Path) -> None:
    """Remove the PID file if it is still ours."""
    with contextlib.suppress(OSError):
        if path.read_text().strip() == str(os.getpid()):
            path.unlink()


def notify_manager(message: str) -> None:
    """Say something to systemd (sd_notify(3)) if it started us with ``NOTIFY_SOCKET``."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker, contextlib.suppress(OSError):
        speaker.connect(address)
        speaker.send(message.encode())


def watchdog_seconds() -> float | None:
    """How often systemd wants to hear ``WATCHDOG=1``; ``None`` if it does not."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if wanted.isdigit() and int(wanted) > 0 and pid == str(os.getpid()):
        return int(wanted) / 1e6
    return None
