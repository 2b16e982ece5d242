"""LET OUT what the list allows: one proxy process outside, one listening socket a cell."""
