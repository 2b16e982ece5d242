"""``lazarus doctor``: the machine, the sandbox and the configuration, tried and not guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from cyclopts import Parameter

from lazarus_pit.cli import say
from lazarus_pit.cli.checks import KERNEL, PLACE, Check, Verdict, failed
from lazarus_pit.cli.packages import install, may_install
from lazarus_pit.cli.place import HERE, Json, Place, owner_of
from lazarus_pit.cli.walls import try_walls
from lazarus_pit.config import Config
from lazarus_pit.errors import ConfigError, LazarusError
from lazarus_pit.sandboxes.bwrap import find_bwrap

FixBubblewrap = Annotated[
    bool,
    Parameter(negative="", help="Only make sure that bubblewrap works, and install it if not."),
]

Unsafe = Annotated[
    bool, Parameter(negative="", help="Try the same without a sandbox: what it is good for.")
]


def doctor(
    *,
    json: Json = False,
    fix_bubblewrap: FixBubblewrap = False,
    unsafe_no_sandbox: Unsafe = False,
    place: Place = HERE,
) -> int:
    """Check the machine, the sandbox and the configuration; say what degrades without each."""
    if fix_bubblewrap:
        return ensure_bubblewrap()
    checks = [check() for check in KERNEL]
    try:
        config = place.settings()
    except ConfigError as error:
        checks.append(failed("configuration", str(error), "the daemon does not start"))
    else:
        checks += try_walls(owner_of(config), unsafe_no_sandbox=unsafe_no_sandbox)
        checks += [_looked(check, config) for check in PLACE]
    healthy = all(check.verdict is not Verdict.FAILED for check in checks)
    if json:
        say.as_json({"healthy": healthy, "checks": msgspec.to_builtins(checks)})
    else:
        for check in checks:
            for text in _lines(check):
                say.line(text)
    return 0 if healthy else 1


def _looked(check: Callable[[Config], Check], config: Config) -> Check:
    """Return what a check found; what it may not look at is a finding, and ends no other."""
    try:
        return check(config)
    except (LazarusError, OSError) as error:
        return failed(check.__name__, str(error), "whoever runs the pit must be able to use it")


def _lines(check: Check) -> list[str]:
    lines = [f"{check.verdict.value:9} {check.name:19} {say.clean(check.found, 300)}"]
    return [*lines, f"{'':29} → {say.clean(check.means, 300)}"] if check.means else lines


def ensure_bubblewrap() -> int:
    """Make sure that some bubblewrap works: the system's, the wheel's, or a fresh package.

    Quiet where all is well. Where nothing can be done it says what a person can do, and that is
    no failure of the set-up: ``lazarus doctor`` and the daemon will say so again.
    """
    bwrap, notes = find_bwrap()
    if bwrap is None and may_install():
        install("bubblewrap")
        bwrap, notes = find_bwrap()
    if bwrap is None:
        for note in notes:
            say.complain(say.clean(note))
        say.complain("install bubblewrap 0.8 or newer (apt install bubblewrap), or allow user")
        say.complain("namespaces; until then agents run only with `lazarus up --unsafe-no-sandbox`")
    return 0
