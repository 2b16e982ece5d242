"""Other processes."""

from __future__ import annotations

import os
import resource
import signal

from attempts.registry import Facts, attempt, libc, opened


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
