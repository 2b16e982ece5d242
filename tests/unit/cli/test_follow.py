"""Logs and journals are followed over rotation, truncation and torn lines."""

import threading
from pathlib import Path

from lazarus_pit.cli.follow import (
    LONGEST,
    JournalTail,
    LogTail,
    Wakeup,
    journal_end,
    watch_batches,
    watch_events,
)

EVENT = b'{"ts": "2026-04-06T00:00:00Z", "event": "agent_ready", "agent": "a"}\n'


def test_a_log_is_followed_over_rotation_and_truncation(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    tail = LogTail(log)
    assert tail.read() == []
    log.write_bytes(b"one\ntw")
    assert tail.read() == [b"one"]
    with log.open("ab") as more:
        more.write(b"o\nunfinished")
    assert tail.read() == [b"two"]
    log.rename(tmp_path / "a.log.1")
    assert tail.read() == []
    log.write_bytes(b"three\n")
    assert tail.read() == [b"unfinished", b"three"]
    log.write_bytes(b"x\n")
    assert tail.read() == [b"x"]
    tail.close()


def test_the_last_lines_are_the_last_and_an_unfinished_one_counts(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"".join(b"%d\n" % number for number in range(100_000)) + b"end")
    tail = LogTail(log)
    assert tail.last(3) == [b"99998", b"99999", b"end"]
    tail.close()
    tail = LogTail(log)
    assert tail.last(0) == []
    tail.close()


def test_a_line_without_an_end_is_not_kept_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * (3 * LONGEST))
    tail = LogTail(log)
    assert sum(map(len, tail.read())) >= 2 * LONGEST
    tail.close()


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret\n")
    (tmp_path / "a.log").symlink_to(tmp_path / "secret")
    tail = LogTail(tmp_path / "a.log")
    assert tail.last(5) == []


def test_a_torn_line_is_waited_for_and_a_broken_one_passed_over(tmp_path: Path) -> None:
    journal = tmp_path / "events.jsonl"
    tail = JournalTail(journal)
    assert tail.read() == []
    journal.write_bytes(b"broken\n" + EVENT + EVENT[:20])
    assert [event.event for event in tail.read()] == ["agent_ready"]
    with journal.open("ab") as more:
        more.write(EVENT[20:])
    assert [event.event for event in tail.read()] == ["agent_ready"]
    assert tail.offset == journal_end(journal)


def test_a_watcher_is_woken_by_what_is_written(tmp_path: Path) -> None:
    journal = tmp_path / "events.jsonl"
    journal.write_bytes(EVENT)

    def write() -> None:
        with journal.open("ab") as more:
            more.write(EVENT)

    writer = threading.Thread(target=write)
    seen = []
    for event in watch_events(journal, 0, 30.0):
        seen.append(event)
        if len(seen) == 1:
            writer.start()
        if len(seen) == 2:
            break
    writer.join()
    assert len(seen) == 2


def test_what_is_there_together_is_seen_together(tmp_path: Path) -> None:
    journal = tmp_path / "events.jsonl"
    journal.write_bytes(EVENT + EVENT)
    assert [len(events) for events in watch_batches(journal, 0, 0.0)] == [2]


def test_where_nothing_can_be_watched_it_is_looked_at_now_and_then(tmp_path: Path) -> None:
    wakeup = Wakeup([tmp_path / "not there"])
    wakeup.wait()
    wakeup.close()
