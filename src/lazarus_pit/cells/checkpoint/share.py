"""Share work out among forked processes: a worker process has no threads, so a fork is safe."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lazarus_pit.errors import LazarusError, WorldError
from lazarus_pit.linux.rename import die_with_parent

Task = TypeVar("Task")
Result = TypeVar("Result")


def share_out(
    tasks: Sequence[Task], weight: Callable[[Task], int], jobs: int
) -> list[Sequence[Task]]:
    """Part tasks into at most ``jobs`` runs of about the same weight; their order is kept."""
    whole = sum(map(weight, tasks))
    shares: list[Sequence[Task]] = []
    start = gathered = 0
    for place, task in enumerate(tasks):
        gathered += weight(task)
        if len(shares) < jobs - 1 and gathered * jobs >= whole * (len(shares) + 1):
            shares.append(tasks[start : place + 1])
            start = place + 1
    shares.append(tasks[start:])
    return [share for share in shares if share]


def run_shares(
    shares: Sequence[Sequence[Task]], work: Callable[[int, Sequence[Task]], Result]
) -> list[Result]:
    """Call ``work(number, share)`` for each share: the first here, the others in forked children.

    An error of ours that a child raises is raised here; whatever else befalls it is a WorldError.
    """
    children = [_fork(number, share, work) for number, share in enumerate(shares) if number]
    try:
        results = [work(0, shares[0])] if shares else []
    finally:
        answers = [_collect(child, pipe) for child, pipe in children]
    for error, result in answers:
        if error is not None:
            raise error
        results += result
    return results


def _fork(
    number: int, share: Sequence[Task], work: Callable[[int, Sequence[Task]], Result]
) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child != 0:
        os.close(writer)
        return child, reader
    # The child leaves by os._exit alone: nothing of the parent's may run twice.
    code = 1
    try:
        die_with_parent()
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(_attempt(number, share, work)))
        code = 0
    finally:
        os._exit(code)


def _attempt(
    number: int, share: Sequence[Task], work: Callable[[int, Sequence[Task]], Result]
) -> tuple[Exception | None, list[Result]]:
    try:
        return None, [work(number, share)]
    except (LazarusError, OSError) as error:
        return error, []
    except Exception as error:  # noqa: BLE001 - the parent reports it
        return WorldError(f"a part of the work failed: {type(error).__name__}: {error}"), []


def _collect(child: int, pipe: int) -> tuple[Exception | None, list[Any]]:
    with os.fdopen(pipe, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        ended = os.waitstatus_to_exitcode(status)
        return WorldError(f"a process that shared the work ended with {ended}"), []
    answered: tuple[Exception | None, list[Any]] = pickle.loads(said)  # noqa: S301 - our own child
    return answered
