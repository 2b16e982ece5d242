"""Kill -9 at every step of a destruction: whole, or known to be ending; nothing else is touched."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from integration.saving import save, verify
from lazarus_pit.cells import graves, provision, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.model import CellStatus
from lazarus_pit.formats.manifest import Manifest

STEPS = ("os.link", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.utime")
"""What the interpreter announces before it asks the kernel: the points at which we die."""


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do it in a child that kills itself before its n-th step; ``False``: it came to its end."""
    child = os.fork()
    if child == 0:
        left = step

        def announced(event: str, _args: object) -> None:
            nonlocal left
            if event in STEPS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            sys.addaudithook(announced)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def a_cell(root: Path, home: Path, saved: Path | None = None) -> CellPaths:
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    paths = provision.create_cell(root, wanted, provision.agent_owner())
    (paths.workspace / "deep" / "er").mkdir(parents=True)
    (paths.workspace / "deep" / "er" / "notes").write_text("limpets: 12")
    (paths.workspace / "out").symlink_to(home)
    provision.move_cell(paths, CellStatus.ARCHIVED)
    if saved is not None:
        shutil.copy(saved, paths.checkpoints)
    return paths


def test_a_destruction_killed_at_any_step(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dear").write_text("dear")
    root = tmp_path / "missions"
    bystander = a_cell(root, home)
    saved = Path(save(bystander.cell).archive)
    name = saved.name.removesuffix(".tar.gz")
    step, dead = 0, True
    while dead:
        step += 1
        paths = a_cell(root, home, saved)

        def destroy(paths: CellPaths = paths) -> None:
            graves.bury(paths, name, 1000)
            provision.destroy_cell(paths)

        dead = killed_at(step, destroy)
        grave = PitPaths(root).graveyard / f"{paths.uuid}-{name}.tar.gz"
        if paths.cell.exists():
            status = store.read_manifest(paths).status
            whole = (paths.workspace / "deep" / "er" / "notes").exists()
            assert whole or status is CellStatus.DESTROYED, "half a cell that says it is whole"
            assert grave.exists() or status is CellStatus.ARCHIVED, "its last word is lost"
            destroy()
        verify(grave)
        assert not paths.cell.exists()
    assert step > 20, "too few steps: are they still announced?"
    assert (home / "dear").read_text() == "dear"
    assert (bystander.workspace / "deep" / "er" / "notes").read_text() == "limpets: 12"
    assert {path.name for path in root.iterdir()} == {".lazarus-pit", bystander.uuid}
    provision.tidy(root, older_than=0.0)
    assert list(PitPaths(root).nursery.iterdir()) == []
    assert {path.suffix for path in PitPaths(root).graveyard.iterdir()} == {".gz"}
