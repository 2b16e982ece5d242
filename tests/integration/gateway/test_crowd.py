"""Hundreds of clients at once."""

import asyncio

from websockets.asyncio.client import connect

from nexus import Gateway, eventually

CROWD = 300
EACH = 5


async def everybody_speaks(url: str) -> list[list[str]]:
    """Let every tenth client say a few messages; give what each of all clients heard."""
    clients = [await connect(url, compression=None, open_timeout=30) for _ in range(CROWD)]

    async def speak(number: int) -> None:
        for count in range(EACH):
            await clients[number].send(f"{number}.{count}")

    async def listen(number: int) -> list[str]:
        due = EACH * (CROWD // 10 - (number % 10 == 0))
        return [str(await clients[number].recv()) for _ in range(due)]

    speaking = [speak(number) for number in range(0, CROWD, 10)]
    listening = [listen(number) for number in range(CROWD)]
    heard = (await asyncio.gather(*speaking, *listening))[len(speaking) :]
    await asyncio.gather(*(client.close() for client in clients))
    return [messages for messages in heard if messages is not None]


def test_hundreds_hear_everything_in_order_and_leave_nothing(gateway: Gateway) -> None:
    heard = asyncio.run(asyncio.wait_for(everybody_speaks(gateway.url), 60))
    assert len(heard) == CROWD
    for number, messages in enumerate(heard):
        speakers = [speaker for speaker in range(0, CROWD, 10) if speaker != number]
        assert len(messages) == EACH * len(speakers)
        for speaker in speakers:
            own = [text for text in messages if text.startswith(f"{speaker}.")]
            assert own == [f"{speaker}.{count}" for count in range(EACH)]
    facts = gateway.health()
    assert facts["messages_dropped"] == 0
    assert facts["messages_delivered"] == sum(map(len, heard))
    eventually(lambda: gateway.health()["connected_clients"] == 0)
