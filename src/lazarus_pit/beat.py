"""One beat of an agent's heart: a small file, written whole, read by the pit (contract 1.7).

Only modules that the interpreter has loaded anyway are imported at once, so that a beat costs
little more than the start of Python. No daemon has to be up. The environment of an agent in a
cell says where to write and who is writing: ``LAZARUS_HEARTBEAT_FILE``, ``LAZARUS_AGENT``,
``LAZARUS_CELL_UUID``, ``LAZARUS_GENERATION``.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

FILE = "LAZARUS_HEARTBEAT_FILE"
HOLDS = ("quota_wait", "auth_hold", "needs_input")
USAGE = """\
Usage: lazarus beat [options]

Tell the pit that this agent is alive. Run it inside the cell, as often as you like.

  --status TEXT    what the agent is doing, such as "thinking"
  --cycle N        progress so far, a whole number that grows; +1 adds to the last beat's
  --busy SECONDS   the next step may be silent for so long
  --hold KIND      waiting, and not at fault: quota_wait, auth_hold or needs_input
  --until UNIX     when the hold ends, in Unix seconds
  --model NAME     the model at work
  --help           this text

Example: lazarus beat --status "running the tests" --busy 600
"""


def compose(environ: Mapping[str, str], now: float, fields: Mapping[str, object]) -> bytes:
    """Return a heartbeat file as JSON.

    Args:
        environ: the agent's environment; it says who is writing.
        now: Unix seconds.
        fields: what else to say; ``None`` is left out. Texts are cut to what a beat may hold.
    """
    generation = environ.get("LAZARUS_GENERATION", "")
    whole = {
        "agent": environ.get("LAZARUS_AGENT"),
        "pid": os.getpid(),
        "timestamp": now,
        "cell_uuid": environ.get("LAZARUS_CELL_UUID"),
        "generation": int(generation) if generation.isdecimal() else None,
        **fields,
    }
    pairs = (f'"{name}":{_json(value)}' for name, value in whole.items() if value is not None)
    return ("{" + ",".join(pairs) + "}\n").encode()


def _json(value: object) -> str:
    """Return a text or a number as JSON."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int):
        return str(value)
    # The C half of json: importing json itself costs ten milliseconds more.
    from _json import encode_basestring_ascii  # noqa: PLC0415

    return encode_basestring_ascii(str(value)[:200].encode("utf-8", "replace").decode())


def write(path: str, data: bytes) -> None:
    """Put a whole file in the place of the last beat.

    Raises:
        OSError: the last beat still stands.
    """
    folder, _, name = path.rpartition("/")
    temporary = f"{folder or '.'}/.{name}.{os.getpid()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    os.rename(temporary, path)


class Heart:
    """The beating heart of a Python agent.

    ::

        heart = Heart(model="some-model")
        heart.beat(status="thinking", cycle=1)
        with heart.busy(600):
            run_the_tests()

    It never raises and never gets in the agent's way: outside a cell, or on a full disk, a beat
    that cannot be written is ``False``. All methods may be called from any thread.
    """

    def __init__(self, file: str | None = None, *, model: str | None = None) -> None:
        self.file = os.environ.get(FILE, "") if file is None else file
        self.model = model
        self.status: str | None = None
        self._busy: list[float] = []
        self._lock = allocate_lock()
        self._stop: threading.Event | None = None

    def beat(self, status: str | None = None, cycle: int | None = None) -> bool:
        """Say that the agent lives.

        Args:
            status: what it is doing; without it, what it said last.
            cycle: how far it has come; a beat without it is a sign of life but not of progress.

        Returns:
            Whether the beat was written.
        """
        return self._beat(status=status, cycle=cycle)

    def hold(self, kind: str, until: float | None = None) -> bool:
        """Say that the agent waits and is not at fault; the next ``beat`` ends the hold.

        Args:
            kind: ``quota_wait``, ``auth_hold`` or ``needs_input``.
            until: when the wait ends, in Unix seconds, where that is known.

        Returns:
            Whether it was written.
        """
        return self._beat(hold=kind, hold_until=until)

    def busy(self, seconds: float) -> Busy:
        """Announce a long step: inside the block silence of up to ``seconds`` is no death."""
        return Busy(self, seconds)

    def start(self, every: float = 10.0) -> None:
        """Beat from a thread of its own each ``every`` seconds until ``stop``.

        These beats have no cycle: they show that the process lives and not that it works.
        """
        import threading  # noqa: PLC0415 - slow to import, and few agents want it

        if self._stop is not None:
            return
        self._stop = stop = threading.Event()

        def loop() -> None:
            self._beat()
            while not stop.wait(every):
                self._beat()

        threading.Thread(target=loop, name="lazarus-heart", daemon=True).start()

    def stop(self) -> None:
        """End the thread that ``start`` began."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _beat(self, status: str | None = None, **fields: object) -> bool:
        if not self.file:
            return False
        with self._lock:
            self.status = status if status is not None else self.status
            said = {
                "model": self.model,
                "status": self.status,
                "busy_until": max(self._busy, default=None),
                **fields,
            }
            try:
                write(self.file, compose(os.environ, time.time(), said))
            except (OSError, ValueError):
                return False
            return True


class Busy:
    """A long step, announced by ``Heart.busy``."""

    def __init__(self, heart: Heart, seconds: float) -> None:
        self._heart = heart
        self._seconds = seconds
        self._until = 0.0

    def __enter__(self) -> Self:
        """Announce the step."""
        self._until = time.time() + self._seconds
        self._heart._busy.append(self._until)  # noqa: SLF001 - the other half of one thing
        self._heart._beat()  # noqa: SLF001
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say that the step is over, however it ended."""
        self._heart._busy.remove(self._until)  # noqa: SLF001
        self._heart._beat()  # noqa: SLF001


class BadFlagError(Exception):
    """The command line asked for what cannot be."""


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1e12:
        raise ValueError
    return number


def _cycle(text: str) -> str:
    if not (text.isascii() and text.removeprefix("+").isdecimal() and len(text) < 19):
        raise ValueError
    return text


def _hold(text: str) -> str:
    if text not in HOLDS:
        raise ValueError
    return text


FLAGS: dict[str, tuple[Callable[[str], object], str]] = {
    "--status": (str, "a text"),
    "--cycle": (_cycle, "a whole number, or + and a whole number"),
    "--busy": (_number, "a number of seconds"),
    "--hold": (_hold, "quota_wait, auth_hold or needs_input"),
    "--until": (_number, "a time in Unix seconds"),
    "--model": (str, "a text"),
}


def parse(arguments: Sequence[str]) -> dict[str, object]:
    """Return the flags by name.

    Raises:
        BadFlagError: names the flag, what was found and what was expected.
    """
    given: dict[str, object] = {}
    rest = list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in FLAGS:
            raise BadFlagError(f"found {flag!r}, expected one of {' '.join(FLAGS)}")
        into, expected = FLAGS[flag]
        if not equals and not rest:
            raise BadFlagError(f"{flag}: expected {expected} after it")
        value = value if equals else rest.pop(0)
        try:
            given[flag[2:]] = into(value)
        except ValueError:
            raise BadFlagError(f"{flag}: found {value!r}, expected {expected}") from None
    if "until" in given and "hold" not in given:
        raise BadFlagError("--until: expected --hold with it")
    return given


def last_cycle(path: str) -> int:
    """Return the cycle in the last beat, 0 where there is none that can be read."""
    import json  # noqa: PLC0415 - slow to import, and only +1 wants it

    try:
        with open(path, "rb") as file:
            return int(json.loads(file.read(4096)).get("cycle") or 0)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return 0


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run ``lazarus beat``; return its exit code: 0 written, 2 wrong use, 75 the disk refused."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(USAGE)
        return 0
    path = environ.get(FILE, "")
    try:
        given = parse(arguments)
    except BadFlagError as error:
        sys.stderr.write(f"lazarus beat: {error}\n")
        return 2
    if not path:
        sys.stderr.write(f"lazarus beat: {FILE} is not set: only an agent in a cell has a heart\n")
        return 2
    now, cycle = time.time(), given.get("cycle")
    busy = given.get("busy")
    fields = {
        "cycle": _next_cycle(str(cycle), path) if cycle is not None else None,
        "model": given.get("model"),
        "status": given.get("status"),
        "busy_until": now + busy if isinstance(busy, float) else None,
        "hold": given.get("hold"),
        "hold_until": given.get("until"),
    }
    try:
        write(path, compose(environ, now, fields))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"lazarus beat: {path!r}: {error}\n")
        return 75
    return 0


def _next_cycle(said: str, path: str) -> int:
    return last_cycle(path) + int(said) if said.startswith("+") else int(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
