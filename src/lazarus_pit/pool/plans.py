"""By which policy and command a gateway is revived, as one word to compare."""

from __future__ import annotations

import hashlib

from lazarus_pit.core.model import RevivePolicy
from lazarus_pit.formats import text
from lazarus_pit.formats.pool_config import Gateway


def plan_of(one: Gateway, policy: RevivePolicy) -> str:
    """Return the plan: an answer or an escalation of one plan does not hold for another."""
    command = text.encode(one.revive_cmd, "revive_cmd")
    return f"{policy.value} {hashlib.sha256(command).hexdigest()[:16]}"
