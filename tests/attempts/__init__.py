"""Attempts to get out of a sandbox, run inside as an agent would run them."""
