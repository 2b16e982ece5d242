"""The board against the plain way: filter everything, sort everything, count everything."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lazarus_pit.cells.view import AgentView, CellView
from lazarus_pit.cli.top.board import Board
from lazarus_pit.cli.top.looks import LOOKS, ORDERS, Row, matches, rows_of
from lazarus_pit.cli.top.parts import needs
from lazarus_pit.core.model import CellStatus, Rules
from lazarus_pit.formats.limits import NO_ROOM
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.state import Health
from lazarus_pit.records.approvals import Request

UUIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(3)]


def agent(
    name: str, shown: str = "running", verdict: str = "healthy", **health: object
) -> AgentView:
    told = Health(healthy=True, phase=shown, verdict=verdict, pid=7, **health)  # type: ignore[arg-type]
    return AgentView(
        name=name, role="developer", kind="agent", desired="run", shown=shown, health=told
    )


def cell(
    uuid: str, *agents: AgentView, name: str | None = None, status: str = "active"
) -> CellView:
    manifest = Manifest(uuid=uuid, status=CellStatus(status), mission="m", name=name)
    return CellView(uuid=uuid, path="/p", manifest=manifest, agents=agents)


def question(key: tuple[str, str]) -> Request:
    """What an agent asks people."""
    said: dict[str, object] = {"question": "May I?"}
    return Request("3fa9c2d1", "/".join(key), 1, said, 0, 9e9, "open", "", "", None, asked_in="m")


AGENTS = st.builds(
    agent,
    st.sampled_from(["ada", "bob", "eve"]),
    st.sampled_from(["running", "escalated", "held", "stopped", "reviving", "awaiting"]),
    st.sampled_from(["healthy", "degraded", "dead"]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.sampled_from(UUIDS),
            st.lists(AGENTS, max_size=3, unique_by=lambda one: one.name),
            st.sampled_from(["active", "frozen", "archived"]),
        ),
        st.tuples(st.just("drop"), st.sampled_from(UUIDS)),
        st.tuples(
            st.just("ask"),
            st.sets(st.tuples(st.sampled_from(UUIDS), st.sampled_from(["ada", "bob"])), max_size=2),
        ),
        st.tuples(st.just("find"), st.sampled_from(["", "ada", "escalated b", "healthy"])),
        st.tuples(st.just("sort"), st.sampled_from(list(ORDERS))),
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_happens_the_board_is_what_sorting_everything_gives(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    board, there, asked = Board(), {}, {}
    for step in steps:
        match step:
            case ("put", uuid, agents, status):
                there[uuid] = cell(uuid, *agents, status=status)
                board.put(there[uuid], 1.0)
            case ("drop", uuid):
                there.pop(uuid, None)
                board.drop(uuid)
            case ("ask", keys):
                asked = {key: question(key) for key in keys}
                board.ask(asked, 1.0)
            case ("find", needle):
                board.show(needle=needle)
            case ("sort", order):
                board.show(order=order)
        watched = [one for one in there.values() if one.is_watched]
        rows = [row for one in watched for row in rows_of(one, 1.0)]
        rows = [row._replace(request=asked.get(row.key)) for row in rows]
        shown = sorted((r for r in rows if matches(r, board.needle)), key=ORDERS[board.order])
        assert [board.at(index) for index in range(len(board))] == shown
        assert [board.index(row.key) for row in shown] == list(range(len(shown)))
        assert board.cells == len(watched)
        assert Counter(dict(board.counted())) == Counter(r.state for r in rows if r.agent)
        assert board.needy == sum(row.calls for row in rows)
        assert all(row.calls for row in board.first_needy(9))


def only(view: AgentView) -> Row:
    return rows_of(cell(UUIDS[0], view), 1.0)[0]


def test_the_worst_come_first() -> None:
    board = Board()
    board.put(
        cell(
            UUIDS[0],
            agent("a"),
            agent("b", "stopped"),
            agent("c", "escalated", "dead", reason="attempts_exhausted"),
            agent("d", verdict="degraded"),
            agent("e", "held", reason="auth_hold"),
            agent("f", "held", reason="quota_wait"),
            agent("g", verdict="dead"),
        ),
        1.0,
    )
    board.put(CellView(uuid=UUIDS[1], path="/p", problem="cell.json: torn"), 1.0)
    found = [(board.at(n).key[1], board.at(n).state) for n in range(len(board))]
    assert found == [
        ("", "unreadable"),
        ("c", "escalated"),
        ("g", "dead"),
        ("e", "held"),
        ("d", "silent"),
        ("f", "quota"),
        ("a", "running"),
        ("b", "stopped"),
    ]
    assert [row.key[1] for row in board.first_needy(9)] == ["", "c", "e"]


def test_who_lives_and_asks_stands_where_people_look() -> None:
    board = Board()
    board.put(
        cell(UUIDS[0], agent("a", "escalated"), agent("b", verdict="degraded"), agent("c")), 1.0
    )
    board.ask({(UUIDS[0], "c"): question((UUIDS[0], "c"))}, 1.0)
    assert [board.at(index).key[1] for index in range(3)] == ["a", "c", "b"]
    assert (board.needy, board.at(1).state) == (2, "running")
    said = needs(board, Rules(), up=True).plain
    assert "\n             ? 00000000/c asks (nobody is revived): “May I?”" in said
    board.ask({}, 1.0)
    assert [board.at(index).key[1] for index in range(3)] == ["a", "b", "c"]
    assert board.needy == 1


def test_an_agent_without_room_on_its_disk_needs_somebody() -> None:
    full = only(agent("a", "frozen", limits={"disk_mb": NO_ROOM}))
    still = only(agent("a", "frozen"))
    assert (full.state, full.needs) == ("full", True)
    assert (still.state, still.needs) == ("frozen", False)


def test_a_state_that_nobody_knows_is_still_a_line() -> None:
    assert only(agent("a", "levitating")).state == "-"


def test_no_two_states_are_told_apart_by_colour_alone() -> None:
    assert len(LOOKS) == len({(look.glyph, state) for state, look in LOOKS.items()})
    assert all(look.glyph.strip() for look in LOOKS.values())
