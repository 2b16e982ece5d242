from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazarus_pit.core import restart
from lazarus_pit.core.model import Exit, Restart, Rules

RULES = Rules(
    max_revive_attempts=3,
    restart_window=100.0,
    backoff_initial=1.0,
    backoff_factor=2.0,
    backoff_max=30.0,
    backoff_jitter=0.2,
)


def test_an_attempt_counts_until_it_is_as_old_as_the_window() -> None:
    attempts = (0.0, 50.0, 99.0)
    assert restart.recent(attempts, RULES, 99.9) == attempts
    assert restart.recent(attempts, RULES, 100.0) == (50.0, 99.0)


def test_the_cap_is_reached_with_the_last_attempt_allowed() -> None:
    assert not restart.exhausted((1.0, 2.0), RULES, 3.0)
    assert restart.exhausted((1.0, 2.0, 3.0), RULES, 4.0)
    assert not restart.exhausted((1.0, 2.0, 3.0), RULES, 101.0)


@pytest.mark.parametrize(
    ("failures", "luck", "seconds"),
    [
        (0, 0.9, 0.0),
        (1, 0.5, 1.0),
        (2, 0.5, 2.0),
        (4, 0.5, 8.0),
        (6, 0.5, 30.0),
        (3, 0.0, 3.2),
        (10_000, 0.5, 30.0),
    ],
)
def test_the_delay_doubles_to_its_limit(failures: int, luck: float, seconds: float) -> None:
    assert restart.delay(failures, RULES, luck) == pytest.approx(seconds)


@given(st.integers(1, 2000), st.floats(0.0, 0.999))
def test_jitter_stays_within_its_share(failures: int, luck: float) -> None:
    middle = restart.delay(failures, RULES, 0.5)
    assert 0.8 * middle <= restart.delay(failures, RULES, luck) <= 1.2 * middle


@pytest.mark.parametrize(
    ("policy", "ending", "death"),
    [
        (Restart.ON_FAILURE, Exit(code=0), False),
        (Restart.ON_FAILURE, Exit(code=1), True),
        (Restart.ON_FAILURE, Exit(signal=15), True),
        (Restart.ON_FAILURE, Exit(note="unseen"), True),
        (Restart.ALWAYS, Exit(code=0), True),
        (Restart.NEVER, Exit(code=1), False),
    ],
)
def test_which_endings_are_deaths(policy: Restart, ending: Exit, *, death: bool) -> None:
    assert restart.is_death(ending, Rules(restart=policy)) is death


def test_a_configuration_error_is_not_retried() -> None:
    assert not restart.may_retry(Exit(code=78), RULES)
    assert restart.may_retry(Exit(code=1), RULES)
    assert restart.may_retry(Exit(signal=9), RULES)
    assert restart.may_retry(Exit(code=78), Rules(no_restart_exit_codes=()))
