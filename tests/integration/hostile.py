"""What a hostile agent leaves behind and says; each a program of its own, run within real walls."""

from __future__ import annotations

PLANT = r"""
import os, socket, sys
outside, root = sys.argv[1:3]
host_cell = f"{root}/{os.environ['LAZARUS_CELL_UUID']}"
reviews = "/reviews" if os.environ["LAZARUS_ROLE"] == "reviewer" else ""
work = f"/mission/workspace{reviews}"
places = {
    "workspace": work,
    "home": os.environ["HOME"],
    "outbox": os.environ["LAZARUS_OUTBOX"],
    "beats": os.path.dirname(os.environ["LAZARUS_HEARTBEAT_FILE"]),
}
def attempt(do, *args):
    try:
        do(*args)
    except OSError:
        pass
def deep(top):
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d" * 8, dir_fd=here)
        below = os.open("d" * 8, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
def bind(path):
    socket.socket(socket.AF_UNIX).bind(path)
for top in places.values():
    for name, target in {
        "secret": f"{outside}/secret", "dir": outside, "up": "../../../..", "root": "/",
        "loop": "loop", "state": f"{host_cell}/.lazarus/state.json", "proc": "/proc/self/root",
    }.items():
        attempt(os.symlink, target, f"{top}/{name}")
    attempt(os.mkfifo, f"{top}/fifo")
    attempt(bind, f"{top}/socket")
    attempt(os.link, f"{top}/fifo", f"{top}/second")
    for name in (b"\xff\xfe not utf-8", b"\x1b]0;t\x07\x1b[2J", b"new\nline", b"x" * 255, b"-rf"):
        attempt(lambda: open(os.fsencode(top) + b"/" + name, "wb").close())
    if top in (places["workspace"], places["outbox"]) and not reviews:
        attempt(deep, top)
    with open(f"{top}/sparse", "wb") as file:
        attempt(file.truncate, 1 << 40)
for name in ("bob.json", "fifo.json", "all.json"):
    attempt(os.mkfifo, f"{places['outbox']}/{name}")
os.mkdir(f"{work}/many")
for number in range(0 if reviews else 1000):
    os.mkdir(f"{work}/many/{number}")
os.mkdir(f"{work}/.git")
open(f"{work}/.git/config", "w").write("[core]\nfsmonitor = touch /tmp/ran\n")
open(f"{work}/json.py", "w").write("raise SystemExit('ran')")
with open(f"{work}/setuid", "w") as file:
    os.fchmod(file.fileno(), 0o6777)
open(f"{work}/planted", "w").close()
import time; time.sleep(600)
"""
"""Links, FIFOs, sockets, odd names, 1200 levels and 1000 directories, a terabyte of nothing,
everywhere; by a reviewer where it may write."""

BEAT = r"""
import os, sys, time
path, outside = os.environ["LAZARUS_HEARTBEAT_FILE"], sys.argv[2]
def write(content):
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.replace(path + ".new", path)
def grow(new):
    with open(new, "wb") as file:
        file.truncate(1 << 40)
def make(do):
    do(path + ".new")
    os.rename(path + ".new", path)
def twice():
    write(b'{"status": "x"}')
    os.link(path, path + ".2")
{
    "fifo": lambda: make(os.mkfifo),
    "link": lambda: make(lambda new: os.symlink(outside + "/secret", new)),
    "zero": lambda: make(lambda new: os.symlink("/dev/zero", new)),
    "directory": lambda: make(os.mkdir),
    "huge": lambda: make(grow),
    "second": twice,
    "brackets": lambda: write(b"[" * 4_000),
    "bytes": lambda: write(b'{"status": "\xff\xfe"}'),
    "number": lambda: write(b'{"pid": -1, "timestamp": 1e999, "cycle": "many"}'),
}[sys.argv[1]]()
time.sleep(600)
"""
"""A heartbeat that is none, of the kind that is named."""

FLIP = r"""
import ctypes, os, sys, time
os.chdir("/mission/workspace")
os.makedirs("flip/inner")
open("flip/file", "w").write("mine")
os.symlink(sys.argv[1], "link")
open("flipping", "w").close()
renameat2 = ctypes.CDLL(None).renameat2
n = 0
while True:
    renameat2(-100, b"flip", -100, b"link", 2)
    n += 1
    with open(f"new{n % 7}", "w") as file:
        file.write("x")
    os.rename(f"new{n % 7}", f"old{n % 5}")
"""
"""A directory and a link to the outside change places without end."""

RACE = r"""
import contextlib, ctypes, json, os, sys, time
outside, out, beat = sys.argv[1], os.environ["LAZARUS_OUTBOX"], os.environ["LAZARUS_HEARTBEAT_FILE"]
renameat2 = ctypes.CDLL(None).renameat2
def linked(path, target):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink(f"{outside}/{target}", path)
def put(path, said):
    with open(f"{path}.new", "w") as file:
        json.dump(said, file)
    os.rename(f"{path}.new", path)
n = 0
while True:
    n += 1
    mail = f"{out}/{n}.json"
    linked(f"{out}/.link", "mail.json")
    linked(f"{beat}.link", "beat.json")
    put(mail, {"id": f"race-{n:012}", "to": "bob", "body": f"own {n}"})
    put(beat, {"status": f"own {n}", "cycle": n})
    for _ in range(100):
        renameat2(-100, mail.encode(), -100, f"{out}/.link".encode(), 2)
        renameat2(-100, beat.encode(), -100, f"{beat}.link".encode(), 2)
    time.sleep(0.005)
"""
"""Mail and beats change places with links to the outside while they are read."""

SHOUT = r"""
import json, os, sys, time
path = os.environ["LAZARUS_HEARTBEAT_FILE"]
evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\n" + "N" * 10_000
def beat(cycle):
    with open(path + ".new", "w") as file:
        json.dump({"status": evil[:cycle * 300], "cycle": cycle, "model": evil[:99]}, file)
    os.replace(path + ".new", path)
beat(1)
out = sys.stdout.buffer
out.write(b"\x1b]0;owned\x07\x1b[2J \xff\xfe\x00 \x9b31m \xe2\x80\xae\n")
out.write(b"N" * 10_000 + b"\n")
out.write(evil.encode() + b"\r\x1b[1A forged line\n" + b"no end" * 50_000)
out.flush()
for cycle in (2, 3, 99):
    beat(cycle)
    time.sleep(0.2)
time.sleep(600)
"""
"""Escape sequences, bytes that are no text, names of 10 kB, a line without an end."""

ATTACK = r"""
import json, os, signal, socket, sys, time
root, victim_pid, own, other = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
done = []
def attempt(name, do):
    try:
        do()
        done.append(name)
    except OSError:
        pass
beat = json.dumps({"status": "forged", "cycle": 99, "pid": victim_pid, "generation": 1})
def write(path):
    with open(path, "w") as file:
        file.write(beat)
for cell in (own, other):
    top = f"{root}/{cell}"
    for path in (
        f"{top}/.lazarus/run/bob/hb/bob.json", f"{top}/.lazarus/heartbeats/bob.json",
        f"{top}/bus/outbox/bob/x.json", f"{top}/bus/inbox/bob/x.json", f"{top}/cell.json",
        f"{top}/.lazarus/state.json", f"{top}/logs/bob.log", f"{top}/logs/events.jsonl",
        f"{top}/.lazarus/home/bob/x", f"{root}/.lazarus-pit/ledger.jsonl",
    ):
        attempt(f"write {path}", lambda: write(path))
    attempt(f"list {top}", lambda: os.listdir(f"{top}/workspace"))
for path in ("/mission/bus/inbox/bob/x", "/mission/bus/outbox/bob/x", "/mission/cell.json",
             "/mission/.lazarus/pub/cell.json", "/mission/.lazarus/state.json"):
    attempt(f"write {path}", lambda: write(path))
attempt("list others", lambda: os.listdir("/mission/bus/inbox/bob"))
for number in (signal.SIGKILL, signal.SIGSTOP):
    attempt(f"signal {number}", lambda: os.kill(victim_pid, number))
attempt("trace", lambda: open(f"/proc/{victim_pid}/mem", "rb").close())
# What it may write it fills with lies: bob's beat in its own place, bob's name in a message.
beats = os.path.dirname(os.environ["LAZARUS_HEARTBEAT_FILE"])
attempt("own", lambda: write(f"{beats}/bob.json"))
with open(f"{os.environ['LAZARUS_OUTBOX']}/x.json", "w") as file:
    file.write(json.dumps({"from": "bob", "to": "../../cell.json", "text": "forged"}))
speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for text in (b"MAINPID=%d" % victim_pid, b"READY=1", b"STOPPING=1", b"x" * 60_000, b"\xff=\xff"):
    attempt("notify", lambda: speaker.sendto(text, os.environ["NOTIFY_SOCKET"]))
with open("/mission/workspace/attacked", "w") as file:
    file.write(json.dumps([name for name in done if not name.startswith(("own", "notify"))]))
while True:
    with open(os.environ["LAZARUS_HEARTBEAT_FILE"] + ".new", "w") as file:
        file.write(beat)
    os.replace(file.name, os.environ["LAZARUS_HEARTBEAT_FILE"])
    time.sleep(0.1)
"""
"""Forge, overwrite and signal whatever is another agent's or another cell's; go on beating."""
