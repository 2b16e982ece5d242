"""Deaths and recoveries of real agents become issues of a forge (contract section 5)."""

from __future__ import annotations

from pathlib import Path

from forge import REPO, TOKEN, serving
from integration.pit import ASKING, Pit
from integration.pools import FarPool

PROPOSAL = Path(__file__).parents[2] / "examples" / "mission-proposal.md"


def test_5_1_the_pool_opens_and_closes_an_issue(tmp_path: Path) -> None:
    with serving() as forge, FarPool(tmp_path) as pool:
        pool.settings["gitea"] = {"url": forge.url, "repo": REPO, "token": TOKEN}
        pool.add("timmy", "auto")
        forge.trouble = lambda *_: 503  # Down at the death, and when the pool is killed.
        pool.start()
        forge.until(lambda: bool(forge.asked))
        pool.wait(lambda: "gateway_recovered" in pool.told(), "it is revived")
        pool.kill9()
        forge.trouble = lambda *_: None
        pool.start()
        forge.until(lambda: [one["state"] for one in forge.issues] == ["closed"])
        (issue,) = forge.issues
        assert issue["title"].startswith("[pool] timmy: agent dead (")
        assert [one["name"] for one in issue["labels"]] == ["resurrection-pool"]
        for line in ("- Agent: `timmy`", "- Mission: `m`", "- Probe `tcp`: `failed"):
            assert line in issue["body"]
        (said,) = forge.texts(1)
        assert "the pool revived it" in said


def test_5_1_a_pool_that_looks_only_once_tells_too_and_5_3_says_where_it_cannot(
    tmp_path: Path,
) -> None:
    with serving() as forge, FarPool(tmp_path) as pool:
        pool.settings["gitea"] = {"url": forge.url, "repo": REPO}
        pool.add("timmy", "never")
        said = pool.run("--once").stderr
        assert said.count("[gitea] token is missing") == 1
        pool.settings["gitea"]["token"] = TOKEN
        pool.once_until(lambda: forge.issues)
        assert forge.issues[0]["title"].startswith("[pool] timmy: agent dead (")
        assert any("`policy_never`" in text for text in forge.texts(1))


def test_5_3_a_daemon_without_a_token_says_so_once(tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    with pit.config.open("a") as file:
        file.write('[gitea]\nurl = "https://forge.example.org"\nrepo = "a/b"\n')
    try:
        pit.start()
        assert pit.log.read_text().count("[gitea] token is missing") == 1
    finally:
        pit.close()


def test_4_3_a_gateway_is_asked_about_and_revived_in_its_issue(tmp_path: Path) -> None:
    with serving() as forge, FarPool(tmp_path) as pool:
        pool.settings["gitea"] = {
            "url": forge.url,
            "repo": REPO,
            "token": TOKEN,
            "approvers": ["ada"],
            "poll_interval": 0.1,
        }
        pool.add("tim\n@all `my`", "ask")
        pool.start()
        forge.until(lambda: any("Answer within" in one for one in forge.all_texts()))
        forge.comment(1, "+1", by="ada")
        forge.until(lambda: forge.issues[0]["state"] == "closed", 60)
        assert len(pool.lives()) == 1
        assert forge.issues[0]["title"].startswith("[pool] tim\\u000a@all `my`: agent dead (")


def test_5_1_an_agent_of_a_cell_is_asked_about_and_revived_in_its_issue(tmp_path: Path) -> None:
    with serving() as forge:
        pit = Pit(tmp_path, **ASKING)
        with pit.config.open("a") as file:
            file.write(
                f'[gitea]\nurl = "{forge.url}"\nrepo = "{REPO}"\ntoken = "{TOKEN}"\n'
                'approvers = ["ada"]\npoll_interval = 0.1\nprovision_approved = true\n'
            )
        try:
            pit.start()
            cell = pit.cell(name="pond")
            once = "lazarus beat; [ -e died ] || { touch died; exit 3; }; "
            again = "while :; do lazarus beat; sleep 0.2; done"
            pit.spawn(cell, "scribe", "/bin/sh", "-c", once + again)
            forge.until(lambda: any("Answer within" in one for one in forge.all_texts()), 60)
            assert forge.issues[0]["title"] == "[pool] scribe: agent dead (0s)"
            for line in (f"- Cell: `pond ({cell.uuid})`", "- Mission: `test`", "- Exit: `exit 3`"):
                assert line in forge.issues[0]["body"]
            pit.kill9()
            forge.comment(1, "revive scribe", by="ada")
            pit.start()
            pit.wait_event(cell, "approval_granted", "scribe", by="ada", via="gitea")
            forge.until(lambda: forge.issues[0]["state"] == "closed", 60)
            assert sum("Answer within" in text for text in forge.texts(1)) == 1
            assert "with leave of `ada` (`gitea`)" in forge.texts(1)[-1]
            page = PROPOSAL.read_text()
            number = forge.open("[MISSION] Pool", page, [forge.label("mission-approved")])
            forge.until(lambda: len(forge.texts(number)) == 1, 60)
            (made,) = (one for one in pit.cells() if one.uuid != cell.uuid)
            assert f"`{made.uuid}`, named `pool`" in forge.texts(number)[0]
        finally:
            pit.close()
