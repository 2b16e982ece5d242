"""A cell moves to another root: all of it arrives, nothing of it reaches beyond."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from integration.typing_it import Typist
from lazarus_pit.cells import provision, store
from lazarus_pit.cells.checkpoint.index import encode
from lazarus_pit.cells.checkpoint.index import read as read_index
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.model import CellStatus, Desired, Role
from lazarus_pit.formats.envelope import MailName
from lazarus_pit.formats.manifest import Kind, Manifest, Member, Network
from unit.cells.checkpoint.test_hostile_archives import info, make

MAIL = MailName(1, 1, 0, "ada", "mail-0001").file()
LATER = MailName(2, 1, 0, "ada", "mail-0002").file()


def a_cell(root: Path) -> CellPaths:
    people = (
        Member(name="ada", role=Role.COORDINATOR, kind=Kind.HUMAN),
        Member(
            name="ben",
            role=Role.DEVELOPER,
            command=("/bin/true",),
            network=Network.HOST,
            isolation={"rw": ["/srv/shared"]},
        ),
    )
    wanted = Manifest(
        uuid=provision.new_uuid(),
        status=CellStatus.ACTIVE,
        name="pond",
        mission="Count the limpets",
        agents=people,
    )
    return provision.create_cell(root, wanted, provision.agent_owner())


def events(cell: CellPaths) -> list[str]:
    return [line.event.event for line in read_events(cell.events) if line.event]


@pytest.fixture
def here(tmp_path: Path) -> Typist:
    return Typist(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Typist:
    return Typist(tmp_path / "there")


def test_all_of_a_cell_arrives_and_nobody_is_started(
    here: Typist, there: Typist, tmp_path: Path
) -> None:
    cell = a_cell(here.root)
    (cell.workspace / "notes").write_text("limpets: 12")
    (cell.workspace / "sub").mkdir()
    (cell.workspace / "sub" / "link").symlink_to("../notes")
    (cell.home("ben") / "session").write_text("remembered")
    (cell.inbox("ben") / MAIL).write_text('{"id": "mail-0001"}')
    (cell.outbox("ben") / "1.json").write_text("{}")
    file = tmp_path / "pond.tar.gz"
    assert here("cell", "export", "pond", str(file)).code == 0
    assert "there already" in here.fails(2, "cell", "export", "pond", str(file))
    with tarfile.open(file) as archive:
        assert archive.getmember("logs/events.jsonl").isfile()
    done = there("cell", "import", str(file))
    assert done.code == 0, done.err
    assert done.out.strip() == cell.uuid
    assert "ben: closed: rw, network host" in done.err
    made = CellPaths(there.root, cell.uuid)
    assert (made.workspace / "sub" / "link").read_text() == "limpets: 12"
    assert (made.home("ben") / "session").read_text() == "remembered"
    assert (made.inbox("ben") / MAIL).read_text() == '{"id": "mail-0001"}'
    assert (made.outbox("ben") / "1.json").exists()
    assert made.inbox("ben").stat().st_uid == os.geteuid()
    assert made.workspace.stat().st_uid == provision.agent_owner().uid
    assert (made.workspace / "notes").stat().st_uid == provision.agent_owner().uid
    found = store.read_manifest(made)
    assert (found.name, found.status) == ("pond", CellStatus.ACTIVE)
    assert [m.desired for m in found.agents] == [Desired.STOP] * 2
    ben = found.member("ben")
    assert ben is not None
    assert (ben.command, ben.isolation, ben.network) == (("/bin/true",), {}, Network.NONE)
    assert events(made) == [*events(cell)[:-1], "cell_imported"]
    assert list(PitPaths(there.root).nursery.iterdir()) == []
    again = there("cell", "import", str(file), "--keep-isolation", "--json").json()
    assert again["uuid"] != cell.uuid == again["from"]
    twin = store.read_manifest(CellPaths(there.root, again["uuid"]))
    assert twin.name is None
    assert twin.member("ben") == replace(
        ben, isolation={"rw": ["/srv/shared"]}, network=Network.HOST, found=twin.agents[1].found
    )


def test_the_last_checkpoint_of_a_destroyed_cell_brings_it_back(here: Typist) -> None:
    cell = a_cell(here.root)
    (cell.workspace / "notes").write_text("limpets: 12")
    assert here("cell", "archive", "pond").code == 0
    said = here("cell", "destroy", "pond").out
    grave = Path(said.strip().rpartition(": ")[2])
    assert grave.parent == PitPaths(here.root).graveyard
    assert grave.stat().st_mode & 0o777 == 0o600
    assert not cell.cell.exists()
    assert here("cell", "import", str(grave)).out.strip() == cell.uuid
    assert (cell.workspace / "notes").read_text() == "limpets: 12"


def test_only_the_newest_graves_stay(here: Typist, tmp_path: Path) -> None:
    config = tmp_path / "pit.toml"
    config.write_text("[cells]\ngraves_kept = 1\n")
    graves = []
    for _ in range(2):
        a_cell(here.root)
        for verb in ("archive", "destroy"):
            done = here("cell", verb, "pond", "--config", str(config))
            assert done.code == 0, done.err
        graves.append(Path(done.out.strip().rpartition(": ")[2]))
    assert [grave.exists() for grave in graves] == [False, True]
    config.write_text("[cells]\ngraves_kept = 0\n")
    a_cell(here.root)
    here("cell", "archive", "pond")
    assert "nothing of it is kept" in here("cell", "destroy", "pond", "--config", str(config)).out


MANIFEST = {
    "uuid": provision.new_uuid(),
    "status": "active",
    "agents": [{"name": "ben", "role": "developer", "command": ["/bin/true"]}],
}
SAID = (info("cell.json"), json.dumps(MANIFEST).encode())


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([SAID, (info("workspace/../../escaped"), b"x")], "escaped"),
        ([SAID, (info("workspace/root", mode=0o4755), b"x")], "workspace/root"),
        ([SAID, info("workspace", tarfile.SYMTYPE, 0o777, "/etc")], "workspace"),
        ([SAID, info(".lazarus/home/ben", tarfile.SYMTYPE, 0o777, "/etc")], "ben"),
        ([SAID, info("bus", tarfile.SYMTYPE, 0o777, "/etc")], "bus: found a file or a link"),
        ([SAID, (info("bus"), b"x")], "bus: found a file or a link"),
        ([SAID, (info(f"workspace/{'n' * 300}/f"), b"x")], "a name of more than 255 bytes"),
        ([SAID, info("workspace/l", tarfile.SYMTYPE, 0o777, "/" * 5000)], "leads further than"),
        ([SAID, (info("workspace/" + "d/" * 3000 + "f"), b"x")], "deeper than 256"),
        ([(info("workspace/a"), b"x")], "cell.json"),
        ([info("cell.json", tarfile.SYMTYPE, 0o777, "/etc/passwd")], "cell.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_archive_is_refused_whole(
    there: Typist, tmp_path: Path, members: list[object], named: str
) -> None:
    file = make(tmp_path / "evil.tar.gz", members)  # type: ignore[arg-type]
    done = there("cell", "import", str(file))
    assert done.code == 1
    assert named in done.err
    assert "Traceback" not in done.err
    nursery = PitPaths(there.root).nursery
    assert [path.name for path in there.root.iterdir()] == [".lazarus-pit"]
    assert list(nursery.iterdir()) == []


def test_what_lies_where_the_daemon_writes_is_written_anew(there: Typist, tmp_path: Path) -> None:
    members = [
        SAID,
        info("bus/inbox/ben", tarfile.DIRTYPE, 0o777),
        info("bus/inbox/ben/" + MAIL, tarfile.SYMTYPE, 0o777, "/etc/passwd"),
        (info("bus/inbox/ben/" + LATER), b"{}"),
        (info("bus/inbox/ben/no mail"), b"x"),
        info("bus/inbox/eve", tarfile.SYMTYPE, 0o777, "/etc"),
        (info(".lazarus/home/eve/x"), b"x"),
        (
            info("logs/events.jsonl"),
            b'{"ts": "2026-01-01T00:00:00Z", "event": "x", "seq": %d}\n{' % (1 << 70),
        ),
    ]
    file = make(tmp_path / "odd.tar.gz", members)  # type: ignore[arg-type]
    done = there("cell", "import", str(file))
    assert done.code == 0, done.err
    made = CellPaths(there.root, done.out.strip())
    assert os.listdir(made.inbox("ben")) == [LATER]
    assert made.inbox("ben").stat().st_mode & 0o777 == 0o755
    assert os.listdir(made.homes) == ["ben"]
    assert "eve" in done.err
    assert events(made) == ["x", "cell_imported"]
    assert [line.event.seq for line in read_events(made.events) if line.event] == [None, None]


def test_a_stranger_opens_nothing_and_takes_nobodys_name(there: Typist, tmp_path: Path) -> None:
    taken = there("cell", "create").out.strip()
    ben = {
        **MANIFEST["agents"][0],  # type: ignore[dict-item]
        "network": "allow",
        "allow": ["10.0.0.1:22"],
        "limits": {"memory_mb": 0},
    }
    rules = {"revive_policy": "auto"}
    for name in (taken[:8], "../up", "red\x1b[31m", ""):
        said = {**MANIFEST, "name": name, "agents": [ben], "rules": rules}
        found = (info("cell.json"), json.dumps({**said, "uuid": provision.new_uuid()}).encode())
        done = there("cell", "import", str(make(tmp_path / "evil.tar.gz", [found])))
        assert done.code == 0, done.err
        assert "\x1b" not in done.err
        assert "ben: closed: network allow 10.0.0.1:22" in done.err
        assert "hold, not this host's: the cell: revive_policy; ben: memory_mb" in done.err
        made = store.read_manifest(CellPaths(there.root, done.out.strip()))
        assert made.name is None
        assert (made.agents[0].network, made.agents[0].allow) == (Network.NONE, ())
    pit = {**MANIFEST, "agents": [{**ben, "name": "pit"}]}
    file = make(tmp_path / "pit.tar.gz", [(info("cell.json"), json.dumps(pit).encode())])
    assert "the daemon's own address" in there.fails(1, "cell", "import", str(file))


def test_an_index_beside_an_archive_from_elsewhere_is_nobodys(here: Typist, there: Typist) -> None:
    cell = a_cell(here.root)
    (cell.workspace / "notes").write_text("limpets: 12")
    assert here("checkpoint", "pond").code == 0
    (archive,) = cell.checkpoints.glob("*.tar.gz")
    index = archive.with_name(archive.name.removesuffix(".tar.gz") + ".idx")
    found = read_index(index)
    assert found is not None
    index.write_bytes(encode(found._replace(preface=[])))
    done = there("cell", "import", str(archive))
    assert done.code == 0, done.err


def test_no_archive_is_refused_without_waiting(there: Typist, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "regular" in there.fails(2, "cell", "import", str(tmp_path / "fifo"))
    assert "regular" in there.fails(2, "cell", "import", str(tmp_path / "none"))
    (tmp_path / "text").write_text("no archive")
    done = there("cell", "import", str(tmp_path / "text"))
    assert done.code == 1
    assert "text" in done.err
