"""What holds for every test: hypothesis repeats itself, unless it is asked to explore."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The suite says the same of the same code, whatever else the machine does. To look for what
# nobody has seen yet: LAZARUS_EXPLORE=1 make test ARGS=tests/property
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("explore" if os.environ.get("LAZARUS_EXPLORE") else "steady")
