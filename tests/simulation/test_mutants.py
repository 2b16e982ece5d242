from __future__ import annotations

import pytest

from simulation.mutants import MUTANTS, PACKAGE, Mutant, hunt

HANDFUL = (
    "no generation check",
    "spawn without proof of death",
    "attempt not recorded",
    "announcements are not heard",
    "a freeze suspends no deadline",
)


def test_every_mutant_is_up_to_date() -> None:
    """Each names a text that stands exactly once where it says."""
    stale = [m.name for m in MUTANTS if (PACKAGE / m.file).read_text().count(m.old) != 1]
    assert stale == []
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.parametrize("name", HANDFUL)
def test_the_simulator_finds_it(name: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    assert hunt(mutant).seed is not None


def test_an_unbroken_core_is_not_accused() -> None:
    """The hunt itself accuses nobody: a change that changes nothing is not found."""
    same = Mutant("nothing", "core/restart.py", '"""Restart policy:', '"""Restart policy :')
    assert hunt(same, seeds=3).seed is None
