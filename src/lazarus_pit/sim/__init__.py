"""DREAM: weeks of a fleet in seconds, with every fault we can think of."""
