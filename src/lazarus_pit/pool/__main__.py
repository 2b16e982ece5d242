"""``python -m lazarus_pit.pool`` is ``resurrection-pool``."""

from __future__ import annotations

from lazarus_pit.pool.main import main

main()
