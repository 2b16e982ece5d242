"""`lazarus cell create --from-proposal NUMBER`: the page is fetched from the forge."""

from __future__ import annotations

from pathlib import Path

from forge import REPO, TOKEN, serving
from integration.typing_it import Typist
from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths

PROPOSAL = Path(__file__).parents[2] / "examples" / "mission-proposal.md"


def test_an_issue_becomes_a_cell_by_its_number(tmp_path: Path) -> None:
    root, config = tmp_path / "missions", tmp_path / "pit.toml"
    with serving() as forge:
        config.write_text(
            f'[cells]\nroot = "{root}"\n'
            f'[gitea]\nurl = "{forge.url}"\nrepo = "{REPO}"\ntoken = "{TOKEN}"\n'
        )
        lazarus = Typist(root, config)
        page = PROPOSAL.read_text()
        number = forge.open("[MISSION] Pond", page.replace("\n", "\r\n"))
        wrong = forge.open(
            "[MISSION] Pool", page.replace("indexer — developer", "indexer — wizard")
        )
        made = lazarus("cell", "create", "--from-proposal", f"{number}")
        manifest = store.read_manifest(CellPaths(root, made.out.strip()))
        assert (manifest.mission, manifest.name) == ("Pond", "pond")
        assert (manifest.gitea_issue, manifest.repo) == (number, REPO)
        said = lazarus.fails(1, "cell", "create", "--from-proposal", f"#{wrong}")
        assert f"issue {wrong}: Agents Invited, line 20:" in said
        assert "has no issue 99" in lazarus.fails(2, "cell", "create", "--from-proposal", "99")
    assert "GET" in lazarus.fails(75, "cell", "create", "--from-proposal", "1")
    bare = Typist(root)
    assert "[gitea] url" in bare.fails(2, "cell", "create", "--from-proposal", "1")
