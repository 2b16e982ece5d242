"""What ``isolation`` opens, tried inside the walls; and what it can never open."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import Pit
from integration.typing_it import Said, Typist, process
from launching import AGENT_UID
from lazarus_pit.cells.layout import CellPaths

CONTENT = "hunter2 in a file"


class Host:
    """A root without a daemon, and things of the host beside it."""

    def __init__(self, base: Path) -> None:
        base.chmod(0o755)
        self.base = base
        self.root = base / "missions"
        self.home = base / "home"
        self.home.mkdir()
        self.type = Typist(self.root)
        self.type("cell", "create", "--name", "pond", "--mission", "Open what is named")

    @property
    def cell(self) -> CellPaths:
        entry = next(path for path in self.root.glob("*/cell.json"))
        return CellPaths(self.root, entry.parent.name)

    def directory(self, name: str) -> Path:
        """A directory of the agents' own user, so that only walls keep it out."""
        path = self.base / name
        path.mkdir()
        (path / "file").write_text(f"{name}\n")
        if os.geteuid() == 0:
            os.chown(path, AGENT_UID, AGENT_UID)
        return path

    def secret(self, mode: int = 0o600) -> Path:
        path = self.base / "key"
        path.write_text(CONTENT)
        path.chmod(mode)
        return path

    def spawn(self, *flags: str) -> Said:
        return self.type("spawn", "pond", "ann", *flags, "--no-wait", "--", "sleep", "60")

    def inside(self, command: str, **environ: str) -> Said:
        """Run a command within the walls of ``ann``."""
        env = {**os.environ, "HOME": str(self.home), **environ}
        return process("shell", "--root", str(self.root), "pond", "ann", "-c", command, env=env)

    def write(self, **isolation: Any) -> None:
        """Write the member's entry by hand, as people do."""
        text = self.cell.manifest.read_text()
        words = text.replace(
            '"name": "ann",', f'"name": "ann", "isolation": {json.dumps(isolation)},'
        )
        self.cell.manifest.write_text(words)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_nothing_is_there_unless_it_is_named(host: Host) -> None:
    outside = host.directory("outside")
    host.spawn()
    said = host.inside(f"ls {outside}; ls $LAZARUS_CREDENTIALS/ /mission/.credentials")
    assert said.code != 0
    assert "file" not in said.out.split()


def test_a_path_to_read_can_be_read_and_not_written(host: Host) -> None:
    outside = host.directory("outside")
    host.spawn("--ro", str(outside))
    said = host.inside(f"cat {outside}/file; echo x > {outside}/file || echo refused")
    assert said.out.split() == ["outside", "refused"]
    assert (outside / "file").read_text() == "outside\n"


def test_a_path_to_write_can_be_written_and_people_are_warned(host: Host) -> None:
    outside = host.directory("outside")
    said = host.spawn("--rw", str(outside))
    assert f"WARNING: ann can write outside its cell: {outside}" in said.err
    assert host.inside(f"echo made > {outside}/new").code == 0
    assert (outside / "new").read_text() == "made\n"
    assert f"WIDER THAN ITS CELL: pond/ann writes {outside}" in host.type("status").out
    assert f"ann WRITES OUTSIDE: {outside}" in host.type("cell", "show", "pond").out
    agent = host.type("cell", "show", "pond", "--json").json()["agents"][0]
    assert agent["isolation"] == {"rw": [str(outside)]}


def test_pieces_of_the_home_appear_in_the_agents_own(host: Host) -> None:
    (host.home / "dotfiles").mkdir()
    (host.home / "dotfiles" / "gitconfig").write_text("[user] name = ann\n")
    (host.home / ".gitconfig").symlink_to("dotfiles/gitconfig")
    (host.home / ".ssh").mkdir()
    (host.home / ".ssh" / "id").write_text(CONTENT)
    host.spawn("--home-ro", "~/.gitconfig")
    said = host.inside("cat ~/.gitconfig; echo x > ~/.gitconfig || echo refused; ls -A ~")
    assert said.out.splitlines() == ["[user] name = ann", "refused", ".gitconfig"]


def test_a_link_in_the_agents_home_leads_nowhere(host: Host) -> None:
    (host.home / ".config").mkdir()
    (host.home / ".config" / "git").write_text("x")
    trap = host.directory("trap")
    host.spawn("--home-ro", "~/.config/git")
    (host.cell.home("ann") / ".config").symlink_to(trap)
    said = host.inside("true")
    assert said.code == 75
    assert "home_ro ~/.config/git: in the agent's home .config is a link" in said.err
    assert sorted(os.listdir(trap)) == ["file"]


def test_a_variable_is_passed_on_by_its_name_alone(host: Host) -> None:
    host.spawn("--env-from", "PIT_KEY")
    assert host.inside("echo $PIT_KEY", PIT_KEY="from outside").out == "from outside\n"
    said = host.inside("true")
    assert said.code == 75
    assert "the daemon's environment has no PIT_KEY" in said.err
    assert "from outside" not in host.cell.manifest.read_text()
    explained = process("sandbox", "explain", "ann", "--root", str(host.root))
    assert "PIT_KEY='(of-the-daemon)'" in explained.out


def test_a_credential_is_read_inside_and_never_kept(host: Host) -> None:
    host.spawn("--credential", f"api={host.secret()}")
    place = "/mission/.credentials"
    said = host.inside(
        f"cat {place}/api; echo; stat -c %a {place}/api; "
        f"chmod u+w {place}/api || echo kept; echo x > {place}/other || echo closed; env"
    )
    assert said.out.splitlines()[:4] == [CONTENT, "400", "kept", "closed"]
    assert f"LAZARUS_CREDENTIALS={place}" in said.out
    assert CONTENT not in said.out.partition("\n")[2]
    kept = [path for path in host.cell.cell.rglob("*") if path.is_file()]
    assert not [path for path in kept if CONTENT in path.read_text(errors="replace")]
    (host.base / "key").write_text("rotated")
    assert host.inside(f"cat {place}/api").out == "rotated"


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_credential_that_others_can_get_at_is_refused(host: Host, mode: int) -> None:
    host.spawn("--credential", f"api={host.secret(mode)}")
    said = host.inside("true")
    assert said.code == 75
    assert f"found mode {mode:04o}, expected a file that others can neither read" in said.err


@pytest.mark.parametrize("kind", ["link", "fifo", "large"])
def test_a_credential_is_a_small_plain_file(host: Host, kind: str) -> None:
    host.spawn("--credential", f"api={host.secret()}")
    key = host.base / "key"
    key.unlink()
    if kind == "link":
        (host.base / "real").write_text(CONTENT)
        key.symlink_to(host.base / "real")
    elif kind == "fifo":
        os.mkfifo(key, 0o600)
    else:
        key.write_bytes(b"x" * 65_537)
        key.chmod(0o600)
    said = host.inside("true")
    assert said.code == 75
    words = {"link": "reached through a link", "fifo": "plain file", "large": "larger than 65536"}
    assert words[kind] in said.err


def test_the_pits_own_is_never_opened(host: Host) -> None:
    host.spawn()
    own = [host.base, host.cell.logs]
    for path in own:
        host.write(ro=[str(path)])
        said = host.inside("true")
        assert said.code == 75, path
        assert "meets the pit's own" in said.err
        host.cell.manifest.write_text(
            host.cell.manifest.read_text().replace(
                f'"isolation": {json.dumps({"ro": [str(path)]})},', ""
            )
        )
    host.write(credentials={"state": str(host.cell.manifest)})
    assert "meets the pit's own" in host.inside("true").err


def test_nothing_is_opened_below_what_the_agent_can_write(host: Host) -> None:
    outside = host.directory("outside")
    (outside / "below").mkdir()
    host.spawn()
    host.write(rw=[str(outside)], ro=[str(outside / "below")])
    assert f"lies below {outside}, where the agent can put anything" in host.inside("true").err


def test_a_path_that_became_a_link_is_not_followed(host: Host) -> None:
    outside = host.directory("outside")
    other = host.directory("other")
    host.spawn("--ro", str(outside))
    outside.rename(host.base / "moved")
    outside.symlink_to(other)
    said = host.inside("true")
    assert said.code == 75
    assert f"is reached through a link: name {other} itself" in said.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--ro", "/nowhere/at/all"), "--ro: /nowhere/at/all: there is no such file"),
        (("--rw", "/proc"), "--rw: "),
        (("--home-ro", "/etc/passwd"), "--home-ro: "),
        (("--env-from", "A=B"), "--env-from: "),
        (("--credential", "api"), "--credential: found 'api', expected NAME=FILE"),
        (("--credential", "a/b=/etc/passwd"), "--credential: "),
        (("--credential", "api=/etc"), "expected a file"),
    ],
)
def test_a_flag_that_cannot_be_is_refused(host: Host, flags: tuple[str, ...], said: str) -> None:
    assert said in host.type.fails(2, "spawn", "pond", "ann", *flags, "--", "true")


def test_the_configuration_opens_for_everybody_but_never_for_writing(host: Host) -> None:
    outside = host.directory("outside")
    config = host.base / "pit.toml"
    config.write_text(f'[cells]\nroot = "{host.root}"\n[isolation]\nro = ["{outside}"]\n')
    host.spawn()
    words = ("shell", "--config", str(config), "pond", "ann", "-c", f"cat {outside}/file")
    assert process(*words).out == "outside\n"
    config.write_text('[isolation]\nrw = ["/srv"]\n')
    assert "no such key" in process(*words).err
    config.write_text('[isolation]\nro = ["srv"]\n')
    assert "line 2: [isolation] ro: found" in process(*words).err


# ---------------------------------------------------------------- with a daemon


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    tmp_path.chmod(0o755)
    pit = Pit(tmp_path, liveness="process")
    yield pit
    pit.close()


def test_the_daemon_opens_tells_and_says_why_not(
    pit: Pit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIT_KEY", "of the daemon")
    outside = tmp_path / "outside"
    outside.mkdir()
    if os.geteuid() == 0:
        os.chown(outside, AGENT_UID, AGENT_UID)
    cell = pit.cell()
    opened = {"rw": [str(outside)], "env": ["PIT_KEY"]}
    pit.spawn(cell, "ann", "sh", "-c", f"echo $PIT_KEY > {outside}/new; sleep 60", isolation=opened)
    pit.spawn(cell, "bob", "sleep", "60", isolation={"ro": [str(pit.root)]})
    pit.start()
    assert pit.wait_event(cell, "isolation_widened", "ann").data["rw"] == [str(outside)]
    pit.wait((outside / "new").exists, "the file outside")
    pit.wait(lambda: (outside / "new").read_text() == "of the daemon\n", "the variable")
    failed = pit.wait_event(cell, "agent_start_failed", "bob")
    assert "meets the pit's own" in failed.data["why"]
    assert not pit.events(cell, "isolation_widened", "bob")
