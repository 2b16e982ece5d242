"""Who listens on a port."""

import os
import socket

from lazarus_pit.linux.listeners import holder_of


def test_the_holder_of_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = holder_of(listener.getsockname()[1])
    assert said.startswith(f"pid {os.getpid()} (")


def test_nobody_is_named_for_a_port_that_nobody_holds() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert holder_of(bound.getsockname()[1]) == ""
