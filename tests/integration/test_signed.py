"""Whatever a person does to a cell stands in its journal under their name."""

from __future__ import annotations

import http.client
import os
import pwd
import socket
from pathlib import Path

import pytest

from integration.pit import Pit
from integration.typing_it import Typist
from integration.website import website
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.formats.names import ACTOR
from ordinary_user import ORDINARY_UID

ADA = "Ada Lovelace"


def signed(cell: CellPaths) -> list[tuple[str, object]]:
    """Return each line of the journal that a person's command has written, and by whom."""
    found = [line.event for line in read_events(cell.events) if line.event is not None]
    return [
        (one.event + (f":{one.data['order']}" if "order" in one.data else ""), one.data.get("by"))
        for one in found
        if one.seq is None
    ]


def test_every_command_says_who(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pit = Pit(tmp_path)  # No daemon is up: what stands there is what commands have written.
    lazarus = Typist(pit.root)
    monkeypatch.setenv(ACTOR, ADA)
    uuid = lazarus("cell", "create", "--mission", "all of it", "--name", "pond").out.strip()
    cell = PitPaths(pit.root).cell(uuid)
    guest, nobody = (
        lazarus("invite", "pond", name, "--human").out.strip() for name in ("eve", "bob")
    )
    (open_,) = (
        one["id"] for one in lazarus("invitations", "--json").json() if one["name"] == "bob"
    )
    away = str(tmp_path / "away.tar.gz")
    for words in (
        ("spawn", "pond", "scribe", "--no-wait", "--", "sleep", "600"),
        ("stop", "pond/scribe", "--no-wait"),
        ("start", "pond/scribe", "--no-wait"),
        ("revive", "pond/scribe", "--no-wait"),
        ("join", guest),
        ("leave", "pond", "--as", "eve"),
        ("invitations", "--revoke", open_),
        ("kick", "pond/scribe", "--no-wait"),
        ("freeze", "pond", "--no-wait"),
        ("thaw", "pond", "--no-wait"),
        ("cell", "set", "pond", "mission=less of it"),
        ("checkpoint", "pond"),
        ("restore", "pond"),
        ("undo", "pond"),
        ("fork", "pond", "--name", "pool"),
        ("cell", "export", "pond", away),
        ("cell", "import", away, "--name", "sea"),
        ("cell", "archive", "pond"),
    ):
        said = lazarus(*words)
        assert said.code == 0, (words, said)
    assert nobody
    assert [name for name, by in signed(cell) if by != ADA] == []
    assert {name for name, _ in signed(cell)} == {
        "cell_created", "cell_frozen", "cell_thawed", "cell_archived", "settings_changed",
        "agent_invited", "invitation_revoked", "agent_joined", "agent_left", "agent_ordered:stop",
        "agent_ordered:start", "agent_ordered:revive", "checkpoint_taken", "cell_restored",
        "cell_undone", "cell_exported",
    }  # fmt: skip
    for other, event in (("pool", "cell_forked"), ("sea", "cell_imported")):
        path = Path(lazarus("cell", "path", other).out.strip())
        made = signed(CellPaths(pit.root, path.name))
        assert (event, ADA) in made
        assert [name for name, by in made if by != ADA] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_the_kernel_says_who_is_on_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pit = Pit(tmp_path)
    cell = pit.cell(name="pond")
    paths = PitPaths(pit.root)
    with website(pit) as site:
        monkeypatch.chdir(paths.private)
        paths.private.chmod(0o711)  # Its mode alone keeps others out already.
        with pytest.raises(PermissionError):
            _connected(paths.web_socket.name, ORDINARY_UID)
        os.chown(paths.web_socket, ORDINARY_UID, -1)
        line = http.client.HTTPConnection("pit")
        line.sock = _connected(paths.web_socket.name, ORDINARY_UID)
        line.request("POST", f"/api/v1/cells/{cell.uuid}/freeze")
        assert line.getresponse().status == 202
        line.close()
        with site.by_socket() as client:
            assert client.post(f"/api/v1/cells/{cell.uuid}/thaw").status_code == 202
            operations = client.get("/api/v1/operations").json()["operations"]
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert signed(cell)[-2:] == [("cell_frozen", f"uid {ORDINARY_UID}"), ("cell_thawed", me)]
    assert [one["by"] for one in operations] == [f"uid {ORDINARY_UID}", me]


def _connected(name: str, uid: int) -> socket.socket:
    """Connect as another user."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.seteuid(uid)
    try:
        line.connect(name)
    except OSError:
        line.close()
        raise
    finally:
        os.seteuid(0)
    return line
