"""Scripted exchanges: the steps of a peer that sends data and expects data, in order."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from kakuri_tcp.testing._memory import MemoryTransport
from kakuri_tcp.testing._waiting import run_pending


@dataclass(frozen=True, slots=True)
class Send:
    """The peer sends these bytes, in one piece or in pieces of `size`."""

    data: bytes
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """The peer must have received exactly these bytes since the last Expect."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The peer ends its stream."""


Step = Send | Expect | End


async def play(protocol: asyncio.Protocol, steps: Iterable[Step]) -> MemoryTransport:
    r"""Play the peer of `protocol`, and return the transport for further checks.

        await play(protocol, [Send(b"a\n"), Expect(b"A\n"), End()])

    Raises:
        AssertionError: The peer received something else.
    """
    transport = MemoryTransport(protocol)
    for number, step in enumerate(steps, 1):
        match step:
            case Send(data, size):
                width = size or max(len(data), 1)
                for start in range(0, len(data), width):
                    transport.feed(data[start : start + width])
            case Expect(data):
                got = transport.take()
                if got != data:
                    raise AssertionError(f"step {number}: expected {data!r}, got {got!r}")
            case End():
                transport.feed_eof()
        await run_pending()
    return transport
