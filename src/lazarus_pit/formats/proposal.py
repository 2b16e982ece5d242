"""A mission proposal (contract 5.4): the filled-in issue page from which a cell is made.

The page is Markdown as people write it: headings of any level, sections in any order, comments
ignored. What is read is read strictly, and every complaint names the section and the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from lazarus_pit.core.model import Role, Seconds
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import page
from lazarus_pit.formats.envelope import ADDRESSES
from lazarus_pit.formats.instant import parse_duration
from lazarus_pit.formats.names import is_agent_name
from lazarus_pit.formats.page import BOX, BULLET, Line, written, wrong

MAX_BYTES = 256 * 1024
"""A page longer than this was not written by hand."""
TITLE_PREFIX = "[MISSION]"


class Invitation(Struct, frozen=True, kw_only=True):
    """One invited member."""

    name: str
    role: Role
    human: bool = False


class Item(Struct, frozen=True, kw_only=True):
    """One line of a check list."""

    text: str
    done: bool = False


class Isolation(Struct, frozen=True, kw_only=True):
    """What the cell's walls must keep out or let through. Nothing ticked is the strictest."""

    read_only_homes: tuple[str, ...] = ()
    external_network: bool = False


class CellConfiguration(Struct, frozen=True, kw_only=True):
    """The table; ``None`` is a row that is absent or says ``none``. Durations are seconds."""

    max_duration: Seconds | None = None
    checkpoint_interval: Seconds | None = None
    auto_archive: bool = False
    max_revive_attempts: int | None = None


class Related(Struct, frozen=True, kw_only=True):
    """Numbers of issues that this mission hangs together with."""

    epic: tuple[int, ...] = ()
    depends_on: tuple[int, ...] = ()
    blocked_by: tuple[int, ...] = ()


class Proposal(Struct, frozen=True, kw_only=True):
    """A filled-in mission proposal."""

    title: str
    """Without its prefix; the summary where the page has none."""
    summary: str
    objective: str
    agents: tuple[Invitation, ...]
    scope: tuple[Item, ...]
    isolation: Isolation
    configuration: CellConfiguration
    related: Related
    success: tuple[Item, ...]
    notes: str = ""


SECTIONS = (
    "Mission Summary",
    "Objective",
    "Agents Invited",
    "Scope & Deliverables",
    "Isolation Requirements",
    "Cell Configuration",
    "Related Issues",
    "Success Criteria",
    "Notes",
)
OPTIONAL = ("Cell Configuration", "Related Issues", "Notes")

_INVITED = re.compile(r"@(\S+)\s+(?:\u2014|\u2013|--?)\s+(\w+)(\s+\(human\))?\Z")
_HOME = re.compile(r"@([^\s,;]+)")
_ISSUE = re.compile(r"#(\d{1,9})")
_NONE = ("", "-", "\u2013", "\u2014", "none", "n/a")


def parse_proposal(data: bytes, title: str = "") -> Proposal:
    """Read a page; ``title`` is that of the issue it stands in.

    Raises:
        FormatError: something is missing or is not what its section says; names section and line.
    """
    front, body = page.front_matter(page.number_lines(data, MAX_BYTES))
    heading, sections = page.cut(body, SECTIONS)
    missing = [name for name in SECTIONS if name not in sections and name not in OPTIONAL]
    if missing:
        raise FormatError(f"section {missing[0]!r} is missing, expected a heading of that name")
    summary = _prose(sections, "Mission Summary")
    return Proposal(
        title=_bare_title(title or front.get("title", "")) or _bare_title(heading) or summary,
        summary=summary,
        objective=_prose(sections, "Objective"),
        agents=_invited(sections["Agents Invited"]),
        scope=_check_list(sections, "Scope & Deliverables"),
        isolation=_isolation(sections["Isolation Requirements"]),
        configuration=_configuration(sections.get("Cell Configuration", [])),
        related=_related(sections.get("Related Issues", [])),
        success=_check_list(sections, "Success Criteria"),
        notes="\n".join(line.text for line in sections.get("Notes", [])).strip(),
    )


def _bare_title(title: str) -> str:
    return title.removeprefix(TITLE_PREFIX).strip()


def _prose(sections: dict[str, list[Line]], name: str) -> str:
    """Return the words of a section, lines joined, paragraphs kept."""
    text = "\n".join(line.text for line in sections[name]).strip()
    if not text:
        raise FormatError(f"{name}: found nothing, expected at least a sentence")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _invited(lines: list[Line]) -> tuple[Invitation, ...]:
    where = "Agents Invited"
    invited: dict[str, Invitation] = {}
    for line in written(lines):
        bullet = BULLET.match(line.text)
        found = _INVITED.match(bullet[1].strip()) if bullet else None
        if found is None:
            raise wrong(where, line, "'- @name — role'")
        name, role = found[1].lower(), found[2].lower()
        if not is_agent_name(name) or name in ADDRESSES:
            raise wrong(where, line, "a name of 1 to 64 of a-z 0-9 . _ -, not the daemon's own")
        if role not in list(Role):
            raise wrong(where, line, f"one of the roles {', '.join(Role)}")
        if name in invited:
            raise wrong(where, line, f"each member once, but {name} is invited twice")
        invited[name] = Invitation(name=name, role=Role(role), human=found[3] is not None)
    if not invited:
        raise FormatError(f"{where}: found nobody, expected at least one '- @name — role'")
    return tuple(invited.values())


def _check_list(sections: dict[str, list[Line]], name: str) -> tuple[Item, ...]:
    """Read ``- [ ] text`` lines; a line that is no bullet goes on with the one before it."""
    items: list[Item] = []
    for line in written(sections[name]):
        box, bullet = BOX.match(line.text), BULLET.match(line.text)
        if box:
            items.append(Item(text=box[2].strip(), done=box[1] != " "))
        elif bullet:
            items.append(Item(text=bullet[1].strip()))
        elif items:
            last = items.pop()
            items.append(Item(text=f"{last.text} {line.text}".strip(), done=last.done))
        else:
            raise wrong(name, line, "'- [ ] something to deliver'")
    if not any(item.text not in ("", "\u2026") for item in items):
        raise FormatError(f"{name}: found no item, expected at least one '- [ ] …'")
    return tuple(items)


def _isolation(lines: list[Line]) -> Isolation:
    where = "Isolation Requirements"
    no_home = False
    homes: tuple[str, ...] = ()
    network: dict[bool, Line] = {}
    for line in written(lines):
        box = BOX.match(line.text)
        if box is None:
            raise wrong(where, line, "a box, '- [ ] …' or '- [x] …'")
        words = box[2].strip().lower()
        ticked = box[1] != " "
        if words.startswith("no home access"):
            no_home = no_home or ticked
        elif words.startswith("read-only access"):
            homes = tuple(_HOME.findall(box[2])) if ticked else homes
            if ticked and not homes:
                raise wrong(where, line, "the homes by name, '…: @name, @name'")
            if ticked and no_home:
                raise wrong(where, line, "either no home access or named homes, not both")
        elif words.startswith("external network"):
            if ticked:
                network[not re.search(r"\bno\b", words)] = line
        else:
            raise wrong(where, line, "'No home access', 'Read-only access …' or 'External network'")
    if len(network) > 1:
        raise wrong(where, network[False], "External network ticked as yes or as no, not both")
    return Isolation(read_only_homes=homes, external_network=True in network)


def _configuration(lines: list[Line]) -> CellConfiguration:
    where = "Cell Configuration"
    values: dict[str, object] = {}
    for line in written(lines):
        cells = [cell.strip() for cell in line.text.strip("|").split("|")]
        if len(cells) != 2 or not line.text.startswith("|"):
            raise wrong(where, line, "a row of two cells, '| setting | value |'")
        if set(cells[0]) <= set(":- ") or cells[0].lower() == "setting":
            continue
        row = _ROWS.get(cells[0].lower())
        if row is None:
            raise wrong(where, line, f"one of {', '.join(_ROWS)}")
        key, parse = row
        if key in values:
            raise wrong(where, line, "each setting once")
        values[key] = parse(cells[1].lower(), line)
    given = {key: value for key, value in values.items() if value is not None}
    return CellConfiguration(**given)  # type: ignore[arg-type]  # _ROWS pairs keys and types


def _duration(value: str, line: Line) -> Seconds | None:
    if value in _NONE:
        return None
    found = parse_duration(value)
    if found is None:
        raise wrong("Cell Configuration", line, "a duration such as '30 min', '8 h', or 'none'")
    return found


def _flag(value: str, line: Line) -> bool:
    if value not in ("yes", "no", "true", "false"):
        raise wrong("Cell Configuration", line, "'yes' or 'no'")
    return value in ("yes", "true")


def _count(value: str, line: Line) -> int | None:
    if value in _NONE:
        return None
    if re.fullmatch(r"[0-9]{1,4}", value) is None:
        raise wrong("Cell Configuration", line, "a whole number from 0 to 9999")
    return int(value)


_ROWS: dict[str, tuple[str, Callable[[str, Line], object]]] = {
    "max duration": ("max_duration", _duration),
    "checkpoint interval": ("checkpoint_interval", _duration),
    "auto-archive on close": ("auto_archive", _flag),
    "max revive attempts": ("max_revive_attempts", _count),
}
_RELATIONS = {"epic": "epic", "depends on": "depends_on", "blocked by": "blocked_by"}


def _related(lines: list[Line]) -> Related:
    where = "Related Issues"
    numbers: dict[str, tuple[int, ...]] = {}
    for line in written(lines):
        bullet = BULLET.match(line.text)
        word, colon, rest = bullet[1].partition(":") if bullet else ("", "", "")
        relation = _RELATIONS.get(word.replace("*", "").strip().lower())
        if relation is None or not colon:
            raise wrong(where, line, "'- Epic: #1', '- Depends on: …' or '- Blocked by: …'")
        issues = tuple(int(number) for number in _ISSUE.findall(rest))
        if not issues and rest.strip(" *").lower() not in _NONE:
            raise wrong(where, line, "issues by number, '#12, #13', or 'none'")
        numbers[relation] = numbers.get(relation, ()) + issues
    return Related(**numbers)
