"""RECORD: what the whole fleet must not forget, in one SQLite file."""
