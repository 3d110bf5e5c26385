"""How much content each call of the clients accepts, for every framing of a response."""

import asyncio
import contextlib
import socket
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest
from kakuri_http import Client, ClientConnection, Headers, LimitExceeded, Limits, Request
from kakuri_http.blocking import BlockingClient

MORE_THAN_DEFAULT = Limits().body + 100_000


def with_length(content):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


def chunked(content):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (content[at : at + 50_000] for at in range(0, len(content), 50_000))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


def until_close(content):
    return b"HTTP/1.1 200 OK\r\n\r\n" + content


FRAMINGS = pytest.mark.parametrize("framing", [with_length, chunked, until_close])


@contextmanager
def answering(reply):
    """Serve one connection from a thread: read a request head, send `reply`, close."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            # The client may close the connection before it has read everything.
            with connection, contextlib.suppress(OSError):
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(4096)
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)


@asynccontextmanager
async def opened(reply, **options):
    with answering(reply) as url:
        async with Client(**options) as client:
            yield client, url


async def drained(streaming):
    async with streaming as response:
        return sum([len(piece) async for piece in response])


@FRAMINGS
async def test_stream_larger_than_body_limit_is_read_to_its_end(framing):
    content = b"x" * MORE_THAN_DEFAULT
    async with opened(framing(content)) as (client, url):
        assert await drained(client.stream("GET", url)) == len(content)


@FRAMINGS
async def test_stream_larger_than_its_own_body_limit_raises_limit_exceeded(framing):
    async with opened(framing(b"x" * 2000)) as (client, url):
        with pytest.raises(LimitExceeded) as caught:
            await drained(client.stream("GET", url, body_limit=1999))
    assert caught.value.limit == "body"


@FRAMINGS
async def test_stream_as_large_as_its_own_body_limit_is_read_to_its_end(framing):
    limits = Limits(body=10)
    async with (
        opened(framing(b"x" * 2000), limits=limits) as (client, url),
        client.stream("GET", url, body_limit=2000) as response,
    ):
        assert len(await response.read()) == 2000


@FRAMINGS
async def test_read_of_a_stream_larger_than_body_limit_raises_limit_exceeded(framing):
    async with (
        opened(framing(b"x" * MORE_THAN_DEFAULT)) as (client, url),
        client.stream("GET", url) as response,
    ):
        with pytest.raises(LimitExceeded):
            await response.read()


@FRAMINGS
async def test_request_larger_than_body_limit_raises_limit_exceeded(framing):
    async with opened(framing(b"x" * MORE_THAN_DEFAULT)) as (client, url):
        with pytest.raises(LimitExceeded):
            await client.request("GET", url)


@FRAMINGS
def test_blocking_stream_larger_than_body_limit_is_read_to_its_end(framing):
    content = b"x" * MORE_THAN_DEFAULT
    with (
        answering(framing(content)) as url,
        BlockingClient() as client,
        client.stream("GET", url) as response,
    ):
        assert sum(len(piece) for piece in response) == len(content)


@FRAMINGS
def test_blocking_stream_larger_than_its_own_body_limit_raises_limit_exceeded(framing):
    with (
        answering(framing(b"x" * 2000)) as url,
        BlockingClient() as client,
        pytest.raises(LimitExceeded),
        client.stream("GET", url, body_limit=1999) as response,
    ):
        list(response)


@FRAMINGS
def test_blocking_read_of_a_stream_larger_than_body_limit_raises_limit_exceeded(framing):
    with (
        answering(framing(b"x" * MORE_THAN_DEFAULT)) as url,
        BlockingClient() as client,
        client.stream("GET", url) as response,
        pytest.raises(LimitExceeded),
    ):
        response.read()


@FRAMINGS
def test_blocking_request_larger_than_body_limit_raises_limit_exceeded(framing):
    with (
        answering(framing(b"x" * MORE_THAN_DEFAULT)) as url,
        BlockingClient() as client,
        pytest.raises(LimitExceeded),
    ):
        client.request("GET", url)


async def test_body_limit_of_a_stream_ends_with_its_exchange():
    async def answer(reader, writer):
        for reply in (with_length(b"x" * 50), with_length(b"x" * 50)):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, Client(limits=Limits(body=10)) as client:
        async with client.stream("GET", url) as response:
            assert len([piece async for piece in response]) >= 1
        with pytest.raises(LimitExceeded):
            await client.request("GET", url)


def test_limit_of_chunk_extensions_grows_with_the_content():
    connection = ClientConnection(Limits(chunk_extensions=20))
    connection.send(Request("GET", "/", Headers(), host="a"))
    connection.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.next_event()
    for _ in range(100):
        connection.receive_data(b"a;seven=7\r\n0123456789\r\n")
        assert connection.next_event().data == b"0123456789"
    connection.receive_data(b"1;eleven=11\r\nx\r\n" * 3)
    assert connection.next_event().data == b"x"
    assert connection.next_event().data == b"x"
    with pytest.raises(LimitExceeded, match="chunk extensions"):
        connection.next_event()
