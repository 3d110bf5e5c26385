"""How much a line client's connection takes before further requests wait."""

import pytest
from kakuri_tcp import LineClientLimits
from kakuri_tcp._line_client_connection import LineClientConnection
from kakuri_tcp.testing import MemoryTransport, run_pending


@pytest.fixture
async def link():
    link = LineClientConnection("peer", LineClientLimits(unsent=10), lambda link: None)
    yield link
    link.abort()
    await run_pending()


async def test_link_is_writable_up_to_its_limit_in_every_turn(link):
    transport = MemoryTransport(link)
    for _ in range(3):
        futures = [link.send(b"123456", 1e9, 1.0), link.send(b"789", 1e9, 1.0)]
        assert link.is_writable
        futures.append(link.send(b"0", 1e9, 1.0))
        assert not link.is_writable
        await run_pending()
        assert transport.take() == b"123456\n789\n0\n"
        assert link.is_writable
        for future in futures:
            future.cancel()
