"""What holds for every test: hypothesis repeats itself, bytecode is kept, nobody is spoken to."""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

from lazarus_pit.formats import channel_settings

# The suite says the same of the same code, whatever else the machine does. To look for what
# nobody has seen yet: LAZARUS_EXPLORE=1 make test ARGS=tests/property
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Hundreds of pits begin here: where no bytecode is kept, each would compile the package anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Whoever runs the suite where a real pit is set up wants nobody to be asked about its agents.
for variable in (*channel_settings.ENVIRONMENT, "GITEA_URL", "GITEA_TOKEN", "NEXUS_REPO"):
    os.environ.pop(variable, None)
settings.load_profile("explore" if os.environ.get("LAZARUS_EXPLORE") else "steady")
