"""Programs of the system that we need and may install where the machine is ours to change."""

from __future__ import annotations

import os
import shutil
import subprocess

from lazarus_pit.cli import say


def may_install() -> bool:
    """Whether the system's package manager is one we know, and ours to use."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(package: str) -> None:
    """Install a Debian package; its lists are fetched only if that is what is missing.

    Whether it worked, the caller finds out by trying what it needs the package for.
    """
    say.complain(f"installing the system's package {package}")
    get = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (get, ["apt-get", "update", "--quiet"], get):
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        if done.returncode == 0 and command is get:
            return
