"""Deaths and recoveries of real agents become issues of a forge (contract section 5)."""

from __future__ import annotations

from pathlib import Path

from forge import REPO, TOKEN, serving
from integration.pools import FarPool


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
