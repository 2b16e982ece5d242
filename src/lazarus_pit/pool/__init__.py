"""WATCH: agents that live outside every cell, brought back by policy (contract section 3)."""
