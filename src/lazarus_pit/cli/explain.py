"""``lazarus sandbox explain``: what holds an agent, layer by layer, and the exact command."""

from __future__ import annotations

import shlex

from msgspec.structs import replace

from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.store import read_state
from lazarus_pit.cli import say, widening
from lazarus_pit.cli.names import find_agent
from lazarus_pit.cli.place import HERE, AgentName, Json, Place
from lazarus_pit.cli.pulse import feel
from lazarus_pit.daemon.awaken import tree_name
from lazarus_pit.daemon.conversations import foreseen
from lazarus_pit.daemon.launching import launch_of
from lazarus_pit.daemon.openings import open_up
from lazarus_pit.errors import RefusedError, SpawnError
from lazarus_pit.formats.manifest import openings_of
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import choose, limits

HIDDEN = "(of-the-daemon)"
"""Stands for the value of a variable that only the daemon's environment has."""


def explain(agent: AgentName, /, *, json: Json = False, place: Place = HERE) -> int:
    """Say which layers hold an agent, which do not and why, and how it is started."""
    config, pit = place.settings(), place.pit()
    found = find_agent(pit, agent)
    member = found.manifest.member(found.name)
    if member is None or not member.command:
        raise RefusedError(f"nobody said how {found.name} starts: nothing holds it")
    pulse = feel(pit)
    openings = openings_of(found.manifest, member, config.isolation.openings)
    generation = _generation(found.paths, found.name)
    launch = replace(launch_of(config, found.paths, found.manifest, member), generation=generation)
    tree, note = cgroup.find_tree(tree_name(config.root))
    unconfined = bool(pulse.up and pulse.report and pulse.report.unconfined)
    try:
        launch = foreseen(launch, found.paths, member)
        launch = open_up(launch, openings, config, dict.fromkeys(openings.env, HIDDEN))
        chosen = choose.choose(tree, unsafe_no_sandbox=unconfined)
        *layers, command = chosen.sandbox.explain(launch)
    except SpawnError as error:
        why = str(error).removeprefix(f"{launch.key}: ")
        raise RefusedError(f"{found.name} cannot be started: {why}") from None
    layers += limits.enforced(launch, tree, namespace=chosen.sandbox.name == "bubblewrap")
    notes = [f"not in force: {note}"] * (tree is None) + [
        f"passed over: {reason}" for reason in chosen.notes
    ]
    opened = [f"opened: {line}" for line in widening.lines(openings)]
    program = program_of(launch.argv) if launch.starts else ""
    if json:
        said = {"layers": layers, "opened": opened, "notes": notes, "command": command}
        inner = {"program": program} if program else {}
        say.as_json({"agent": launch.key, "sandbox": chosen.sandbox.name, **said, **inner})
        return 0
    for line in (*layers, *(opened or ["opened: nothing beyond the walls"]), *notes):
        say.line(say.clean(line))
    if program:
        say.line(f"program: {say.clean(program, limit=_WHOLE)}")
    say.line(f"command: {say.clean(command, limit=_WHOLE)}")
    return 0


def program_of(argv: tuple[str, ...]) -> str:
    """Return the command line of a preset's program, within the one that drives it."""
    return shlex.join(argv[argv.index("--") + 1 :])


_WHOLE = 1 << 20
"""A command is shown to its end, so that it can be tried by hand."""


def _generation(paths: CellPaths, agent: str) -> int:
    """Return the number of the life that runs, or that would come next."""
    state = read_state(paths)
    health = state.agent_health.get(agent) if state else None
    return max(1, health.generation) if health else 1
