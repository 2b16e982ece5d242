"""The network, and sockets and memory shared with others."""

from __future__ import annotations

import os
import socket

from attempts.registry import Facts, attempt, libc


@attempt
def connect_to_the_hosts_loopback(facts: Facts) -> object:
    with socket.create_connection(("127.0.0.1", facts["port"]), timeout=2):
        return True


@attempt
def send_a_datagram_to_the_host(facts: Facts) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(("127.0.0.1", facts["udp_port"]))
        sock.send(b"hello")
        return sock.recv(16) == b"heard"


@attempt
def connect_to_an_abstract_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\0" + facts["abstract"])
        return True


@attempt
def connect_to_a_named_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(facts["socket"])
        return True


@attempt
def make_a_vm_socket(_: Facts) -> object:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return True


@attempt
def make_a_packet_socket(_: Facts) -> object:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    return True


@attempt
def make_a_raw_socket(_: Facts) -> object:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return True


@attempt
def make_an_algorithm_socket(_: Facts) -> object:
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()
    return True


@attempt
def see_a_shared_memory(facts: Facts) -> object:
    return libc.shmget(facts["shm_key"], 0, 0) >= 0


@attempt
def send_a_descriptor_to_an_abstract_socket(facts: Facts) -> object:
    """A file of the cell in the hands of somebody outside."""
    with socket.socket(socket.AF_UNIX) as sock, open("/proc/self/status") as file:
        sock.connect("\0" + facts["abstract"])
        return socket.send_fds(sock, [b"x"], [file.fileno()])


@attempt
def watch_the_machines_sockets(facts: Facts) -> object:
    """Whether the host's port is in the table that the network's namespace has."""
    with open("/proc/net/tcp") as file:
        return f"0100007F:{facts['port']:04X}" in file.read()


@attempt
def hear_of_a_process_by_its_queue(facts: Facts) -> object:
    """POSIX message queues are named for all who share the namespace."""
    return libc.mq_open(facts["queue"].encode(), os.O_RDONLY) >= 0
