"""The filters are run here by a small machine of our own, against the kernel's description."""

from __future__ import annotations

import errno
import struct

import pytest

from lazarus_pit.linux import seccomp
from lazarus_pit.linux.syscall_numbers import AUDIT_ARCH, numbers

ALLOWED = 0


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Interpret classic BPF (linux/filter.h); the errno that a call gets, or 0."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=iIQ6Q", number, arch, 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif operation == 0x54:
            accumulator &= constant
        elif operation == 0x06:
            return ALLOWED if constant == 0x7FFF0000 else constant & 0xFFFF
        else:
            holds = {
                0x15: accumulator == constant,
                0x35: accumulator >= constant,
                0x45: bool(accumulator & constant),
            }[operation]
            at += if_true if holds else if_false


@pytest.fixture(params=list(AUDIT_ARCH))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def judge(machine: str, call: str, *arguments: int, nested: bool = False) -> int:
    program = seccomp.program(nested=nested, machine=machine)
    assert program is not None
    return verdict(program, AUDIT_ARCH[machine], numbers(machine)[call], *arguments)


def test_every_named_call_is_refused(machine: str) -> None:
    known = numbers(machine)
    for call in (*seccomp.NEVER, *seccomp.NAMESPACES):
        if call in known:
            assert judge(machine, call) == errno.EPERM, call


def test_namespaces_are_left_to_those_who_may_nest(machine: str) -> None:
    for call in seccomp.NAMESPACES:
        assert judge(machine, call, nested=True) == ALLOWED, call
    assert judge(machine, "clone3", nested=True) == ALLOWED
    assert judge(machine, "clone", 0x10000000, nested=True) == ALLOWED
    assert judge(machine, "bpf", nested=True) == errno.EPERM


def test_threads_and_children_are_made_as_ever(machine: str) -> None:
    assert judge(machine, "clone", 0x003D0F00) == ALLOWED
    assert judge(machine, "clone", 17) == ALLOWED
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert judge(machine, "clone", flag | 17) == errno.EPERM
    assert judge(machine, "clone3") == errno.ENOSYS


def test_only_common_sockets_are_made(machine: str) -> None:
    for family in (1, 2, 10, 16):
        assert judge(machine, "socket", family, 1) == ALLOWED
    for family in (0, 3, 17, 38, 40, 44):
        assert judge(machine, "socket", family, 1) == errno.EAFNOSUPPORT
        assert judge(machine, "socketpair", family, 1) == errno.EAFNOSUPPORT


def test_terminals_are_not_talked_into(machine: str) -> None:
    assert judge(machine, "ioctl", 0, 0x5401) == ALLOWED
    assert judge(machine, "ioctl", 0, 0x5412) == errno.EPERM
    assert judge(machine, "ioctl", 0, 0x541C) == errno.EPERM
    assert judge(machine, "ioctl", 0, (1 << 32) | 0x5412) == errno.EPERM, "the upper half is moot"


def test_devices_are_not_made(machine: str) -> None:
    for mode, expected in ((0o100644, 0), (0o010644, 0), (0o60600, 1), (0o20600, 1)):
        assert judge(machine, "mknodat", 0, 0, mode) == expected
    assert judge(machine, "personality", 0xFFFFFFFF) == ALLOWED
    assert judge(machine, "personality", 0x40000) == errno.EPERM


def test_other_calling_conventions_are_closed(machine: str) -> None:
    program = seccomp.program(machine=machine)
    assert program is not None
    assert verdict(program, 0x40000003, 20) == errno.ENOSYS
    if machine == "x86_64":
        assert verdict(program, AUDIT_ARCH[machine], 0x40000000 | 39) == errno.ENOSYS


@pytest.mark.parametrize("network", [False, True])
def test_without_namespaces_more_is_refused(machine: str, *, network: bool) -> None:
    program = seccomp.program_without_namespaces(network=network, machine=machine)
    assert program is not None
    known, arch = numbers(machine), AUDIT_ARCH[machine]
    inet = ALLOWED if network else errno.EACCES
    assert verdict(program, arch, known["socket"], 1) == errno.EACCES
    assert verdict(program, arch, known["socket"], 2) == inet
    assert verdict(program, arch, known["socket"], 10) == inet
    assert verdict(program, arch, known["socketpair"], 1) == ALLOWED
    assert verdict(program, arch, known["shmget"]) == errno.EPERM
    assert verdict(program, arch, known["prlimit64"], 0) == ALLOWED
    assert verdict(program, arch, known["prlimit64"], 7) == errno.EPERM
    assert verdict(program, arch, known["setpriority"], 0, 7) == errno.EPERM


def test_an_unknown_machine_has_no_filter() -> None:
    assert seccomp.program(machine="pdp11") is None
    assert seccomp.program_without_namespaces(network=False, machine="pdp11") is None
