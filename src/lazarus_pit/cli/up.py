"""``lazarus up``: the daemon in the foreground."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cli.place import HERE, Place


def up(
    *,
    unsafe_no_sandbox: Annotated[bool, Parameter(negative="")] = False,
    place: Place = HERE,
) -> int:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C; agents outlive it.

    Args:
        unsafe_no_sandbox: let agents run UNCONFINED where no sandbox works.
        place: where.
    """
    from lazarus_pit.daemon.run import serve  # noqa: PLC0415 - no other verb needs the daemon

    return serve(place.settings(), unsafe_no_sandbox=unsafe_no_sandbox)
