"""``lazarus up``: the daemon in the foreground."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cli import say
from lazarus_pit.cli.place import HERE, Place
from lazarus_pit.config import Config

Unsafe = Annotated[bool, Parameter(negative="", help="Let agents run UNCONFINED, in no sandbox.")]
Alone = Annotated[bool, Parameter(negative="", help="Start no gateway and no page beside it.")]


def up(*, unsafe_no_sandbox: Unsafe = False, alone: Alone = False, place: Place = HERE) -> int:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C; agents outlive it."""
    return run_daemon(place.settings(), unsafe_no_sandbox=unsafe_no_sandbox, alone=alone)


def run_daemon(config: Config, *, unsafe_no_sandbox: bool = False, alone: bool = True) -> int:
    """Say where everything is, then watch until told to stop."""
    from lazarus_pit.daemon.serve import serve  # noqa: PLC0415 - no other verb needs the daemon

    def begins() -> None:
        rules = str(config.path) if config.found else "every setting at its default"
        log_file = config.log_file or "stdout"
        say.line(f"the pit watches {config.root} ({rules}); it logs to {log_file}")
        if unsafe_no_sandbox:
            say.complain("agents run UNCONFINED: nothing keeps them in their cells")

    code = serve(config, unsafe_no_sandbox=unsafe_no_sandbox, alone=alone, begins=begins)
    say.line("the pit is down; agents that run go on, unwatched until the next `lazarus up`")
    return code
