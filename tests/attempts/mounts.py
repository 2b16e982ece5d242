"""Namespaces and mounts."""

from __future__ import annotations

import ctypes
import os
import signal

from attempts.registry import Facts, attempt, called, libc

REMOUNT, BIND, RECURSIVE, PRIVATE, DETACH = 32, 4096, 1 << 14, 1 << 18, 2
NEWNS, NEWUTS, NEWUSER, NEWNET = 0x20000, 0x4000000, 0x10000000, 0x40000000


def became_master() -> None:
    """Get the capabilities that come with namespaces of one's own, if they can be had."""
    libc.unshare(NEWUSER | NEWNS | NEWUTS)


@attempt
def make_a_user_namespace(_: Facts) -> object:
    return libc.unshare(NEWUSER) == 0


@attempt
def clone_a_user_namespace(_: Facts) -> object:
    pid = libc.syscall(ctypes.c_long(56), ctypes.c_long(NEWUSER | signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0 and os.waitpid(pid, 0)


@attempt
def make_a_network_namespace(_: Facts) -> object:
    return libc.unshare(NEWUSER | NEWNET) == 0


@attempt
def mount_something(_: Facts) -> object:
    became_master()
    return libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None) == 0


def has_mounts_of_its_own() -> bool:
    """Part from everybody's mounts, so that nothing is changed for others.

    Without a new user namespace if possible, as the kernel locks what comes along into one.
    """
    if libc.unshare(NEWNS) < 0:
        return bool(libc.unshare(NEWUSER | NEWNS) == 0)
    return bool(libc.mount(None, b"/", None, PRIVATE | RECURSIVE, None) == 0)


@attempt
def make_the_root_writable(_: Facts) -> object:
    return has_mounts_of_its_own() and libc.mount(None, b"/", None, REMOUNT | BIND, None) == 0


@attempt
def open_a_tree(_: Facts) -> object:
    became_master()
    return called(428, -100, b"/tmp", 1)


@attempt
def make_a_file_system(_: Facts) -> object:
    became_master()
    return called(430, b"tmpfs", 0)


@attempt
def change_a_mounts_flags(_: Facts) -> object:
    """With a change of nothing, at the root."""
    return has_mounts_of_its_own() and called(442, -100, b"/", 0, (ctypes.c_uint64 * 4)(), 32)


@attempt
def take_a_mount_away(_: Facts) -> object:
    """What is beneath it may be open."""
    return has_mounts_of_its_own() and libc.umount2(b"/proc", DETACH) == 0


@attempt
def change_root(_: Facts) -> object:
    became_master()
    os.chroot(".")
    return True


@attempt
def enter_inits_namespaces(_: Facts) -> object:
    fd = os.open("/proc/1/ns/mnt", os.O_RDONLY)
    return libc.setns(fd, 0) == 0


@attempt
def open_by_handle(_: Facts) -> object:
    handle = (ctypes.c_char * 64)()
    libc.open_by_handle_at(os.open(".", os.O_RDONLY), handle, 0)
    return ctypes.get_errno() not in (1, 38)
