"""Which agents count in the figures of a fleet."""

import pytest

from lazarus_pit.web.metrics import families
from lazarus_pit.web.shapes import Agent, Cell


def unhealthy(*agents: tuple[str, str]) -> float:
    members = [
        Agent(
            name=f"a{number}",
            role="developer",
            kind="agent",
            desired="run",
            state=phase,
            phase=phase,
            verdict=verdict,
            unread=0,
            version="1",
        )
        for number, (phase, verdict) in enumerate(agents)
    ]
    cell = Cell(
        uuid="u",
        name="pond",
        mission="m",
        status="active",
        asleep=False,
        problem=None,
        agents=tuple(members),
        version="1",
    )
    found = {one.name: one for one in families([cell], [], up=True, readers=0, asked=0)}
    (sample,) = found["lazarus_agents_unhealthy"].samples
    return sample.value


@pytest.mark.parametrize(
    ("phase", "verdict", "counts"),
    [
        ("running", "healthy", 0),
        ("running", "degraded", 1),
        ("fencing", "dead", 1),
        ("backoff", "dead", 1),
        ("awaiting", "dead", 1),
        ("escalated", "dead", 1),
        ("starting", "unknown", 0),
        ("stopped", "unknown", 0),
        ("stopped", "dead", 0),
        ("exited", "dead", 0),
    ],
)
def test_who_is_silent_or_dead_is_unhealthy_and_who_was_stopped_is_not(
    phase: str, verdict: str, counts: int
) -> None:
    assert unhealthy((phase, verdict), ("running", "healthy")) == counts
