"""The exposition format, as its page says it."""

from __future__ import annotations

from lazarus_pit.formats.prometheus import Family, Sample, render


def test_writes_what_the_format_says() -> None:
    cells = [Sample(2, {"name": 'a "b"\\\n', "phase": "running"}), Sample(0.5)]
    assert render([Family("lazarus_x", "gauge", "What.", cells)]) == (
        "# HELP lazarus_x What.\n"
        "# TYPE lazarus_x gauge\n"
        'lazarus_x{name="a \\"b\\"\\\\\\n",phase="running"} 2\n'
        "lazarus_x 0.5\n"
    )
