"""RELAY: what one client of the Nexus says, every other client of its room hears."""
