"""How fast a client may talk."""

import pytest

from lazarus_pit.gateway.limits import Limits, Pace

LIMITS = Limits(messages_per_second=10, messages_burst=20, bytes_per_second=1000, bytes_burst=2000)


def test_a_burst_is_free_and_what_is_beyond_it_is_paid_in_time() -> None:
    pace = Pace(LIMITS, 0.0)
    assert pace.spend(0.0, 20, 100) == 0
    assert pace.spend(0.0, 5, 100) == pytest.approx(0.5)
    assert pace.spend(0.5, 0, 0) == 0


def test_bytes_count_as_well_as_messages() -> None:
    assert Pace(LIMITS, 0.0).spend(0.0, 1, 5000) == pytest.approx(3.0)


def test_patience_saves_up_one_burst_and_no_more() -> None:
    pace = Pace(LIMITS, 0.0)
    assert pace.spend(1e6, 30, 0) == pytest.approx(1.0)


def test_zero_lifts_a_limit() -> None:
    free = Limits(messages_per_second=0, bytes_per_second=0)
    assert Pace(free, 0.0).spend(0.0, 10**9, 10**12) == 0
