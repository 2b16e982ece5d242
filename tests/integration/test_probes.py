"""The probes on real sockets, processes and files (contract 3.4)."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import far
from lazarus_pit.core.far import Reading
from lazarus_pit.formats.pool_config import Gateway, PoolConfig
from lazarus_pit.pool.sweep import Prober, Sight
from lazarus_pit.probes import heartbeat, process
from lazarus_pit.probes.crew import Crew

PASSED, FAILED, UNKNOWN = Reading.PASSED, Reading.FAILED, Reading.UNKNOWN


def looked(*gateways: Gateway, seconds: float = 0.5) -> list[Sight]:
    async def look() -> list[Sight]:
        config = PoolConfig(gateways=gateways, probe_timeout=seconds)
        return list((await Prober(config, os.environ).look(gateways)).values())

    return asyncio.run(look())


def tcp(port: int, host: str = "127.0.0.1") -> Reading:
    return looked(Gateway(name="x", host=host, port=port))[0].seen["tcp"].reading


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has these words in its command line and has begun."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin
    assert child.stdout
    child.stdout.readline()
    try:
        yield child
    finally:
        child.stdin.close()
        child.wait()
        child.stdout.close()


def test_3_4_somebody_listens() -> None:
    with far.listening() as port:
        assert tcp(port) is PASSED
        assert tcp(port, "localhost") is PASSED


def test_3_4_nobody_listens() -> None:
    with far.refusing() as port:
        assert tcp(port) is FAILED
        assert tcp(port, "localhost") is FAILED


def test_3_4_nobody_answers() -> None:
    with far.blackholed() as port:
        assert tcp(port) is FAILED


def test_a_name_that_nothing_can_be_made_of_is_not_a_death() -> None:
    assert tcp(1, "x" * 300) is UNKNOWN
    assert tcp(1, "a\nb.invalid") in (UNKNOWN, FAILED)


def test_without_a_descriptor_nothing_is_said() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []

    async def starved(gateway: Gateway) -> Sight:
        prober = Prober(PoolConfig(gateways=(gateway,), probe_timeout=2.0), os.environ)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.dup(0))
            return (await prober.look([gateway]))["x"]
        finally:
            for fd in held:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    with far.listening() as port:
        known = Gateway(name="x", host="127.0.0.1", port=port, heartbeat_path="/etc/passwd")
        sight = asyncio.run(starved(known))
    assert sight.seen["tcp"].reading is UNKNOWN
    assert sight.seen["heartbeat"].reading is UNKNOWN
    assert sight.seen["process"].reading is PASSED, "where it cannot be checked the probe passes"


def test_3_4_a_process_is_found_by_its_command_line() -> None:
    mark = f"nexus-{os.getpid()}-think"
    pattern = rf"nexus-{os.getpid()}-th[i]nk --port \d+"
    with running(mark, "--port", "12"):
        seen = process.probe([pattern, "no-such-mark-anywhere", "(" + mark], 60.0)
    assert [one.reading for one in seen.values()] == [PASSED, FAILED, FAILED]
    assert process.probe([pattern], 60.0)[pattern].reading is FAILED


def test_a_command_line_that_a_search_never_gets_through_holds_nobody_up() -> None:
    """It would take hours, and the interpreter's lock with it."""
    mark = f"mark-{os.getpid()}"
    endless, other = rf"{mark}.*nexus.*_think", rf"{mark}[ ].* \d+$"
    with running(*[f"{mark} nexus"] * 3000, "12"):
        seen = process.probe([endless, other, f"{mark}-none", f"{mark}-n.+e"], 60.0)
    assert [one.reading for one in seen.values()] == [PASSED, PASSED, FAILED, FAILED]
    assert "cannot be checked" in seen[endless].note
    assert "pid" in seen[other].note


def test_3_4_the_prober_never_finds_itself(tmp_path: Path) -> None:
    mark = f"only-the-pool-{os.getpid()}"
    config = tmp_path / f"{mark}.json"
    config.write_text(
        f'{{"probe_timeout": 1, "gateways": [{{"name": "x", "process_pattern": "{mark}"}}]}}'
    )
    words = f"-m lazarus_pit.cli.pool --config {config} --root {tmp_path} --status"
    shell = f"{sys.executable} {words}; true"
    with running("resurrection-pool", mark):  # Another pool that watches the same.
        out = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert '"process_alive": false' in out.stdout


@pytest.mark.parametrize(
    ("written", "reading"),
    [
        (b'{"timestamp": %d}', PASSED),
        (b'{"timestamp": %d.5, "pid": "no number", "cycle": [1]}', PASSED),
        (b"{}", FAILED),
        (b"", FAILED),
        (b'{"timestamp": "%d"}', FAILED),
        (b'{"timestamp": -1}', FAILED),
        (b'{"timestamp": 1e300}', FAILED),
        (b'{"timestamp": %d' + b"0" * 100, FAILED),
        (b"[" * 100_000, FAILED),
        (b"\xff\xfe", FAILED),
    ],
)
def test_3_4_a_heartbeat_counts_by_its_timestamp(
    tmp_path: Path, written: bytes, reading: Reading
) -> None:
    path = tmp_path / "heartbeat.json"
    path.write_bytes(written.replace(b"%d", b"1000"))
    assert heartbeat.probe(str(path), 1300.0, 300.5).reading is reading


def test_3_4_a_heartbeat_grows_old_and_cannot_come_from_the_future(tmp_path: Path) -> None:
    path = str(far.beat(tmp_path / "hb", age=100.0))
    seen = heartbeat.probe(path, time.time(), 50.0)
    assert seen.reading is FAILED
    assert seen.age == pytest.approx(100.0, abs=20.0)
    assert heartbeat.probe(path, time.time() - 3600.0, 50.0).reading is FAILED
    assert heartbeat.probe(str(tmp_path / "none"), 0.0, 50.0).reading is FAILED


def test_a_heartbeat_that_would_hold_a_reader_up_is_no_beat(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(far.beat(tmp_path / "secret"))
    for name in ("fifo", "link", "."):
        assert heartbeat.probe(str(tmp_path / name), time.time(), 50.0).reading is FAILED


def test_a_call_that_hangs_holds_up_nobody_else() -> None:
    ear, mouth = os.pipe()

    async def both() -> int:
        crew = Crew(most=2)
        hung = asyncio.create_task(crew.call(lambda: os.read(ear, 1), 0.05))
        quick = await crew.call(lambda: 7, 30.0)
        with pytest.raises(TimeoutError):
            await hung
        return quick

    try:
        assert asyncio.run(both()) == 7
    finally:
        os.write(mouth, b"x")
        os.close(mouth)


TOGETHER = threading.Barrier(50)


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/together":
            TOGETHER.wait(60.0)
        answers = {"/health": 200, "/together": 200, "/moved": 302}
        self.send_response(answers.get(self.path, 503))
        self.send_header("Location", "/health")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def health_pages() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_health_page_passes_with_200_alone() -> None:
    with health_pages() as at:
        found = looked(
            *(Gateway(name=p, health_url=at + p) for p in ("/health", "/moved", "/ill")),
            Gateway(name="nothing", health_url="nonsense"),
            seconds=20.0,
        )
    readings = [sight.seen["http"].reading for sight in found]
    assert readings == [PASSED, FAILED, FAILED, UNKNOWN]
    with far.refusing() as port:
        url = f"http://127.0.0.1:{port}/health"
        assert looked(Gateway(name="x", health_url=url))[0].seen["http"].reading is FAILED


def test_all_are_looked_at_together() -> None:
    """The page answers nobody before all of them have asked: one after the other would get none."""
    with health_pages() as at:
        many = [Gateway(name=str(n), health_url=f"{at}/together") for n in range(TOGETHER.parties)]
        sights = looked(*many, seconds=60.0)
    assert {sight.seen["http"].reading for sight in sights} == {PASSED}


def test_any_program_can_be_a_probe() -> None:
    codes = {"exit 0": PASSED, "exit 3": FAILED, "exit 75": UNKNOWN, "kill -9 $$": UNKNOWN}
    found = looked(
        *(Gateway(name=code, probe_cmd=("sh", "-c", code)) for code in codes),
        Gateway(name="none", probe_cmd=("no-such-program-at-all",)),
        seconds=30.0,
    )
    assert [one.seen["command"].reading for one in found] == [*codes.values(), UNKNOWN]


def test_a_probe_program_that_hangs_ends_with_all_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = f'sleep 1000 & echo $! $$ > "{note}"; wait'
    (sight,) = looked(Gateway(name="x", probe_cmd=("sh", "-c", script)), seconds=2.0)
    assert sight.seen["command"].reading is UNKNOWN
    end = time.monotonic() + 20.0
    while any(_runs(int(pid)) for pid in note.read_text().split()):
        assert time.monotonic() < end, "something of it lives on"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
