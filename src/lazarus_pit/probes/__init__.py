"""SEE: look at agents that are not ours to run, and never take our own failure for theirs."""
