"""``isolation``: what may be opened, what each mistake is told, and how layers add up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import manifest
from lazarus_pit.formats.isolation import Openings, check_isolation, merged, words

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"
WHOLE: dict[str, Any] = {
    "ro": ["/srv/models"],
    "rw": ["/srv/exchange"],
    "home_ro": ["~/.gitconfig", "~/.config/git"],
    "env": ["API_KEY"],
    "credentials": {"api-key": "/etc/pit/key"},
}


def parsed(cell: object = None, member: object = None) -> manifest.Manifest:
    entry: dict[str, Any] = {"name": "ann", "role": "developer"}
    if member is not None:
        entry["isolation"] = member
    whole: dict[str, Any] = {"uuid": UUID, "status": "active", "agents": [entry]}
    if cell is not None:
        whole["isolation"] = cell
    return manifest.parse(json.dumps(whole).encode())


def test_everything_is_read_and_written_back() -> None:
    found = parsed(cell=WHOLE, member=WHOLE)
    assert json.loads(manifest.encode(found))["isolation"] == WHOLE
    assert json.loads(manifest.encode(found))["agents"][0]["isolation"] == WHOLE
    assert words(check_isolation(WHOLE))["credentials"] == ["api-key=/etc/pit/key"]


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("ro", ["srv/models"], "isolation.ro: found 'srv/models', expected an absolute path"),
        ("ro", ["/"], "expected an absolute path"),
        ("ro", ["/srv/../etc"], "shortest form"),
        ("ro", ["//srv"], "shortest form"),
        ("ro", ["/srv/"], "shortest form"),
        ("ro", "/srv", "expected a list of texts"),
        ("ro", ["/srv\0"], "zero byte"),
        ("ro", [f"/srv/{n}" for n in range(101)], "100 at most"),
        ("rw", ["/proc/1"], "an agent has /proc of its own"),
        ("rw", ["/etc"], "an agent has /etc of its own"),
        ("rw", ["/mission/home"], "an agent has /mission of its own"),
        ("rw", ["/dev/kvm"], "an agent has /dev of its own"),
        ("home_ro", ["/home/ann/.gitconfig"], "expected ~/NAME"),
        ("home_ro", ["~/"], "expected ~/NAME"),
        ("home_ro", ["~/../ann/.ssh"], "expected ~/NAME"),
        ("home_ro", ["~//etc/shadow"], "expected ~/NAME"),
        ("home_ro", ["~bob/.gitconfig"], "expected ~/NAME"),
        ("env", ["API_KEY=hunter2"], "the name of a variable, no value"),
        ("env", ["LAZARUS_AGENT"], "the pit itself sets"),
        ("env", ["HOME"], "the pit itself sets"),
        ("credentials", {"../key": "/etc/key"}, "found the name '../key'"),
        ("credentials", {".": "/etc/key"}, "found the name '.'"),
        ("credentials", {"key": "//etc/key"}, "in its shortest form"),
        ("credentials", {"key": "hunter2"}, "never the secret itself"),
        ("credentials", ["/etc/key"], "expected an object of names and paths"),
        ("homes", ["/home"], "isolation.homes: no such entry, expected one of ro, rw, home_ro"),
    ],
)
def test_a_mistake_is_named_at_either_level(entry: str, value: object, said: str) -> None:
    with pytest.raises(FormatError) as of_cell:
        parsed(cell={entry: value})
    with pytest.raises(FormatError) as of_member:
        parsed(member={entry: value})
    shown = said.replace("'", '"')
    assert shown in str(of_cell.value).replace("'", '"')
    assert shown.removeprefix("isolation.") in str(of_member.value).replace("'", '"')
    assert str(of_member.value).startswith("agents[0].isolation.")


def test_layers_add_up_and_the_last_credential_of_a_name_is_meant() -> None:
    found = parsed(
        cell={"ro": ["/srv/b", "/srv/a"], "credentials": {"key": "/etc/cell", "x": "/etc/x"}},
        member={"ro": ["/srv/c", "/srv/a"], "credentials": {"key": "/etc/own"}},
    )
    base = Openings(ro=("/srv/a",), env=("LANGUAGE",))
    together = manifest.openings_of(found, found.agents[0], base)
    assert together.ro == ("/srv/a", "/srv/b", "/srv/c")
    assert together.credentials == {"key": "/etc/own", "x": "/etc/x"}
    assert together.env == ("LANGUAGE",)
    assert together.rw == ()
    assert merged() == Openings()


def test_what_members_are_shown_names_nothing_of_the_host() -> None:
    shown = manifest.encode(manifest.without_env(parsed(cell=WHOLE, member=WHOLE)))
    assert b"isolation" not in shown
    assert b"/srv" not in shown
