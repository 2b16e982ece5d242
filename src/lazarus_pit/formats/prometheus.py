"""Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Sample(NamedTuple):
    """One value and what tells it from others of its family."""

    value: float
    labels: Mapping[str, str] = {}


class Family(NamedTuple):
    """Samples of one name; a counter's name ends in ``_total``."""

    name: str
    kind: Literal["gauge", "counter"]
    what: str
    samples: Iterable[Sample]


def render(families: Iterable[Family]) -> str:
    """Return the text that a scrape answers with; whatever a label holds, one line it is."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.what}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [f"{family.name}{_labels(one.labels)} {one.value:.17g}" for one in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""
