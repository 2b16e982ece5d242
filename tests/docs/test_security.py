"""SECURITY.md names the test of each promise, and each of these tests is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = sorted(set(re.findall(r"`(tests/\S+\.py)::(test_\w+)`", PAGE)))


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)}


def test_every_test_that_is_named_is_there() -> None:
    missing = [f"{file}::{name}" for file, name in NAMED if name not in functions(ROOT / file)]
    assert missing == []


def test_every_promise_names_its_test() -> None:
    promises = PAGE.partition("## What the walls promise")[2].partition("## What they do not")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")]
    heads = [row for row in rows if "the test that fails otherwise" in row]
    assert len(heads) == 5
    assert [row for row in rows if row not in heads and "::test_" not in row] == []
    assert len(rows) - len(heads) >= 36
