"""The one place in the workspace where reviewers write; all around it others can write."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from lazarus_pit.cells.files import opened
from lazarus_pit.cells.layout import REVIEWS
from lazarus_pit.cells.ownership import owner_in
from lazarus_pit.errors import RefusedError

if TYPE_CHECKING:
    from lazarus_pit.cells.layout import CellPaths
    from lazarus_pit.cells.ownership import Owner

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_reviews(paths: CellPaths, owner: Owner) -> None:
    """Make the reviewers' directory where there is none. No link that an agent left is followed.

    Raises:
        RefusedError: something else has its name.
        OSError: it could not be made.
    """
    with opened(paths.workspace, _DIRECTORY) as workspace:
        made = _made(workspace)
        try:
            reviews = os.open(REVIEWS, _DIRECTORY, dir_fd=workspace)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            what = "a link or no directory, but reviewers write there: remove it"
            raise RefusedError(f"{paths.reviews}: {what}") from None
        try:
            if made:
                os.fchmod(reviews, 0o770)  # Whatever the umask of the person is.
                if os.geteuid() == 0:
                    own = owner_in(paths, owner)
                    os.fchown(reviews, own.uid, own.gid)
        finally:
            os.close(reviews)


def _made(workspace: int) -> bool:
    try:
        os.mkdir(REVIEWS, 0o770, dir_fd=workspace)
    except FileExistsError:
        return False
    return True
