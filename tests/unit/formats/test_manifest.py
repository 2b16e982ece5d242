"""cell.json: contract rows 1.1, 1.3, 1.4 and 1.5, and what each mistake is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lazarus_pit.core.model import CellStatus, Desired, Role, Rules
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import manifest
from lazarus_pit.formats.manifest import Kind, Member, Network

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"
OF_THE_CONTRACT: dict[str, Any] = {
    "uuid": UUID,
    "name": "laurel",
    "mission": "Write the guide",
    "created_at": "2026-04-06T00:00:00Z",
    "created_by": "alexander",
    "status": "active",
    "agents": [
        {
            "name": "timmy",
            "role": "developer",
            "joined_at": "2026-04-06T00:00:01Z",
            "home": "/home/timmy",
        },
        {
            "name": "ann",
            "role": "coordinator",
            "joined_at": "2026-04-06T00:00:02Z",
            "home": None,
            "kind": "human",
        },
    ],
    "gitea_issue": 879,
    "repo": "owner/name",
}


def parsed(**changes: Any) -> manifest.Manifest:
    return manifest.parse(json.dumps({**OF_THE_CONTRACT, **changes}).encode())


def member(**changes: Any) -> dict[str, Any]:
    return {"name": "timmy", "role": "developer", **changes}


def test_the_contracts_manifest_is_read_1_3() -> None:
    found = parsed()
    assert (found.uuid, found.name, found.mission) == (UUID, "laurel", "Write the guide")
    assert (found.status, found.gitea_issue, found.repo) == (CellStatus.ACTIVE, 879, "owner/name")
    timmy, ann = found.agents
    assert (timmy.role, timmy.home, timmy.kind) == (Role.DEVELOPER, "/home/timmy", Kind.AGENT)
    assert (timmy.desired, timmy.network, timmy.command) == (Desired.RUN, Network.NONE, ())
    assert (ann.role, ann.kind) == (Role.COORDINATOR, Kind.HUMAN)
    assert json.loads(manifest.encode(found)) == OF_THE_CONTRACT


def test_a_cell_needs_little_to_be_watched_over() -> None:
    found = manifest.parse(b'{"uuid": "%s", "status": "frozen"}' % UUID.encode())
    assert (found.agents, found.mission, found.name) == ((), "", None)


@pytest.mark.parametrize("status", ["active", "frozen", "archived", "destroyed"])
def test_every_status_of_the_contract_1_4(status: str) -> None:
    assert parsed(status=status).status == status


@pytest.mark.parametrize("role", ["developer", "reviewer", "observer", "coordinator"])
def test_every_role_of_the_contract_1_5(role: str) -> None:
    assert parsed(agents=[member(role=role)]).agents[0].role == role


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"uuid": UUID.replace("-4123-", "-1123-")}, "expected a lower-case version-4 UUID"),
    ({"uuid": UUID + "\n"}, "expected a lower-case version-4 UUID"),
    ({"uuid": UUID.upper()}, "expected a lower-case version-4 UUID"),
    ({"uuid": 7}, "uuid: found 7, expected a text"),
    ({"status": "running"}, 'status: found "running", expected one of active, frozen, archived'),
    ({"status": None}, "status: found null"),
    ({"created_at": "2026-04-06"}, "created_at: found"),
    ({"created_at": "2026-04-06T00:00:00+02:00"}, "expected a time like 2026-04-06T00:00:00Z"),
    ({"created_at": "2026-02-30T00:00:00Z"}, "created_at: found"),
    ({"gitea_issue": "879"}, 'gitea_issue: found "879", expected a number or null'),
    ({"gitea_issue": True}, "gitea_issue: found true"),
    ({"repo": "name"}, "expected owner/name or null"),
    ({"agents": {}}, "agents: found an object, expected a list of objects"),
    ({"agents": ["timmy"]}, 'agents[0]: found "timmy", expected an object'),
    ({"agents": [{"name": "timmy"}]}, "agents[0].role: missing, expected one of developer"),
    ({"agents": [member(), member()]}, "agents: timmy is named twice"),
    ({"agents": [member(name="..")]}, "agents[0].name: found '..'"),
    ({"agents": [member(name="a\n")]}, "agents[0].name: found"),
    ({"agents": [member(name="-rf")]}, "that begin with a letter or a digit"),
    ({"agents": [member(name="a/b")]}, "agents[0].name: found"),
    ({"agents": [member(name="a" * 65)]}, "agents[0].name: found"),
    ({"agents": [member(role="boss")]}, 'agents[0].role: found "boss"'),
    ({"agents": [member(joined_at="yesterday")]}, "agents[0].joined_at: found"),
    ({"agents": [member(command="sh")]}, 'agents[0].command: found "sh", expected a list'),
    ({"agents": [member(command=[""])]}, "the program's name is empty"),
    ({"agents": [member(command=["a\0b"])]}, "holds a zero byte"),
    ({"agents": [member(env={"A=B": "c"})]}, '"A=B" cannot be an environment variable'),
    ({"agents": [member(env={"A": 1})]}, "expected an object of texts"),
    ({"agents": [member(network="vpn")]}, "expected one of none, host, allow"),
    ({"agents": [member(network="allow", allow="a.org")]}, "agents[0].allow: found"),
    ({"agents": [member(network="allow", allow=["*"])]}, 'agents[0].allow: found "*", expected'),
    ({"agents": [member(network="allow", forward=["80"])]}, "forward: found a list, expected a"),
    ({"agents": [member(network="allow", forward=[0])]}, "forward: found 0, expected ports"),
    ({"agents": [member(network="allow", forward=[3128])]}, "the proxy's own port"),
    ({"agents": [member(allow=["a.org"])]}, "allow: without effect, expected network allow"),
    ({"agents": [member(network="host", forward=[80])]}, "forward: without effect"),
    ({"agents": [member(desired="freeze")]}, "expected run or stop; freeze the cell"),
    ({"agents": [member(request=-1)]}, "request: found -1"),
    ({"agents": [member(rules={"restart": 1})]}, "agents[0].rules.restart: found 1, expected one"),
    ({"rules": {"backoff_jitter": 2}}, "rules.backoff_jitter: found 2, expected at least 0 and"),
    ({"rules": {"no_restart_exit_codes": [256]}}, "a list of exit codes, 0 to 255"),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_named_with_what_was_expected(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(FormatError) as caught:
        parsed(**changes)
    assert said in str(caught.value)


def test_a_member_joins_is_changed_in_its_place_and_leaves() -> None:
    found = parsed()
    third = Member(name="zoe", role=Role.OBSERVER)
    joined = manifest.with_member(found, third)
    assert [m.name for m in joined.agents] == ["timmy", "ann", "zoe"]
    changed = manifest.with_member(joined, Member(name="ann", role=Role.OBSERVER))
    assert [(m.name, m.role) for m in changed.agents][1] == ("ann", Role.OBSERVER)
    left = manifest.without_member(changed, "timmy")
    assert [m.name for m in left.agents] == ["ann", "zoe"]


def test_an_agents_rules_win_over_the_cells_and_these_over_the_configurations() -> None:
    found = parsed(
        rules={"resurrect_after": 30, "stall_after": 7, "unheard_of": 1},
        agents=[member(rules={"resurrect_after": 10})],
    )
    rules = manifest.rules_of(found, found.agents[0], Rules(resurrect_after=99, kill_grace=1))
    assert (rules.resurrect_after, rules.stall_after, rules.kill_grace) == (10, 7, 1)


def test_an_environment_is_for_nobody_else() -> None:
    found = parsed(agents=[member(env={"TOKEN": "secret"})])
    assert b"secret" in manifest.encode(found)
    assert b"secret" not in manifest.encode(manifest.without_env(found))


def test_a_list_of_places_is_read_and_written_as_it_stands() -> None:
    allow, forward = ["api.anthropic.com", "*.githubusercontent.com", "github.com:22"], [11434]
    found = parsed(agents=[member(network="allow", allow=allow, forward=forward)])
    (timmy,) = found.agents
    assert timmy.network is Network.ALLOW
    assert (list(timmy.allow), list(timmy.forward)) == (allow, forward)
    assert manifest.parse(manifest.encode(found)).agents[0].allow == timmy.allow
