"""Pings on a silent connection, and calls that get no response or too many."""

import asyncio
import contextlib

import pytest
from kakuri_grpc import Channel, Keepalive, Method, StatusCode, StatusError, Unavailable
from kakuri_http2 import ServerConnection
from kakuri_tcp.testing import until

from .echo_service import DOWN, UNARY, EchoRequest, EchoResponse, our_server

QUICK = Keepalive(interval=0.02, timeout=0.02)
ENDLESS = EchoRequest(text="sleep")


@contextlib.asynccontextmanager
async def peer(is_silent):
    """A server that responds to no call; it acknowledges pings unless it falls silent."""
    pings = []

    async def serve(reader, writer):
        connection = ServerConnection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            pings.extend([1] * data.count(b"\0\0\x08\x06\0\0\0\0\0"))
            if pings and is_silent:
                continue
            connection.receive_data(data)
            while connection.next_event() is not None:
                pass
            writer.write(connection.data_to_send())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], pings


async def test_silent_peer_is_pinged_and_its_calls_fail_when_it_does_not_acknowledge():
    async with (
        peer(is_silent=True) as (port, pings),
        Channel(f"127.0.0.1:{port}", keepalive=QUICK) as channel,
    ):
        with pytest.raises(Unavailable):
            await channel.call(UNARY, ENDLESS, timeout=30)
        assert len(pings) == 1


async def test_silent_peer_that_acknowledges_pings_keeps_its_calls():
    async with (
        peer(is_silent=False) as (port, pings),
        Channel(f"127.0.0.1:{port}", keepalive=QUICK) as channel,
    ):
        call = asyncio.ensure_future(channel.call(UNARY, ENDLESS, timeout=30))
        await until(lambda: len(pings) >= 3)
        assert not call.done()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize(("count", "expected"), [(0, "got none"), (2, "got more")])
async def test_unary_call_with_no_or_several_responses_fails_with_internal(
    tmp_path, count, expected
):
    unary = Method(DOWN.path, EchoRequest, EchoResponse)
    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            with pytest.raises(StatusError, match=expected) as caught:
                await channel.call(unary, EchoRequest(count=count), timeout=30)
            assert caught.value.code is StatusCode.INTERNAL
            assert (await channel.call(unary, EchoRequest(count=1), timeout=30)) is not None
