"""What holds under root must hold for an ordinary user too: the same tests, run as one."""

from __future__ import annotations

import sys

import pytest

import ordinary_user

OPENED = "shell_at_a_terminal or visitor or pieces or credential_is_read or daemon_opens"
SUITES = [
    ["tests/contract/test_sandboxes.py", "tests/integration/test_lives.py"],
    ["tests/unit/linux", "tests/integration/escapes"],
    ["tests/integration/test_daemon_lives.py", "-k", "sig or detached or environment or freezing"],
    ["tests/integration/test_planted_files.py", "-k", "not planted_everywhere"],
    ["tests/integration/test_shell.py", "tests/integration/test_openings.py", "-k", OPENED],
    ["tests/integration/test_egress.py", "-k", "allowed or leaves or forwarded or killed or holds"],
    ["tests/integration/test_limits.py", "-k", "bomb or descriptors or fills or flooded"],
]


@pytest.mark.root
@pytest.mark.timeout(320)
@pytest.mark.skipif(not ordinary_user.can_run(), reason="needs root, unshare and setpriv")
@pytest.mark.parametrize(
    "suite", SUITES, ids=["lives", "escapes", "daemon", "planted", "openings", "network", "limits"]
)
def test_the_same_holds_for_an_ordinary_user(suite: list[str]) -> None:
    argv = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-o", "cache_dir=$TMPDIR/tests"]
    done = ordinary_user.run([*argv, *suite], timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "no writable cgroup v2" not in done.stdout, "the delegated cgroup was not found"
