"""Sending content: during a response, to slow readers, and without blocking the event loop."""

import asyncio
import os
import re
import threading

import pytest
from kakuri_http import (
    Client,
    LimitExceeded,
    Limits,
    RequestTimeout,
    Response,
    Router,
    Timeouts,
    serve,
)
from kakuri_http.blocking import BlockingClient
from kakuri_http.client._protocol import ClientProtocol
from kakuri_tcp import Outstanding
from kakuri_tcp.blocking import Connection
from kakuri_tcp.testing import until

from .raw_server import raw_server, read_head
from .test_client_exchanges import EACH_KIND, requested
from .wire import wired


async def upper(request):
    async def pieces():
        async for piece in request.stream():
            yield piece.upper()

    return Response(200, pieces())


@EACH_KIND
@pytest.mark.parametrize(
    "make_body",
    [lambda: b"x" * 1_000_000, lambda: (b"x" * 10_000 for _ in range(100))],
    ids=["whole", "pieces"],
)
async def test_successful_response_that_begins_early_does_not_end_the_request(kind, make_body):
    router = Router()
    router.add("POST", "/", upper, streaming=True)
    async with await serve("127.0.0.1:0", router) as server:
        response = await requested(kind, f"http://{server.endpoint}/", None, "POST",
                                   body=make_body())  # fmt: skip
    assert response.body == b"X" * 1_000_000


async def test_early_response_that_was_not_read_is_not_part_of_the_next_one():
    is_answered = threading.Event()

    async def answer(request):
        async def pieces():
            async for piece in request.stream():
                yield piece
                is_answered.set()

        return Response(200, pieces())

    router = Router()
    router.add("POST", "/", answer, streaming=True)
    router.add("GET", "/", lambda request: Response(200, b"next"))

    def body():
        yield b"x"
        assert is_answered.wait(10)
        yield b"x"

    def ask():
        with BlockingClient(server.endpoint) as client:
            with client.stream("POST", "/", body=body()) as response:
                assert response.status == 200
            return client.get("/").body

    async with await serve("127.0.0.1:0", router) as server:
        assert await asyncio.to_thread(ask) == b"next"


@EACH_KIND
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_content_is_not_sent_if_the_response_comes_instead_of_100(kind, interim, monkeypatch):
    monkeypatch.setattr("kakuri_http.client._protocol.CONTINUE_WAIT", 0.1)
    received = []

    def answer(peer):
        read_head(peer)
        peer.sendall(interim)
        peer.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nab")
        peer.settimeout(0.3)  # longer than the client waits for 100
        try:
            received.append(peer.recv(100))
        except TimeoutError:
            received.append(b"nothing")
        peer.sendall(b"cd")

    with raw_server(answer) as (url, _):
        response = await requested(
            kind, url, None, "POST", body=b"content", headers={"Expect": "100-continue"}
        )
    assert (response.status, response.body, received) == (401, b"abcd", [b"nothing"])


async def test_write_timeout_restarts_while_the_server_reads(monkeypatch):
    # What the kernel reports: the server reads three times, and then nothing more.
    measured = iter([(9, 0), (8, 0), (8, 0), (8, 1), (8, 1), (7, 1), (7, 1), (7, 1)])
    monkeypatch.setattr(ClientProtocol, "outstanding", lambda self: Outstanding(*next(measured)))

    def answer(peer):
        read_head(peer)
        peer.recv(1)
        is_over.wait()

    is_over = threading.Event()
    with raw_server(answer) as (url, _):
        async with Client(timeouts=Timeouts(write=0.02)) as client:
            with pytest.raises(RequestTimeout) as caught:
                await client.post(url, b"x" * 20_000_000)
        is_over.set()
    assert caught.value.phase == "write"
    assert list(measured) == []


def test_blocking_write_timeout_restarts_while_the_server_reads(monkeypatch):
    # Before a send that succeeds, then before and after each one that times out.
    measured = iter([(0, 0), (9, 0), (8, 0), (8, 0), (8, 1), (8, 1), (8, 1)])
    monkeypatch.setattr(Connection, "outstanding", lambda self: Outstanding(*next(measured)))
    sizes = iter([10, TimeoutError, TimeoutError, TimeoutError])

    def send_some(self, data):
        size = next(sizes)
        if size is TimeoutError:
            raise size
        return size

    monkeypatch.setattr(Connection, "send_some", send_some)
    with (
        raw_server(read_head) as (url, _),
        BlockingClient() as client,
        pytest.raises(RequestTimeout) as caught,
    ):
        client.post(url, b"x" * 100_000)
    assert caught.value.phase == "write"
    assert (list(measured), list(sizes)) == ([], [])


def test_error_of_an_early_response_is_raised_if_sending_fails(monkeypatch):
    def send_some(self, data):
        while not self.has_input():
            pass
        raise ConnectionResetError

    def answer(peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx")
        peer.recv(1)

    monkeypatch.setattr(Connection, "send_some", send_some)
    with (
        raw_server(answer) as (url, _),
        BlockingClient(limits=Limits(body=100)) as client,
        pytest.raises(LimitExceeded, match="at most 100 bytes"),
    ):
        client.post(url, b"x" * 100_000)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of fork(), since 3.12
def test_blocking_client_opens_its_own_connection_after_a_fork():
    def answer(peer):
        connections.append(peer)
        while read_head(peer):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % len(connections))

    connections = []
    with raw_server(answer) as (url, _), BlockingClient() as client:
        assert client.get(url).body == b"1"
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(writing, client.get(url).body)
            finally:
                os._exit(0)
        os.close(writing)  # so that a child that fails ends the read
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == b"2"


async def count_turns(counted):
    while True:
        await asyncio.sleep(0)
        counted.append(1)


async def test_response_in_many_pieces_lets_others_use_the_event_loop():
    turns, turns_at_piece = [], []

    def pieces():
        for _ in range(50):
            turns_at_piece.append(len(turns))
            yield b"x"

    router = Router()
    router.add("GET", "/", lambda request: Response(200, pieces()))
    async with wired(router, limits=Limits(slice_time=1e-9)) as wire:
        counting = asyncio.create_task(count_turns(turns))
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await wire.read_all()).count(b"x\r\n") == 50
        counting.cancel()
    assert len(set(turns_at_piece)) == 50


async def test_request_in_many_pieces_lets_others_use_the_event_loop(monkeypatch):
    monkeypatch.setattr("kakuri_http.client._protocol.SLICE_SECONDS", 0.0)
    turns, turns_at_piece = [], []

    def pieces():
        for _ in range(50):
            turns_at_piece.append(len(turns))
            yield b"x"

    async with wired() as wire, Client(wire.server.endpoint) as client:
        counting = asyncio.create_task(count_turns(turns))
        assert (await client.post("/echo", pieces())).body == b"x" * 50
        counting.cancel()
    assert len(set(turns_at_piece)) == 50


async def test_pieces_of_a_response_are_counted_in_bytes():
    router = Router()
    piece = memoryview(b"abcdefgh").cast("I")
    router.add("GET", "/", lambda request: Response(200, [piece, bytearray(b"i")]))
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await wire.read_all()).endswith(b"\r\n\r\n8\r\nabcdefgh\r\n1\r\ni\r\n0\r\n\r\n")


async def test_piece_of_a_response_of_the_wrong_type_cuts_it_off(caplog):
    router = Router()
    router.add("GET", "/", lambda request: Response(200, iter([b"x", "text"])))
    async with wired(router) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionError):
            await wire.read_all()
    assert re.search("expected pieces of bytes as body, got a piece of str", caplog.text)


async def test_stream_of_an_earlier_request_does_not_resume_reading_the_next_one():
    streams = []
    is_over = asyncio.Event()

    async def early(request):
        streams.append(request.stream_source)
        await until(lambda: request.stream_source.is_paused)
        return Response(200, b"early")

    async def hold(request):
        streams.append(request.stream_source)
        await is_over.wait()
        return Response(200)

    router = Router()
    router.add("POST", "/early", early, streaming=True)
    router.add("POST", "/hold", hold, streaming=True, body_limit=1 << 30)
    async with wired(router, limits=Limits(stream_buffer=2000)) as wire:
        wire.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n")
        for _ in range(3):
            wire.send(b"x" * 1000)
            await asyncio.sleep(0.01)
        await wire.reader.readuntil(b"early")
        wire.send(b"POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
        wire.send(b"y" * 50_000_000)
        await until(lambda: len(streams) == 2 and streams[1].is_paused)
        size = streams[1].size
        await anext(streams[0])  # what had arrived
        await anext(streams[0])
        for _ in range(100):
            await asyncio.sleep(0)
        assert streams[1].size < size + 600_000  # one more read may follow a pause
        is_over.set()
