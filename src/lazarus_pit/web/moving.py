"""Cells that come and go over the API: archives, streamed, so that no size of one is in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.errors import UsageError, WorldError
from lazarus_pit.web import fleet, transit, verbs
from lazarus_pit.web.actions import REFUSED, act
from lazarus_pit.web.shapes import Refusal
from lazarus_pit.web.spots import Query, Server, as_json, cell_of, number, refuse, text

KIND = "application/gzip"
MOST = 64 << 30
"""Bytes of an archive that is taken."""
LEFT = 256 << 20
"""Bytes of the disk that an archive has to leave free."""
AT_ONCE = 2
"""Archives under way at most."""
PATIENCE = 60.0
"""Seconds that an archive may take to come, beside a second for each ``SLOWEST`` bytes."""
SLOWEST = 16 << 10
_CHUNK = 256 << 10
NAME = Query("name", "Another name for the cell.", None, 1, 64, is_text=True)
START = Query("start", "1 starts its agents at once.", 0, 0, 1)
_slots = threading.BoundedSemaphore(AT_ONCE)


def exported(server: Server, request: Request) -> Response:
    """Write a cell into an archive, and send that; the cell goes on."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    with _slot(), transit.folder(server.pit) as place:
        words = ("cell", "export", paths.uuid, str(place.archive))
        argv = (*server.command, *words, *server.where)
        done = verbs.run(argv, None, b"", request.scope.get("who", ""), (place.lock,))
        if done.code:
            return as_json(Refusal(done.said), REFUSED.get(done.code, 500))
        try:
            file = place.archive.open("rb")
        except OSError as error:
            raise WorldError(f"the archive: {error.strerror}") from None
    # Its name is gone by now: nothing is left behind, whoever hangs up and whatever is killed.
    headers = {
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "Content-Disposition": f'attachment; filename="{_file_name(server, paths)}"',
    }
    return StreamingResponse(_chunks(file), media_type=KIND, headers=headers)


async def imported(server: Server, request: Request) -> Response:
    """Make a cell of the archive that is sent; nothing is made where it does not come whole."""
    flags = [f"--name={name}"] if (name := text(request, NAME)) else []
    flags += ["--start"] * (number(request, START) or 0)
    with _slot(), transit.folder(server.pit) as place:
        with place.archive.open("xb") as file:
            digest = await _receive(request, file)
        words = ["cell", "import", *flags]
        request.scope["lazarus.body"] = {}

        def run() -> Response:
            last = (str(place.archive),)
            return act(
                *(server, request, verbs.IMPORT, words, ""),
                more=last, meant=digest, hold=(place.lock,), patience=None,
            )  # fmt: skip

        return await run_in_threadpool(run)


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(blocking=False):
        raise WorldError(f"{AT_ONCE} archives are under way: try again soon")
    try:
        yield
    finally:
        _slots.release()


def _file_name(server: Server, paths: CellPaths) -> str:
    name = fleet.look(paths, server.words.need).name or ""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:64].strip("-")
    return "-".join(part for part in (plain, paths.uuid[:8]) if part) + ".tar.gz"


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while data := await run_in_threadpool(file.read, _CHUNK):
            yield data


async def _receive(request: Request, file: BinaryIO) -> bytes:
    """Write what is sent into a file, and return its hash.

    Raises:
        UsageError: it is larger than anything that is taken, or empty.
        WorldError: there is no room for it.
        TimeoutError: it comes too slowly.
        ClientDisconnect: it ended too early.
    """
    said = request.headers.get("content-length", "")
    _check_size(int(said) if said.isascii() and said.isdigit() else 0, 0, file)
    size, whole = 0, hashlib.sha256()
    begun = asyncio.get_running_loop().time()
    chunks = request.stream()
    while True:
        async with asyncio.timeout_at(begun + PATIENCE + size / SLOWEST):
            chunk = await anext(chunks, None)
        if chunk is None:
            break
        size += len(chunk)
        _check_size(size, size - len(chunk), file)
        whole.update(chunk)
        await run_in_threadpool(file.write, chunk)
    if not size:
        raise UsageError("body: expected an archive of `lazarus cell export`, found nothing")
    return whole.digest()


def _check_size(size: int, there: int, file: BinaryIO) -> None:
    if size > MOST:
        raise UsageError(f"body: more than {MOST} bytes")
    disk = os.fstatvfs(file.fileno())
    if disk.f_bavail * disk.f_frsize - (size - there) < LEFT:
        raise WorldError("no room on the disk for this archive")
