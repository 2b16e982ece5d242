"""The kernel, devices, and rights to hold."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
from typing import Any

from attempts.mounts import became_master
from attempts.registry import Facts, attempt, called, libc, opened

ENOKEY = 126


@attempt
def make_an_io_uring(_: Facts) -> object:
    return called(425, 4, (ctypes.c_char * 120)())


@attempt
def load_a_bpf_program(_: Facts) -> object:
    return called(321, 0, struct_of_zeros(), 72) if os.uname().machine == "x86_64" else False


def struct_of_zeros() -> Any:
    attributes = (ctypes.c_uint32 * 18)()
    attributes[0:4] = [2, 4, 8, 1]  # An array map of one element.
    return attributes


@attempt
def catch_page_faults(_: Facts) -> object:
    """A userfaultfd, by which the kernel itself can be held up; for faults of one's own alone."""
    return called(323, 1) or opened("/dev/userfaultfd", os.O_RDWR)


@attempt
def list_the_sessions_keys(_: Facts) -> object:
    return called(250, 0, -3, 0)


@attempt
def ask_for_a_key(_: Facts) -> object:
    """Who asks the kernel for a key can have it start a program of the host's."""
    return called(249, b"user", b"escape", 0, -3) or ctypes.get_errno() == ENOKEY


@attempt
def watch_the_machines_performance(_: Facts) -> object:
    return called(298, (ctypes.c_uint32 * 32)(1, 128, 0, 0), 0, -1, -1, 0)


@attempt
def use_the_calls_of_another_machine(_: Facts) -> object:
    """The x32 numbers: a filter that forgets them is none. ``unshare`` of nothing at all."""
    libc.syscall(ctypes.c_long(0x40000000 | 272), ctypes.c_long(0))
    return ctypes.get_errno() == 0


@attempt
def add_a_key(_: Facts) -> object:
    return called(248, b"user", b"escape", b"x", 1, -3)


@attempt
def switch_off_randomization(_: Facts) -> object:
    return libc.personality(0x40000) >= 0


@attempt
def reach_for_the_clock(_: Facts) -> object:
    """Asking changes nothing, but it is the same call that would."""
    return called(305, 0, (ctypes.c_char * 256)())


@attempt
def rename_the_host(_: Facts) -> object:
    became_master()
    return libc.sethostname(b"owned", 5) == 0


@attempt
def see_the_hosts_name(facts: Facts) -> object:
    return os.uname().nodename == facts["hostname"]


@attempt
def see_its_place_among_cgroups(facts: Facts) -> object:
    with open("/proc/self/cgroup") as file:
        return os.path.basename(facts["cell"]) in file.read()


@attempt
def write_core_pattern(_: Facts) -> object:
    return opened("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@attempt
def write_sysctl(_: Facts) -> object:
    return opened("/proc/sys/vm/drop_caches", os.O_WRONLY)


@attempt
def trigger_sysrq(_: Facts) -> object:
    return opened("/proc/sysrq-trigger", os.O_WRONLY)


@attempt
def read_kernel_messages(_: Facts) -> object:
    return libc.klogctl(10, None, 0) >= 0 or opened("/dev/kmsg", os.O_RDONLY)


@attempt
def open_a_disk(_: Facts) -> object:
    for name in ("vda", "sda", "nvme0n1", "mem", "port"):
        with contextlib.suppress(OSError):
            return opened(f"/dev/{name}", os.O_RDONLY)
    return False


@attempt
def make_a_device(_: Facts) -> object:
    os.mknod("disk", 0o060666, os.makedev(254, 0))
    return True


@attempt
def fake_terminal_input(_: Facts) -> object:
    """Into a terminal of one's own, with nobody at it."""
    own = os.openpty()[1]
    os.setsid()
    fcntl.ioctl(own, 0x540E, 0)  # TIOCSCTTY, then TIOCSTI
    return bool(fcntl.ioctl(own, 0x5412, b"x"))


@attempt
def write_a_cgroup(_: Facts) -> object:
    with open("/proc/self/mountinfo") as file:
        places = [line.split()[4] for line in file if " - cgroup" in line]
    for place in places:
        with contextlib.suppress(OSError):
            return opened(f"{place}/cgroup.procs", os.O_WRONLY)
    return False


def status(name: str) -> str:
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{name}:"))


@attempt
def hold_a_capability(_: Facts) -> object:
    return any(int(status(name), 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))


@attempt
def gain_privileges_by_exec(_: Facts) -> object:
    return status("NoNewPrivs") != "1"


@attempt
def become_root(_: Facts) -> object:
    os.setuid(0)
    return True


@attempt
def use_a_setuid_program(_: Facts) -> object:
    for program in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd"):
        if os.path.exists(program) and os.stat(program).st_mode & 0o4000:
            mounted = os.statvfs(program).f_flag & os.ST_NOSUID
            return not mounted and status("NoNewPrivs") != "1"
    return False


@attempt
def keep_core_dumps(_: Facts) -> object:
    return resource.getrlimit(resource.RLIMIT_CORE) != (0, 0)


@attempt
def own_the_terminal(_: Facts) -> object:
    return opened("/dev/tty", os.O_RDWR)


@attempt
def read_from_the_daemons_input(_: Facts) -> object:
    return os.readlink("/proc/self/fd/0") != "/dev/null"
