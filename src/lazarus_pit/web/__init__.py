"""SHOW: the HTTP API and the page, for eyes and hands elsewhere; it supervises nothing."""
