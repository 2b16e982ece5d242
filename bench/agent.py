"""The agent of the bench where there is no compiler: the same as agent.c, behind an interpreter.

It only begins and sleeps; the benches that need beats say that they need a compiler.
"""

import os
import signal
import socket
import sys
import time

BEGAN = time.monotonic_ns()
path = sys.argv[1] if len(sys.argv) > 2 else os.environ["BENCH_SOCKET"]
name = sys.argv[2] if len(sys.argv) > 2 else os.path.basename(os.getcwd())
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
    mouth.sendto(f"began {name} {BEGAN}".encode(), path)
if "BENCH_READY_FD" in os.environ:
    os.write(int(os.environ["BENCH_READY_FD"]), b"\n")
    os.close(int(os.environ["BENCH_READY_FD"]))
while True:
    signal.pause()
