"""LAUNCH: one file an agent program: how it starts, goes on after a death, and says how it does."""
