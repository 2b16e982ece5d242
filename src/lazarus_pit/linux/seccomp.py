"""Build seccomp filters (seccomp(2)): classic BPF programs that refuse what no agent needs.

A deny-list with an allow default, since agents run compilers, browsers and databases. Arguments
are 64 bits wide, but each one looked at here is an ``int`` to the kernel, so its low half decides.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable, Sequence

from lazarus_pit.linux.syscall_numbers import AUDIT_ARCH, numbers
from lazarus_pit.linux.syscalls import checked, libc

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant (linux/filter.h)."""

_LOAD, _RETURN, _AND = 0x20, 0x06, 0x54
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000

_NEVER_WORDS = (
    "acct add_key adjtimex bpf clock_adjtime clock_settime delete_module fanotify_init "
    "finit_module init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl "
    "kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages modify_ldt "
    "move_pages nfsservctl open_by_handle_at perf_event_open quotactl quotactl_fd reboot "
    "request_key set_mempolicy set_mempolicy_home_node setdomainname sethostname settimeofday "
    "swapoff swapon sysfs syslog uselib userfaultfd ustat vhangup _sysctl"
)
NEVER = tuple(_NEVER_WORDS.split())
"""Administration of the machine, and surface that namespaces do not close."""

_NAMESPACES_WORDS = (
    "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree "
    "open_tree_attr pivot_root setns umount2 unshare"
)
NAMESPACES = tuple(_NAMESPACES_WORDS.split())
"""Refused unless the agent may build sandboxes of its own."""

_NAMESPACE_FLAGS = 0x7E020000
"""Flags of clone(2) that make a namespace."""
_SOCKET_FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6, netlink; a VM socket would leave through any network namespace."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
"""They put words into a terminal's mouth."""
_PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
_FILE_TYPE, _BLOCK, _CHARACTER = 0o170000, 0o060000, 0o020000


def program(*, nested: bool = False, machine: str = "") -> bytes | None:
    """The filter as an array of ``struct sock_filter``; ``None`` for an unknown machine.

    ``nested`` leaves the agent the means to build sandboxes of its own.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCH:
        return None
    known = numbers(machine)
    blocks = [_head(machine), _refuse(known, NEVER, errno.EPERM)]
    if not nested:
        blocks += [
            _refuse(known, NAMESPACES, errno.EPERM),
            _refuse(known, ["clone3"], errno.ENOSYS),  # Its flags are in memory; libc has clone.
            _look(known, "clone", 0, _refuse_if_any_bit(_NAMESPACE_FLAGS, errno.EPERM)),
        ]
    blocks += [
        _look(known, call, 0, _refuse_unless(_SOCKET_FAMILIES, errno.EAFNOSUPPORT))
        for call in ("socket", "socketpair")
    ]
    blocks += [
        _look(known, "ioctl", 1, _refuse_if((_TIOCSTI, _TIOCLINUX), errno.EPERM)),
        _look(known, "personality", 0, _refuse_unless(_PERSONALITIES, errno.EPERM)),
        _look(known, "mknod", 1, _no_devices()),
        _look(known, "mknodat", 2, _no_devices()),
        [(_RETURN, 0, 0, _ALLOW)],
    ]
    return _packed(blocks)


def program_without_namespaces(*, network: bool, machine: str = "") -> bytes | None:
    """A second filter for where no namespace helps: what Landlock does not cover.

    No Unix sockets by name, no Internet sockets without ``network`` (UDP, multipath TCP and fast
    open pass Landlock's rules), no System V memory or queues, and no say over the priorities and
    limits of other processes.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCH:
        return None
    known = numbers(machine)
    families = (1,) if network else (1, 2, 10)
    blocks = [
        _head(machine),
        _look(known, "socket", 0, _refuse_if(families, errno.EACCES)),
        _refuse(known, ["shmget", "semget", "msgget", "mq_open"], errno.EPERM),
    ]
    blocks += [
        _look(known, call, index, _refuse_unless((0,), errno.EPERM))
        for call, index in _ABOUT_OTHERS.items()
    ]
    blocks.append([(_RETURN, 0, 0, _ALLOW)])
    return _packed(blocks)


def install(filter_program: bytes) -> None:
    """Take a filter on, for this thread and all it will start; privileges must be forbidden.

    Raises:
        OSError: the kernel refused.
    """
    memory = ctypes.create_string_buffer(filter_program, len(filter_program))
    header = struct.pack("@HP", len(filter_program) // 8, ctypes.addressof(memory))
    checked(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header, 0, 0), "seccomp")


_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_ABOUT_OTHERS = {
    "setpriority": 1,
    "sched_setaffinity": 0,
    "sched_setscheduler": 0,
    "sched_setparam": 0,
    "sched_setattr": 0,
    "ioprio_set": 1,
    "prlimit64": 0,
}
"""Calls that name a process, by the argument that does: only 0, oneself, is allowed."""


# ---------------------------------------------------------------- blocks


def _head(machine: str) -> list[Instruction]:
    """Other calling conventions have other numbers: none of theirs is allowed."""
    refuse = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    block = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        refuse,
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        block += [(_AT_LEAST, 0, 1, _X32_BIT), refuse]
    return block


def _refuse(known: dict[str, int], calls: Iterable[str], number: int) -> list[Instruction]:
    block: list[Instruction] = []
    for call in calls:
        if call in known:
            block += [(_EQUAL, 0, 1, known[call]), (_RETURN, 0, 0, _ERRNO | number)]
    return block


def _look(
    known: dict[str, int], call: str, index: int, verdict: Sequence[Instruction]
) -> list[Instruction]:
    """Judge a call by an argument; the verdict falls through when it lets the call pass."""
    if call not in known:
        return []
    body = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index), *verdict, (_LOAD, 0, 0, _NUMBER_AT)]
    return [(_EQUAL, 0, len(body), known[call]), *body]


def _refuse_unless(values: Sequence[int], number: int) -> list[Instruction]:
    last = len(values) - 1
    tests = [(_EQUAL, last - at + 1, 0, value) for at, value in enumerate(values)]
    return [*tests, (_RETURN, 0, 0, _ERRNO | number)]


def _refuse_if(values: Sequence[int], number: int) -> list[Instruction]:
    last = len(values) - 1
    tests = [(_EQUAL, last - at, int(at == last), value) for at, value in enumerate(values)]
    return [*tests, (_RETURN, 0, 0, _ERRNO | number)]


def _refuse_if_any_bit(bits: int, number: int) -> list[Instruction]:
    return [(_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, _ERRNO | number)]


def _no_devices() -> list[Instruction]:
    return [(_AND, 0, 0, _FILE_TYPE), *_refuse_if((_BLOCK, _CHARACTER), errno.EPERM)]


def _packed(blocks: Iterable[Iterable[Instruction]]) -> bytes:
    return b"".join(struct.pack("=HBBI", *one) for block in blocks for one in block)
