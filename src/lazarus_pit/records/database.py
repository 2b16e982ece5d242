"""The one SQLite file: opened, brought into shape, and set aside where it cannot be read.

Every commit is on the disk before it returns (WAL with ``synchronous=FULL``), and several
processes may write: each change is one immediate transaction.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from lazarus_pit.errors import StoreError

VERSION = 6
"""Of the tables below; a file of a higher one was made by a later release."""
BUSY_SECONDS = 5.0
"""How long a change waits for somebody else's."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BESIDE = ("", "-wal", "-shm")
_sound: set[tuple[int, int]] = set()
"""The files that this process has looked at as a whole, by device and inode."""
_CHANGES = {
    3: """
ALTER TABLE approvals ADD COLUMN asked_in TEXT;
ALTER TABLE approvals ADD COLUMN comment TEXT NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
DROP INDEX IF EXISTS one_a_death;
""",
    6: "DROP INDEX IF EXISTS still_open;",
}
"""What a file of an older version needs before the tables below are made, by the new version."""
_TABLES = f"""
CREATE TABLE IF NOT EXISTS approvals (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    generation INTEGER NOT NULL,
    facts TEXT NOT NULL,
    asked REAL NOT NULL,
    expires REAL NOT NULL,
    outcome TEXT NOT NULL DEFAULT 'open'
        CHECK (outcome IN ('open', 'approved', 'denied', 'expired', 'superseded')),
    decided_by TEXT NOT NULL DEFAULT '',
    via TEXT NOT NULL DEFAULT '',
    closed REAL,
    decision INTEGER UNIQUE,
    retired INTEGER NOT NULL DEFAULT 0,
    asked_in TEXT,
    comment TEXT NOT NULL DEFAULT '',
    told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_a_life ON approvals (subject, generation)
    WHERE NOT retired AND asked_in IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS one_a_mail ON approvals (asked_in) WHERE NOT retired;
CREATE INDEX IF NOT EXISTS open_until ON approvals (expires) WHERE outcome = 'open';
CREATE INDEX IF NOT EXISTS by_subject ON approvals (subject);
CREATE TABLE IF NOT EXISTS deliveries (
    approval TEXT NOT NULL REFERENCES approvals (id),
    channel TEXT NOT NULL,
    receipt TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (approval, channel)
) STRICT;
CREATE TABLE IF NOT EXISTS settlements (
    approval TEXT NOT NULL REFERENCES approvals (id),
    channel TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (approval, channel)
) STRICT;
CREATE TABLE IF NOT EXISTS digests (
    id TEXT NOT NULL,
    channel TEXT NOT NULL,
    approval TEXT NOT NULL REFERENCES approvals (id),
    PRIMARY KEY (channel, approval)
) STRICT;
CREATE INDEX IF NOT EXISTS told_in_one ON digests (id);
CREATE TABLE IF NOT EXISTS channel_notes (
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (channel, key)
) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    forge TEXT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    action TEXT NOT NULL,
    tried INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS in_order ON outbox (forge, subject, id);
CREATE TABLE IF NOT EXISTS threads (
    forge TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    number INTEGER,
    PRIMARY KEY (forge, subject)
) STRICT;
CREATE TABLE IF NOT EXISTS invitations (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    cell TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    human INTEGER NOT NULL,
    invited_by TEXT NOT NULL,
    asked_in TEXT UNIQUE,
    invited REAL NOT NULL,
    expires REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'accepted', 'revoked', 'expired')),
    closed REAL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_a_name ON invitations (cell, name) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS operations (
    id TEXT PRIMARY KEY,
    who TEXT NOT NULL,
    key TEXT NOT NULL,
    wish TEXT NOT NULL,
    verb TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    code INTEGER,
    said TEXT NOT NULL,
    began REAL NOT NULL,
    ended REAL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS once ON operations (who, key) WHERE key <> '';
PRAGMA user_version = {VERSION};
"""

_Connection = TypeVar("_Connection", bound=sqlite3.Connection)


@contextmanager
def opened_records(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the records for as long as the block runs; the file is made where there is none.

    A file that is damaged is moved to ``<name>.damaged-<Unix seconds>``, beside its own log, and
    an empty one takes its place: ``set_aside`` lists those, so that somebody can say so.

    Raises:
        StoreError: the operating system or SQLite refused, or a later release made the file.
    """
    with _said(path):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        db = _open(path)
    with closing(db), _said(path):
        try:
            yield db
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                _sound.clear()  # Whoever opens it next looks at all of it.
            raise


def in_memory(kind: type[_Connection]) -> _Connection:
    """Return records that nobody keeps, for the simulator; ``kind`` is a connection of its own."""
    db = kind(":memory:", isolation_level=None)
    db.executescript(_TABLES)
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do all of a block or nothing of it; nobody else writes meanwhile.

    Inside another it is a part of that one.
    """
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def set_aside(path: Path) -> list[Path]:
    """Return the damaged files that were moved out of the way, oldest first."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(one for one in found if not one.name.endswith(("-wal", "-shm")))


@contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: the records refuse: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    """Open under a lock on the directory: two who find damage must not move a whole file away."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        try:
            return _shaped(path)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        _move_away(path)
        return _shaped(path)
    finally:
        os.close(directory)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # An error of the module's own, such as one of wrong use, has no code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _shaped(path: Path) -> sqlite3.Connection:
    _make(path)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        _shape(db, path)
        _check(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _make(path: Path) -> None:
    """Make an empty file where there is none. Raises ``OSError`` for one that cannot be used.

    A file that is there is looked at, never opened: closing a descriptor of it would take the
    locks of every other connection of this process (fcntl_locking(2)), and another process would
    then throw their log away as one that nobody uses (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        # SQLite gives the mode of this file to its -wal and -shm.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path)) from None
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None


def _shape(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(f"{path}: records of version {version}, expected at most {VERSION}")
    if version < VERSION:
        changes = [sql for made, sql in _CHANGES.items() if 0 < version < made]
        db.executescript("\n".join(["BEGIN IMMEDIATE;", *changes, _TABLES, "COMMIT;"]))


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Look at all of a file once in the life of a process: that costs with its size.

    No end of a program can damage it, only a disk or somebody else's hands.
    """
    found = path.stat()
    file = (found.st_dev, found.st_ino)
    if file in _sound:
        return
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        damage = sqlite3.DatabaseError(verdict)
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
    _sound.add(file)


def _move_away(path: Path) -> None:
    aside = f"{path}.damaged-{int(time.time())}"
    for ending in _BESIDE:
        if os.path.lexists(f"{path}{ending}"):
            os.replace(f"{path}{ending}", f"{aside}{ending}")
