"""SAVE a cell and bring it back: each checkpoint a tar.gz, cut so that the next reuses it."""
