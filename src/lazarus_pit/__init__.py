"""Lazarus Pit keeps the missions of AI agents alive."""

__version__ = "0.1.0"
