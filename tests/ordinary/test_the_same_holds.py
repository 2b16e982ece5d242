"""What holds under root must hold for an ordinary user too: the same tests, run as one.

The quick suite keeps the shortest of these runs; who runs it as an ordinary user has them all.
"""

from __future__ import annotations

import pytest

import ordinary_user

OPENED = "shell_at_a_terminal or visitor or pieces or credential_is_read or daemon_opens"
SUITES = {
    "kernel": [
        "tests/unit/linux",
        "tests/integration/escapes",
        "tests/integration/test_reviewers.py",
    ],
    "daemon": [
        "tests/integration/test_daemon_lives.py",
        "-k",
        "sig or detached or environment or freezing",
    ],
    "planted": ["tests/integration/test_planted_files.py", "-k", "not planted_everywhere"],
    "openings": [
        "tests/integration/test_shell.py",
        "tests/integration/test_openings.py",
        "-k",
        OPENED,
    ],
    "network": [
        "tests/integration/test_egress.py",
        "-k",
        "allowed or leaves or forwarded or killed or holds",
    ],
    "limits": [
        "tests/integration/test_limits.py",
        "-k",
        "bomb or descriptors or fills or flooded or name or room",
    ],
    "checkpoints": [
        "tests/integration/test_checkpoint_verbs.py",
        "tests/integration/test_destroy.py",
    ],
    "people": ["tests/integration/test_approvals.py", "tests/integration/test_pool.py"],
    "presets": ["tests/integration/test_presets.py", "tests/unit/presets", "tests/unit/mcp"],
    "teams": ["tests/integration/test_bus.py", "tests/integration/test_teams.py"],
    "views": ["tests/integration/test_web.py", "tests/integration/test_web_actions.py"],
}


@pytest.mark.root
@pytest.mark.timeout(620)
@pytest.mark.skipif(not ordinary_user.can_run(), reason="needs root, unshare and setpriv")
@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_the_same_holds_for_an_ordinary_user(suite: list[str]) -> None:
    ordinary_user.passes(suite)
