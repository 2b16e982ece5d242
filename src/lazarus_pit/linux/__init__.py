"""TOUCH the kernel: thin ctypes, no policy."""
