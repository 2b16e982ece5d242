"""``lazarus up``: the daemon in the foreground."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cli.place import HERE, Place

Unsafe = Annotated[bool, Parameter(negative="", help="Let agents run UNCONFINED, in no sandbox.")]


def up(
    *,
    unsafe_no_sandbox: Unsafe = False,
    place: Place = HERE,
) -> int:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C; agents outlive it."""
    from lazarus_pit.daemon.run import serve  # noqa: PLC0415 - no other verb needs the daemon

    return serve(place.settings(), unsafe_no_sandbox=unsafe_no_sandbox)
