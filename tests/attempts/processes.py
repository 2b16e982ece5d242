"""Other processes."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from attempts.registry import Facts, attempt, called, libc, opened


def victim(facts: Facts) -> int:
    return int(facts["victim"])


@attempt
def see_a_process(facts: Facts) -> object:
    with open(f"/proc/{victim(facts)}/cmdline", "rb") as file:
        return b"victim" in file.read()


@attempt
def signal_a_process(facts: Facts) -> object:
    os.kill(victim(facts), signal.SIGCONT)
    return True


@attempt
def trace_a_process(facts: Facts) -> object:
    attach, detach = 16, 17
    if libc.ptrace(attach, victim(facts), None, None) < 0:
        return False
    os.waitpid(victim(facts), 0)
    libc.ptrace(detach, victim(facts), None, None)
    return True


@attempt
def read_a_process_memory(facts: Facts) -> object:
    return opened(f"/proc/{victim(facts)}/mem", os.O_RDWR)


@attempt
def limit_a_process(facts: Facts) -> object:
    now = resource.prlimit(victim(facts), resource.RLIMIT_NOFILE)
    resource.prlimit(victim(facts), resource.RLIMIT_NOFILE, now)
    return True


@attempt
def slow_a_process(facts: Facts) -> object:
    os.setpriority(os.PRIO_PROCESS, victim(facts), 19)
    return True


@attempt
def pin_a_process(facts: Facts) -> object:
    os.sched_setaffinity(victim(facts), {0})
    return True


@attempt
def hold_a_process(facts: Facts) -> object:
    os.close(os.pidfd_open(victim(facts)))
    return True


@attempt
def read_a_process_memory_by_a_call(facts: Facts) -> object:
    """Any word of it: the beginning of what it keeps on its stack is where the auxv says."""
    with open(f"/proc/{victim(facts)}/stat") as file:
        place = int(file.read().rpartition(")")[2].split()[25])  # startstack
    room = ctypes.create_string_buffer(8)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(room), 8)
    return called(310, victim(facts), ours, 1, (ctypes.c_size_t * 2)(place, 8), 1, 0)


@attempt
def take_a_descriptor_of_a_process(facts: Facts) -> object:
    return called(438, os.pidfd_open(victim(facts)), 0, 0)


@attempt
def read_a_process_environment(facts: Facts) -> object:
    with open(f"/proc/{victim(facts)}/environ", "rb") as file:
        return b"PATH" in file.read()


@attempt
def join_a_process_namespaces(facts: Facts) -> object:
    """By its descriptor, which names all of them at once."""
    return libc.setns(os.pidfd_open(victim(facts)), 0x20000) == 0


@attempt
def compare_with_a_process(facts: Facts) -> object:
    """Which tells whether files and memory are the same, and where they lie in the kernel."""
    return called(312, victim(facts), os.getpid(), 1, 0, 0)
