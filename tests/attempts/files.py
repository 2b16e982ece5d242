"""Writing and reading outside, and through what was given."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil

from attempts.registry import Facts, attempt, opened


def wrote(path: str) -> bool:
    """Append to a file."""
    with open(path, "a") as file:
        file.write("x")
    return True


@attempt
def write_outside(facts: Facts) -> object:
    return wrote(f"{facts['outside']}/new")


@attempt
def overwrite_outside(facts: Facts) -> object:
    return wrote(facts["secret"])


@attempt
def rename_outside(facts: Facts) -> object:
    os.rename(facts["secret"], facts["secret"] + ".moved")
    os.rename(facts["secret"] + ".moved", facts["secret"])
    return True


@attempt
def chmod_outside(facts: Facts) -> object:
    os.chmod(facts["secret"], 0o640)
    return True


@attempt
def utime_outside(facts: Facts) -> object:
    os.utime(facts["secret"], (1, 1))
    return True


@attempt
def hardlink_outside(facts: Facts) -> object:
    os.link(facts["secret"], "stolen")
    return os.path.exists("stolen")


@attempt
def write_through_a_link(facts: Facts) -> object:
    os.symlink(facts["outside"], "way-out")
    return wrote("way-out/through-link")


def closed(facts: Facts) -> list[str]:
    """Directories of the workspace that an agent of this role is not to write."""
    return list(facts["closed"])


@attempt
def make_a_file_where_the_role_may_not(facts: Facts) -> object:
    return any(opened(place, os.O_TMPFILE | os.O_RDWR) for place in closed(facts))


@attempt
def change_a_file_where_the_role_may_not(facts: Facts) -> object:
    return any(wrote(f"{place}/work") for place in closed(facts))


@attempt
def change_a_mode_where_the_role_may_not(facts: Facts) -> object:
    for place in closed(facts):
        os.chmod(f"{place}/work", 0o640)
    return closed(facts)


@attempt
def rename_where_the_role_may_not(facts: Facts) -> object:
    for place in closed(facts):
        os.rename(f"{place}/work", f"{place}/moved")
        os.rename(f"{place}/moved", f"{place}/work")
    return closed(facts)


@attempt
def move_into_where_the_role_may(facts: Facts) -> object:
    """And so take away what others have made."""
    for place in facts["open"]:
        os.rename(f"{facts['closed'][0]}/work", f"{place}/work")
        os.rename(f"{place}/work", f"{facts['closed'][0]}/work")
    return closed(facts) and facts["open"]


@attempt
def link_from_where_the_role_may(facts: Facts) -> object:
    """A second name where one may write, to write by it."""
    for place in facts["open"]:
        os.link(f"{facts['closed'][0]}/work", f"{place}/second")
        wrote(f"{place}/second")
        os.unlink(f"{place}/second")
    return closed(facts) and facts["open"]


@attempt
def link_to_where_the_role_may_not(facts: Facts) -> object:
    for place in facts["open"]:
        with contextlib.suppress(FileExistsError):
            os.symlink("..", f"{place}/up")
        wrote(f"{place}/up/work")
    return closed(facts) and facts["open"]


@attempt
def lock_outside(facts: Facts) -> object:
    with open(facts["secret"]) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


@attempt
def write_usr(_: Facts) -> object:
    return opened("/usr", os.O_TMPFILE | os.O_RDWR)


@attempt
def write_etc_passwd(_: Facts) -> object:
    return opened("/etc/passwd", os.O_WRONLY | os.O_APPEND)


@attempt
def write_root_directory(_: Facts) -> object:
    return opened("/", os.O_TMPFILE | os.O_RDWR)


@attempt
def write_the_manifest(facts: Facts) -> object:
    return opened(facts["manifest"], os.O_WRONLY | os.O_APPEND)


@attempt
def replace_the_manifest(facts: Facts) -> object:
    return opened(os.path.dirname(facts["manifest"]), os.O_TMPFILE | os.O_RDWR)


@attempt
def write_own_inbox(facts: Facts) -> object:
    return opened(facts["inbox"], os.O_TMPFILE | os.O_RDWR)


@attempt
def write_our_programs(_: Facts) -> object:
    return opened(shutil.which("lazarus") or "", os.O_WRONLY | os.O_APPEND)


@attempt
def write_our_package(facts: Facts) -> object:
    return opened(facts["package"], os.O_WRONLY | os.O_APPEND)


@attempt
def write_device_directory(_: Facts) -> object:
    return opened("/dev", os.O_TMPFILE | os.O_RDWR)


@attempt
def read_outside(facts: Facts) -> object:
    with open(facts["secret"]) as file:
        return "hunter2" in file.read()


@attempt
def list_the_cell(facts: Facts) -> object:
    return os.listdir(facts["cell"])


@attempt
def read_another_agents_beat(facts: Facts) -> object:
    return opened(facts["others_beat"], os.O_RDONLY)


@attempt
def write_another_agents_beat(facts: Facts) -> object:
    return opened(facts["others_beat"], os.O_WRONLY | os.O_APPEND)


@attempt
def read_own_status_file(facts: Facts) -> object:
    return opened(facts["status"], os.O_RDONLY)


@attempt
def read_the_log_directory(facts: Facts) -> object:
    return os.listdir(os.path.dirname(facts["status"]))


@attempt
def see_shadow(_: Facts) -> object:
    return os.path.exists("/etc/shadow")


@attempt
def see_host_keys(_: Facts) -> object:
    return os.path.exists("/etc/ssh")


@attempt
def see_the_hosts_run(_: Facts) -> object:
    return os.listdir("/run")


@attempt
def see_the_hosts_var(_: Facts) -> object:
    return os.path.exists("/var/lib") or os.path.exists("/var/log")


@attempt
def see_sys(_: Facts) -> object:
    return os.path.exists("/sys/kernel")


@attempt
def walk_up_from_the_workspace(facts: Facts) -> object:
    fd = os.open(".", os.O_RDONLY)
    for _ in range(12):
        os.chdir("..")
    names = set(os.listdir("."))
    os.fchdir(fd)
    return os.path.basename(facts["cell"]) in names or "boot" in names


@attempt
def token_in_environment(_: Facts) -> object:
    return "PIT_TEST_TOKEN" in os.environ


@attempt
def token_in_inits_environment(_: Facts) -> object:
    with open("/proc/1/environ", "rb") as file:
        return b"PIT_TEST_TOKEN" in file.read()


@attempt
def leaked_directory(facts: Facts) -> object:
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if fd > 2 and os.path.basename(facts["secret"]) in os.listdir(fd):
                return True
    return False


def neighbours(facts: Facts) -> tuple[str, ...]:
    """The first process that there is, and one outside that belongs to the agent's user."""
    return ("1", str(facts["victim"]))


@attempt
def open_anothers_files(facts: Facts) -> object:
    """What init has beyond input and output, which are the agent's own, and all of a stranger's."""
    found = []
    for pid in neighbours(facts):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if pid != "1" or int(fd) > 2:
                        found.append(opened(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK))
    return found


@attempt
def walk_out_through_anothers_root(facts: Facts) -> object:
    for pid in neighbours(facts):
        with contextlib.suppress(OSError):
            return opened(f"/proc/{pid}/root{facts['secret']}", os.O_RDONLY)
    return False


@attempt
def walk_out_through_anothers_directory(facts: Facts) -> object:
    """Not ``cwd`` of init, which is the agent's own."""
    return os.listdir(f"/proc/{facts['victim']}/cwd")


@attempt
def run_a_program_from_memory(facts: Facts) -> object:
    """It may run; what is tried is whether it has more than whoever made it."""
    fd = os.memfd_create("escape", 0)
    os.write(fd, f"#!/bin/sh\nexec cat {facts['secret']}\n".encode())
    ear, mouth = os.pipe()
    if os.fork() == 0:
        os.dup2(mouth, 1)
        os.execve(fd, ["escape"], {})  # noqa: S606 - no shell is what is tried
    os.close(mouth)
    return b"hunter2" in os.read(ear, 64)
