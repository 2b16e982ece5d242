"""Namespaces and mounts."""

from __future__ import annotations

import ctypes
import os
import signal

from attempts.registry import Facts, attempt, called, libc

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


@attempt
def make_the_root_writable(_: Facts) -> object:
    became_master()
    return libc.mount(None, b"/", None, 32 | 4096, None) == 0


@attempt
def open_a_tree(_: Facts) -> object:
    became_master()
    return called(428, -100, b"/tmp", 1)


@attempt
def take_a_mount_away(_: Facts) -> object:
    became_master()
    return libc.umount2(b"/proc", 2) == 0


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
