"""An agent that tries to reach places when it is asked to, and says what came of it.

It runs inside a cell, as ``python3 -c``: nothing but the standard library. A question is the file
``ask`` in the workspace, a list of attempts; the answer is ``answer``, a list of texts.
"""

import json
import os
import socket
import sys
import time

PROXY = ("127.0.0.1", 3128)


def read_all(connection: socket.socket) -> str:
    said = b""
    while more := connection.recv(65536):
        said += more
    return said.decode(errors="replace")


def connect(place: str, request: str = "GET /tunnel HTTP/1.0\r\n\r\n") -> str:
    """Ask the proxy for a tunnel, and if there is one, ask the host for a page."""
    with socket.create_connection(PROXY, 20) as proxy:
        proxy.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        first = proxy.recv(65536).decode()
        if " 200 " not in first:
            return first + read_all(proxy)
        proxy.sendall(request.encode())
        return first + read_all(proxy)


def get(url: str, more: str = "") -> str:
    """Ask the proxy for a page."""
    with socket.create_connection(PROXY, 20) as proxy:
        proxy.sendall(f"GET {url} HTTP/1.1\r\nHost: forged\r\n{more}\r\n".encode())
        return read_all(proxy)


def direct(host: str, port: int) -> str:
    """Pass the proxy by."""
    with socket.create_connection((host, port), 5) as connection:
        connection.sendall(b"GET /direct HTTP/1.0\r\n\r\n")
        return read_all(connection)


def dns(name: str) -> str:
    return f"resolved: {socket.getaddrinfo(name, 80)}"


def udp(host: str, port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        return f"sent {speaker.sendto(b'?', (host, port))}"


def interfaces() -> str:
    return " ".join(name for _, name in socket.if_nameindex())


def hold(count: int) -> str:
    """Take as many tunnels as there are, then say what the next connection gets."""
    held = [socket.create_connection(PROXY, 20) for _ in range(count)]
    try:
        return get("http://evil.example/")
    finally:
        for connection in held:
            connection.close()


def attempt(words: list) -> str:  # type: ignore[type-arg]
    kind, *rest = words
    try:
        return str(globals()[kind](*rest))
    except OSError as error:
        return f"OSError: {error}"


def main() -> None:
    sys.stdout.write("asking\n")
    sys.stdout.flush()
    while True:
        if os.path.exists("ask"):
            with open("ask", encoding="utf-8") as file:
                asked = json.load(file)
            os.unlink("ask")
            with open("answer.new", "w", encoding="utf-8") as file:
                json.dump([attempt(words) for words in asked], file)
            os.rename("answer.new", "answer")
        time.sleep(0.01)


main()
