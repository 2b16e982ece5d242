"""ACT: the only place where the kinds meet."""
