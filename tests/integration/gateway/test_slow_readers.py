"""Clients that read slowly or not at all: they lose, nobody else does, and nothing grows."""

import json
import threading
from contextlib import ExitStack

from nexus import BINARY, PING, PONG, TEXT, Raw, eventually, frame, running

MIB = 1024 * 1024
KIB_16 = bytes(16 * 1024)
FREELY = ("--messages-per-second", "0", "--bytes-per-second", "0")


def test_a_stalled_reader_costs_one_batch_and_delays_nobody() -> None:
    with running(*FREELY, "--ring-bytes", str(2 * MIB)) as gateway, ExitStack() as stack:
        stalled = [stack.enter_context(Raw(gateway.port, receive_buffer=4096)) for _ in range(10)]
        reader, speaker = (stack.enter_context(Raw(gateway.port)) for _ in range(2))
        for client in (*stalled, reader, speaker):
            client.open()
        before = gateway.resident_bytes()
        for number in range(2000):  # 31 MiB, were they kept; ten times that, once for each client.
            speaker.send(frame(BINARY, b"%8d" % number + KIB_16))
            assert int(reader.frame()[1][:8]) == number
        assert gateway.resident_bytes() - before < (2 + 10 * 0.25 + 4) * MIB
        assert gateway.health()["connected_clients"] == 12
        assert gateway.health()["messages_dropped"] == 0, "they have not been told yet"


def test_who_reads_again_is_told_what_it_lost_and_hears_the_newest() -> None:
    with (
        running(*FREELY, "--ring-messages", "100") as gateway,
        Raw(gateway.port, receive_buffer=4096) as slow,
        Raw(gateway.port) as speaker,
    ):
        slow.open()
        speaker.open()
        for number in range(1000):
            speaker.send(frame(BINARY, b"%8d" % number + KIB_16))
        speaker.send(frame(PING, b"done"))
        assert speaker.frame() == (PONG, b"done")
        heard, dropped, newest = 0, 0, -1
        while newest < 999:
            opcode, payload = slow.frame()
            if opcode == TEXT:
                notice = json.loads(payload)
                assert notice["type"] == "nexus.gap"
                dropped += notice["dropped"]
            else:
                heard += 1
                assert int(payload[:8]) > newest
                newest = int(payload[:8])
        assert heard + dropped == 1000
        assert dropped == gateway.health()["messages_dropped"] > 0


def test_who_reads_nothing_for_long_is_cut() -> None:
    with (
        running(*FREELY, "--stuck-seconds", "0.5", "--ring-messages", "8") as gateway,
        Raw(gateway.port, receive_buffer=4096) as stalled,
        Raw(gateway.port) as speaker,
    ):
        stalled.open()
        speaker.open()
        for _ in range(200):
            speaker.send(frame(BINARY, KIB_16))
        eventually(lambda: gateway.health()["clients_cut_slow"] == 1)
        eventually(lambda: gateway.health()["connected_clients"] == 1)


def test_who_reads_slowly_but_reads_is_not_cut() -> None:
    flags = ("--max-message-bytes", str(8 * MIB), "--ring-bytes", str(9 * MIB))
    with (
        running(*FREELY, *flags, "--stuck-seconds", "1") as gateway,
        Raw(gateway.port, receive_buffer=4096) as slow,
        Raw(gateway.port) as speaker,
    ):
        slow.open()
        speaker.open()
        speaker.send(frame(BINARY, bytes(4 * MIB)))
        pause = threading.Event()
        for _ in range(40):
            slow.read_ahead(len(slow.rest) + MIB // 16)
            pause.wait(0.1)
        assert gateway.health()["uptime_seconds"] > 3
        assert slow.frame() == (BINARY, bytes(4 * MIB))
        assert gateway.health()["clients_cut_slow"] == 0


def test_who_pings_and_never_reads_the_answers_costs_nothing() -> None:
    with (
        running(*FREELY) as gateway,
        Raw(gateway.port, receive_buffer=4096) as pinger,
        Raw(gateway.port) as speaker,
    ):
        pinger.open()
        speaker.open()
        for _ in range(100):
            speaker.send(frame(BINARY, KIB_16))
        before = gateway.resident_bytes()
        for _ in range(100):
            pinger.send(frame(PING, b"x" * 125) * 1000)  # 12 MiB of answers.
        pinger.send(frame(TEXT, b"done"))
        assert speaker.frame() == (TEXT, b"done")
        assert gateway.resident_bytes() - before < 4 * MIB


def test_unfinished_messages_are_bounded_together() -> None:
    flags = (*FREELY, "--max-message-bytes", str(8 * MIB), "--ring-bytes", str(9 * MIB))
    with running(*flags) as gateway, ExitStack() as stack:
        clients = [stack.enter_context(Raw(gateway.port)) for _ in range(10)]
        for client in clients:
            client.open()
        for client in clients[:-1]:
            client.send(frame(BINARY, bytes(7 * MIB), fin=False))
        clients[-1].send(frame(BINARY, bytes(4 * MIB), fin=False))
        assert clients[-1].closing() == 1013
        assert gateway.resident_bytes() < 200 * MIB
