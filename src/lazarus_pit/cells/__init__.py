"""KEEP the cell directory: its paths, its records, its birth and its end."""
