"""Who listens on a TCP port of this host, as far as ``/proc`` lets us see (proc(5), net/tcp)."""

from __future__ import annotations

import os

from lazarus_pit.linux.procfs import pids

LISTEN = "0A"
"""TCP_LISTEN in the column ``st``."""
SHOWN = 80
"""Characters of a command line that are shown."""


def holder_of(port: int) -> str:
    """Name who listens on a port: ``pid 12 (python3 -m http.server)``; empty if not to be seen."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in pids():
        if wanted & _open_files(pid):
            return f"pid {pid} ({_command_line(pid)})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        for row in rows:
            local, state, inode = row[1], row[3], row[9]
            if state == LISTEN and int(local.rpartition(":")[2], 16) == port:
                found.add(inode)
    return found


def _open_files(pid: int) -> set[str]:
    """What a process has open; nothing where it is gone or not ours to look into."""
    found: set[str] = set()
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                found.add(os.readlink(entry.path))
    except OSError:
        return found
    return found


def _command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "?"
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"
