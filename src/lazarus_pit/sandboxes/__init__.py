"""CONTAIN: start one life of an agent within walls, and end it with all it started."""
