"""WATCH: the fleet in a terminal, and keys for what people do to it; loaded by its verb alone."""
