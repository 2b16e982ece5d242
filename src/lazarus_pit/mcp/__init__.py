"""SPEAK to agents: the team's tools as a Model Context Protocol server."""
