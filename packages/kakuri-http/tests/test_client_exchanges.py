"""What belongs to one exchange of a client, over plain TCP and TLS, with and without asyncio."""

import asyncio
import contextlib
import socket
import threading
import time
from collections import OrderedDict
from pathlib import Path

import pytest
from kakuri_http import (
    Client,
    ClientError,
    ConnectionBroken,
    HTTPError,
    Limits,
    PoolLimits,
    Request,
    RequestTimeout,
    Response,
    ResponseClosed,
    Router,
    Timeouts,
    serve,
)
from kakuri_http._headers import Headers
from kakuri_http.blocking import BlockingClient
from kakuri_http.client._protocol import ClientProtocol
from kakuri_tcp.testing import MemoryTransport, run_pending

from .raw_server import cut, end, raw_server, read_head, reset

OVER = pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])


def directory_of(tmp_path, is_tls):
    return tmp_path if is_tls else None


async def requested(kind, url, tls, method="GET", **options):
    """Send one request with a client of a kind; return the response."""
    if kind == "async":
        async with Client(tls=tls) as client:
            return await client.request(method, url, **options)

    def ask():
        with BlockingClient(tls=tls) as client:
            return client.request(method, url, **options)

    return await asyncio.to_thread(ask)


EACH_KIND = pytest.mark.parametrize("kind", ["async", "blocking"])


# Exchanges that have ended.


def two_paths():
    router = Router()
    router.add("GET", "/a", lambda request: Response(200, [b"for ", b"a"]))
    router.add("GET", "/b", lambda request: Response(200, [b"for ", b"b"]))
    return router


@pytest.mark.parametrize("reads_before", [True, False])
async def test_response_read_after_its_block_raises_response_closed(reads_before):
    async with await serve("127.0.0.1:0", two_paths()) as server, Client(server.endpoint) as client:
        async with client.stream("GET", "/a") as first:
            pieces = aiter(first)
            if reads_before:
                assert await first.read() == b"for a"
        async with client.stream("GET", "/b") as second:
            for read in (first.read, pieces.__anext__, aiter(first).__anext__):
                with pytest.raises(ResponseClosed):
                    await read()
            assert await second.read() == b"for b"
        assert (second.status, second.trailers) == (200, second.trailers)


async def test_iteration_ends_with_the_block_of_the_stream():
    async with await serve("127.0.0.1:0", two_paths()) as server, Client(server.endpoint) as client:
        async with client.stream("GET", "/a") as first:
            pieces = aiter(first)
            assert await anext(pieces) in (b"for ", b"for a")
        async with client.stream("GET", "/b"):
            with pytest.raises(ResponseClosed):
                await anext(pieces)


async def test_reader_that_waits_when_the_block_ends_is_woken_with_response_closed():
    async def never(request):
        async def pieces():
            yield b"first"
            await asyncio.Event().wait()

        return Response(200, pieces())

    router = Router()
    router.add("GET", "/", never)
    async with await serve("127.0.0.1:0", router) as server, Client(server.endpoint) as client:
        async with client.stream("GET", "/") as response:
            assert await anext(aiter(response)) == b"first"
            reader = asyncio.create_task(anext(aiter(response)))
            await asyncio.sleep(0)
        with pytest.raises(ResponseClosed):
            await reader


async def test_trailers_of_a_response_are_not_those_of_the_next():
    replies = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Of: %b\r\n\r\n" % name
        for name in (b"first", b"second")
    ]

    def answer(peer):
        for reply in replies:
            read_head(peer)
            peer.sendall(reply)
        peer.recv(1)

    with raw_server(answer) as (url, _):
        async with Client() as client:
            async with client.stream("GET", url) as first:
                await first.read()
            async with client.stream("GET", url) as second:
                assert second.trailers is None or second.trailers["x-of"] == "second"
                await second.read()
            assert (first.trailers["x-of"], second.trailers["x-of"]) == ("first", "second")


async def test_connection_is_read_after_a_response_whose_content_was_not_read():
    router = Router()
    router.add("GET", "/a", lambda request: Response(200, b"a" * 2000))
    router.add("GET", "/b", lambda request: Response(200, b"for b"))
    limits = Limits(stream_buffer=1000)
    async with (
        await serve("127.0.0.1:0", router) as server,
        Client(server.endpoint, limits=limits, timeouts=Timeouts(read=5.0)) as client,
    ):
        async with client.stream("GET", "/a") as response:
            await until(lambda: response.trailers is not None)
        assert (await client.get("/b")).body == b"for b"


def test_blocking_response_read_after_its_block_raises_response_closed():
    def answer(peer):
        for content in (b"for a", b"for b"):
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + content)
        peer.recv(1)

    with raw_server(answer) as (url, _), BlockingClient() as client:
        with client.stream("GET", url) as first:
            assert first.read() == b"for a"
        with client.stream("GET", url) as second:
            for read in (first.read, iter(first).__next__):
                with pytest.raises(ResponseClosed):
                    read()
            assert second.read() == b"for b"


# Content that ends with the connection.


@OVER
@EACH_KIND
async def test_content_followed_by_an_orderly_close_is_complete(kind, is_tls, tmp_path):
    def answer(peer):
        read_head(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        end(peer)

    with raw_server(answer, directory_of(tmp_path, is_tls)) as (url, tls):
        assert (await requested(kind, url, tls)).body == b"all of it"


@pytest.mark.parametrize(
    ("is_tls", "ending"), [(False, reset), (True, reset), (True, cut)],
    ids=["plain-reset", "tls-reset", "tls-cut"],
)  # fmt: skip
@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n", b"HTTP/1.1 200 OK\r\nX: "],
    ids=["until-close", "http-1.0", "length", "chunked", "head"],
)  # fmt: skip
@EACH_KIND
async def test_content_that_is_cut_off_raises_http_error(kind, head, is_tls, ending, tmp_path):
    def answer(peer):
        read_head(peer)
        peer.sendall(head + b"half of it")
        ending(peer)

    directory = directory_of(tmp_path, is_tls)
    with raw_server(answer, directory) as (url, tls), pytest.raises(HTTPError):
        await requested(kind, url, tls)


@pytest.mark.parametrize("ending", [reset, socket.socket.close], ids=["reset", "close"])
@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 20", b"HTTP/1.1 103 Early Hints\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n"],
    ids=["nothing", "head", "interim", "length", "chunked"],
)  # fmt: skip
@EACH_KIND
async def test_response_that_is_cut_off_is_connection_broken(kind, start, ending):
    def answer(peer):
        read_head(peer)
        peer.sendall(start)
        ending(peer)

    with raw_server(answer) as (url, tls), pytest.raises(ConnectionBroken):
        await requested(kind, url, tls)


# Responses that arrive before the request has been sent.


@OVER
@EACH_KIND
@pytest.mark.parametrize("closes_late", [True, False])
@pytest.mark.parametrize(
    "make_body",
    [lambda: b"x" * 16_000_000, lambda: (b"x" * 100_000 for _ in range(160))],
    ids=["whole", "pieces"],
)
async def test_early_response_is_returned(kind, make_body, closes_late, is_tls, tmp_path):
    def answer(peer):
        read_head(peer)
        peer.sendall(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
        )
        if closes_late:
            time.sleep(0.1)  # meanwhile the client fills the buffer
        peer.close()

    with raw_server(answer, directory_of(tmp_path, is_tls)) as (url, tls):
        try:
            response = await requested(kind, url, tls, "POST", body=make_body())
        except ConnectionBroken:
            # A reset may overtake data that was sent before it.
            assert is_tls
            assert not closes_late
        else:
            assert (response.status, response.body) == (413, b"big")


@OVER
@EACH_KIND
async def test_connection_cut_between_pieces_of_a_request_is_connection_broken(
    kind, is_tls, tmp_path
):
    is_cut = threading.Event()

    def answer(peer):
        read_head(peer)
        (cut if is_tls else reset)(peer)
        is_cut.set()

    def body():
        yield b"x"
        is_cut.wait(10)
        yield from (b"x" * 100_000 for _ in range(160))

    directory = directory_of(tmp_path, is_tls)
    with raw_server(answer, directory) as (url, tls), pytest.raises(ConnectionBroken):
        await requested(kind, url, tls, "POST", body=body())


# Idle connections.


@OVER
async def test_kept_connection_that_the_server_closed_while_the_loop_was_busy_is_not_used(
    is_tls, tmp_path
):
    closing, connections = [], []

    def answer(peer):
        connections.append(peer)
        read_head(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        while not closing:
            time.sleep(0.001)
        end(peer)
        closing.append("done")

    with raw_server(answer, directory_of(tmp_path, is_tls)) as (url, tls):
        async with Client(tls=tls) as client:
            await client.request("GET", url)
            closing.append("now")
            while "done" not in closing:
                time.sleep(0.001)  # noqa: ASYNC251 - the event loop does not see the end
            assert (await client.request("POST", url, body=b"x")).body == b"ok"
    assert len(connections) == 2


def test_default_idle_time_is_shorter_than_that_of_common_servers():
    assert PoolLimits().idle < 5


def test_blocking_client_does_not_use_an_old_connection(monkeypatch):
    connections = []

    def answer(peer):
        connections.append(peer)
        while read_head(peer):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw_server(answer) as (url, _), BlockingClient() as client:
        client.request("GET", url)
        client.request("GET", url)
        assert len(connections) == 1
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + PoolLimits().idle + 0.1)
        client.request("GET", url)
        assert len(connections) == 2


# Slots of the pool.


@contextlib.asynccontextmanager
async def gated(**limits):
    """Serve requests that wait for a gate; yield the client, the gate and the requests."""
    gate, arrived = asyncio.Semaphore(0), []

    async def handler(request):
        arrived.append(request.params["name"])
        await gate.acquire()
        return Response(int(request.query.get("status", "200")), b"ok")

    router = Router()
    router.add("GET", "/:name", handler)
    async with (
        await serve("127.0.0.1:0", router) as server,
        Client(server.endpoint, pool=PoolLimits(**limits)) as client,
    ):
        yield client, gate, arrived


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the condition never became true")


@pytest.mark.parametrize("limits", [{"per_host": 1}, {"connections": 1}, {"per_host": 3}])
async def test_requests_get_connections_in_the_order_of_arrival(limits):
    async with gated(**limits) as (client, gate, arrived):
        names = [f"n{number:02}" for number in range(20)]
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(client.request("GET", f"/{name}")))
            await asyncio.sleep(0)
        for _ in names:
            gate.release()
        await asyncio.gather(*tasks)
        if limits == {"per_host": 3}:
            assert sorted(arrived[:3]) == names[:3]
            assert all(abs(arrived.index(name) - at) <= 3 for at, name in enumerate(names))
        else:
            assert arrived == names


async def test_repeated_request_does_not_overtake_waiting_ones():
    async with gated(per_host=1) as (client, gate, arrived):

        async def busy():
            for number in range(5):
                await client.request("GET", f"/busy{number}")

        task = asyncio.create_task(busy())
        await until(lambda: arrived)
        other = asyncio.create_task(client.request("GET", "/other"))
        await asyncio.sleep(0)
        for _ in range(6):
            gate.release()
        await asyncio.gather(task, other)
        assert arrived[1] == "other"


class CountingQueue(OrderedDict):
    """The queue of an endpoint; counts the requests that are examined."""

    looked_at = 0

    def items(self):
        for item in super().items():
            self.looked_at += 1
            yield item


async def test_slot_that_becomes_free_costs_the_same_however_many_requests_wait():
    async with gated(per_host=1) as (client, gate, arrived):
        first = asyncio.create_task(client.request("GET", "/first"))
        await until(lambda: arrived)
        waiting = [asyncio.create_task(client.request("GET", f"/{n}")) for n in range(50)]
        await until(lambda: "50 waiting" in repr(client))
        waiters = client._pool._waiters
        (endpoint,) = waiters
        queue = waiters[endpoint] = CountingQueue(waiters[endpoint])
        waiting[20].cancel()
        for _ in range(50):
            gate.release()
        await asyncio.gather(first, *waiting, return_exceptions=True)
        assert arrived == ["first", *(str(n) for n in range(50) if n != 20)]
        assert queue.looked_at <= 2 * 50


@pytest.mark.parametrize("fate", ["aborted", "cancelled", "kept"])
async def test_waiting_request_gets_the_slot_of_a_discarded_connection(fate):
    async with gated(per_host=1) as (client, gate, arrived):
        first = asyncio.create_task(client.request("GET", "/first"))
        await until(lambda: arrived)
        waiting = [asyncio.create_task(client.request("GET", f"/{n}")) for n in range(3)]
        await asyncio.sleep(0)
        if fate == "cancelled":
            first.cancel()
        elif fate == "aborted":
            (connection,) = client._pool._in_use
            connection.abort()
        else:
            waiting[0].cancel()
        for _ in range(10):  # a handler whose client disconnected may take one
            gate.release()
        outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert [getattr(outcome, "status", None) for outcome in outcomes[2:]] == [200, 200]
        assert repr(client) == "<Client <Pool 0 in use, 1 idle, 0 waiting>>"


async def test_waiting_request_gets_the_slot_of_a_failed_connect():
    async with Client(pool=PoolLimits(per_host=1), timeouts=Timeouts(pool=5.0)) as client:
        with raw_server(lambda peer: None) as (url, _):
            pass
        tasks = [asyncio.create_task(client.request("GET", url)) for _ in range(5)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome).__name__ for outcome in outcomes] == ["ConnectFailed"] * 5
        assert repr(client) == "<Client <Pool 0 in use, 0 idle, 0 waiting>>"


async def test_request_cancelled_while_waiting_leaves_the_queue():
    async with gated(per_host=1) as (client, gate, arrived):
        first = asyncio.create_task(client.request("GET", "/first"))
        await until(lambda: arrived)
        with pytest.raises(RequestTimeout) as caught:
            await client.request("GET", "/late", timeouts=Timeouts(pool=0.01))
        assert caught.value.phase == "pool"
        waiting = asyncio.create_task(client.request("GET", "/waiting"))
        await asyncio.sleep(0)
        gate.release()
        await first
        # In the turn in which the slot was assigned, before the request could use it.
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        gate.release()
        gate.release()
        assert (await client.request("GET", "/next")).status == 200
        assert "waiting" in repr(client)
        assert client._pool._count.total() == 1


async def test_full_host_does_not_delay_requests_to_another():
    async with gated(per_host=1) as (client, gate, arrived):
        first = asyncio.create_task(client.request("GET", "/first"))
        await until(lambda: arrived)
        waiting = asyncio.create_task(client.request("GET", "/waiting"))
        await asyncio.sleep(0)

        def answer(peer):
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        with raw_server(answer) as (url, _):
            async with Client(pool=PoolLimits(per_host=1)) as other:
                assert (await other.request("GET", url)).status == 200
        gate.release()
        gate.release()
        await asyncio.gather(first, waiting)


async def test_closing_the_client_fails_waiting_requests():
    async with gated(per_host=1) as (client, _, arrived):
        tasks = [asyncio.create_task(client.request("GET", f"/{n}")) for n in range(3)]
        await until(lambda: arrived)
        await client.close()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, ClientError) for outcome in outcomes)


def test_client_used_in_another_event_loop_raises_runtime_error():
    client = Client()

    async def ask():
        def answer(peer):
            read_head(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

        with raw_server(answer) as (url, _):
            return await client.request("GET", url)

    assert asyncio.run(ask()).body == b"ok"
    with pytest.raises(RuntimeError, match="one client per loop"):
        asyncio.run(ask())


# Arguments of the wrong type.


async def forgotten():
    """Stand in for a coroutine that was not awaited."""


WRONG_BODIES = [5, 1.5, "text", {"a": 1}, object(), Path("/etc/hostname"), True, forgotten, bytes]


@pytest.mark.parametrize("body", [*WRONG_BODIES, ["text"], [1], ("a", b"b")], ids=repr)
@EACH_KIND
async def test_body_of_the_wrong_type_raises_type_error_before_connecting(kind, body):
    with pytest.raises(TypeError, match="as body, got"):
        await requested(kind, "http://127.0.0.1:1/", None, "POST", body=body)


async def test_coroutine_as_body_raises_type_error():
    coroutine = forgotten()
    with pytest.raises(TypeError, match="got coroutine"):
        await requested("async", "http://127.0.0.1:1/", None, "POST", body=coroutine)
    coroutine.close()


@pytest.mark.parametrize("piece", ["text", 5, None, [b"x"]])
@EACH_KIND
async def test_piece_of_the_wrong_type_raises_type_error(kind, piece):
    def answer(peer):
        read_head(peer)
        while peer.recv(4096):
            pass

    with raw_server(answer) as (url, _):
        body = (part for part in (b"x", piece))
        with pytest.raises(TypeError, match="a piece of"):
            await requested(kind, url, None, "POST", body=body)


@pytest.mark.parametrize(
    "body",
    [bytearray(b"abc"), memoryview(b"abc"), memoryview(b"aXbXcX")[::2], [b"a", bytearray(b"bc")]],
)
@EACH_KIND
async def test_bytes_like_body_is_sent_whole(kind, body):
    received = []

    def answer(peer):
        data = read_head(peer)
        while not data.endswith((b"abc", b"0\r\n\r\n")):
            data += peer.recv(4096)
        received.append(data)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw_server(answer) as (url, _):
        await requested(kind, url, None, "POST", body=body)
    assert b"abc" in received[0].replace(b"\r\n2\r\n", b"")


@pytest.mark.parametrize("client", [Client, BlockingClient])
@pytest.mark.parametrize(
    "options",
    [{"timeouts": 5}, {"limits": {}}, {"limits": 5}, {"tls": True}],
    ids=repr,
)  # fmt: skip
def test_client_setting_of_the_wrong_type_raises_type_error(client, options):
    (name,) = options
    with pytest.raises(TypeError, match=rf"as {name}, got"):
        client(**options)


@pytest.mark.parametrize("client", [Client, BlockingClient])
@pytest.mark.parametrize("endpoint", [8080, b"127.0.0.1:80", ("127.0.0.1", 80)])
def test_client_endpoint_of_the_wrong_type_raises_type_error(client, endpoint):
    with pytest.raises(TypeError, match=r"expected an endpoint such as '127\.0\.0\.1:9000', got"):
        client(endpoint)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Timeouts(total="5"), TypeError),
        (lambda: Timeouts(connect=None), TypeError),
        (lambda: Timeouts(total=10**400), ValueError),
        (lambda: Timeouts(read=True), TypeError),
        (lambda: Timeouts(write=-1), ValueError),
        (lambda: Timeouts(pool=float("nan")), ValueError),
        (lambda: PoolLimits(connections="5"), TypeError),
        (lambda: PoolLimits(per_host=0), ValueError),
        (lambda: PoolLimits(idle="soon"), TypeError),
        (lambda: Client(pool=5), TypeError),
    ],
)
def test_error_of_a_setting_of_the_wrong_type_or_value_names_it(make, error):
    with pytest.raises(error, match="as "):
        make()


@pytest.mark.parametrize(
    "options",
    [{"headers": "X: y"}, {"headers": b"X: y"}, {"headers": 5}, {"headers": ["X: y"]},
     {"headers": [("X",)]}, {"headers": {"X": 1}}, {"headers": {1: "X"}}, {"headers": {"X": None}},
     {"headers": {"X": b"y"}}, {"redirects": "3"}, {"redirects": True}],
    ids=repr,
)  # fmt: skip
@EACH_KIND
async def test_argument_of_the_wrong_type_raises_type_error(kind, options):
    with pytest.raises(TypeError, match="expected"):
        await requested(kind, "http://127.0.0.1:1/", None, **options)


@pytest.mark.parametrize("method", [b"GET", None, 5])
@EACH_KIND
async def test_method_that_is_not_text_raises_type_error(kind, method):
    with pytest.raises(TypeError, match="expected a string as method"):
        await requested(kind, "http://127.0.0.1:1/", None, method)


@pytest.mark.parametrize("timeouts", [5, {"total": 5}])
async def test_timeouts_of_a_request_of_the_wrong_type_raise_type_error(timeouts):
    async with Client() as client:
        with pytest.raises(TypeError, match="as timeouts, got"):
            await client.request("GET", "http://127.0.0.1:1/", timeouts=timeouts)


@pytest.mark.parametrize("body", [{"a": 1}, 5, "text", bytearray(b"x"), object(), forgotten])
def test_response_with_a_body_of_the_wrong_type_raises_type_error(body):
    with pytest.raises(TypeError, match="expected bytes or pieces of bytes as body, got"):
        Response(200, body)


@pytest.mark.parametrize("status", ["200", None, 200.0])
def test_response_with_a_status_that_is_not_a_number_raises_type_error(status):
    with pytest.raises(TypeError, match="expected an integer as status, got"):
        Response(status)


# Errors while a response is being read.


def begun(peer):
    """Send the first part of a response, and no more; read the request until the client closes."""
    read_head(peer)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun")
    while peer.recv(4096):
        pass


async def test_read_that_was_cancelled_does_not_end_the_content():
    with raw_server(begun) as (url, _):
        async with (
            Client(timeouts=Timeouts(read=0.1)) as client,
            client.stream("GET", url) as response,
        ):
            pieces = aiter(response)
            assert await anext(pieces) == b"begun"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(pieces), 0.01)
            with pytest.raises(RequestTimeout):
                await anext(pieces)
            with pytest.raises(ConnectionBroken):
                await anext(pieces)


def test_read_after_a_timeout_does_not_end_the_content():
    with (
        raw_server(begun) as (url, _),
        BlockingClient(timeouts=Timeouts(read=0.05)) as client,
        client.stream("GET", url) as response,
    ):
        pieces = iter(response)
        assert next(pieces) == b"begun"
        for _ in range(2):
            with pytest.raises(RequestTimeout):
                next(pieces)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of the caller"),
        TimeoutError("of the caller"),
        BaseException("of the caller"),  # as `pytest.fail` raises
    ],
    ids=lambda error: type(error).__name__,
)
async def test_error_of_the_body_is_raised_although_the_response_has_begun(error):
    head_came = asyncio.Event()

    async def body():
        yield b"first"
        await head_came.wait()
        raise error

    with raw_server(begun) as (url, _):
        async with Client() as client, client.stream("POST", url, body=body()) as response:
            pieces = aiter(response)
            assert await anext(pieces) == b"begun"
            head_came.set()
            with pytest.raises(type(error), match="of the caller"):
                await anext(pieces)


async def test_write_timeout_is_raised_although_the_response_has_begun():
    def stop_reading(peer):
        read_head(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun")
        client_is_done.wait(10)

    client_is_done = threading.Event()
    with raw_server(stop_reading) as (url, _):
        async with Client(timeouts=Timeouts(write=0.1)) as client:
            endless = (b"x" * 65536 for _ in iter(int, 1))
            with pytest.raises(RequestTimeout) as caught:
                await client.post(url, endless)
            assert caught.value.phase == "write"
        client_is_done.set()


@pytest.mark.parametrize("is_async", [True, False])
async def test_generator_as_body_is_closed_when_its_request_fails(is_async):
    closed = []

    async def later():
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.append(True)

    def now():
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.append(True)

    def stop_reading(peer):
        read_head(peer)
        client_is_done.wait(10)

    client_is_done = threading.Event()
    body = later() if is_async else now()
    with raw_server(stop_reading) as (url, _):
        async with Client(timeouts=Timeouts(total=0.1)) as client:
            with pytest.raises(RequestTimeout):
                await client.post(url, body)
            assert closed == [True]
        client_is_done.set()


@EACH_KIND
@pytest.mark.parametrize("framing", [b"Content-Length: 600000\r\n", b""])
async def test_large_response_over_tls_is_complete_if_the_server_closes_after_it(
    kind, framing, tmp_path
):
    def answer(peer):
        read_head(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + b"x" * 600_000)
        end(peer)

    with raw_server(answer, tmp_path) as (url, tls):
        response = await requested(kind, url, tls)
    assert response.body == b"x" * 600_000


async def test_content_is_not_written_to_a_lost_connection(caplog):
    def refuse(peer):
        read_head(peer)
        peer.sendall(b"HTTP/1.1 413 \r\nContent-Length: 0\r\n\r\n")
        reset(peer)

    with raw_server(refuse) as (url, _):
        async with Client() as client:
            with contextlib.suppress(ConnectionBroken):
                await client.post(url, (b"x" * 50_000 for _ in range(1000)))
    assert not caplog.records


class Pieces:
    """A body whose iterators are generators; `closed` has the task in which each was closed."""

    def __init__(self):
        self.closed = []

    def __iter__(self):
        try:
            while True:
                yield b"x" * 1000
        finally:
            self.closed.append(None)


class AsyncPieces(Pieces):
    async def __aiter__(self):
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)  # a second cancellation would interrupt it
            self.closed.append(asyncio.current_task())


def too_large(peer):
    read_head(peer)
    peer.recv(1)
    peer.sendall(b"HTTP/1.1 413 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    peer.recv(100_000)


@EACH_KIND
@pytest.mark.parametrize("make_body", [Pieces, lambda: iter(Pieces())])
async def test_generator_as_body_is_closed_when_an_early_response_ends_its_request(kind, make_body):
    pieces = Pieces()
    body = iter(pieces) if make_body is not Pieces else pieces
    with raw_server(too_large) as (url, _):
        assert (await requested(kind, url, None, "POST", body=body)).status == 413
    assert pieces.closed == [None]


async def test_early_response_is_returned_if_the_body_suppresses_the_cancellation():
    async def body():
        while True:
            try:
                yield b"x" * 1000
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                yield b"y"

    with raw_server(too_large) as (url, _):
        response = await asyncio.wait_for(requested("async", url, None, "POST", body=body()), 10)
    assert response.status == 413


async def test_request_whose_body_ends_when_it_is_cancelled_is_not_completed():
    async def body():
        with contextlib.suppress(asyncio.CancelledError):
            yield b"abc"
            await asyncio.Event().wait()

    protocol = ClientProtocol(Limits())
    transport = MemoryTransport(protocol)
    request = Request("POST", "/", Headers(), host="a", length=None)
    asking = asyncio.create_task(protocol.start(request, body(), Timeouts(), body_limit=100))
    await until(lambda: b"abc" in transport._buffer)
    await run_pending()
    protocol.end_exchange()
    await until(lambda: protocol.sender is None)
    assert transport.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
    assert protocol.is_closing
    asking.cancel()


async def test_generator_of_an_async_iterable_is_closed_by_the_task_that_sent_it():
    pieces = AsyncPieces()
    with raw_server(too_large) as (url, _):
        assert (await requested("async", url, None, "POST", body=pieces)).status == 413
    (task,) = pieces.closed
    assert task.get_coro().__name__ == "_send"


class OnlyNext:
    """An iterator of two pieces without `__iter__`, as the data model allows."""

    def __init__(self):
        self.pieces = [b"b", b"a"]

    def __next__(self):
        if not self.pieces:
            raise StopIteration
        return self.pieces.pop()


class OnlyAnext(OnlyNext):
    async def __anext__(self):
        if not self.pieces:
            raise StopAsyncIteration
        return self.pieces.pop()


class Bare:
    def __iter__(self):
        return OnlyNext()


class AsyncBare:
    def __aiter__(self):
        return OnlyAnext()


@pytest.mark.parametrize(
    ("kind", "make_body"), [("async", Bare), ("async", AsyncBare), ("blocking", Bare)]
)
async def test_body_whose_iterator_has_no_dunder_iter_is_sent(kind, make_body):
    router = Router()
    router.add("POST", "/", lambda request: Response(200, [request.body, b"c"]))
    router.add("GET", "/", lambda request: Response(200, make_body()))
    async with await serve("127.0.0.1:0", router) as server:
        url = f"http://{server.endpoint.host}:{server.endpoint.port}/"
        assert (await requested(kind, url, None, "POST", body=make_body())).body == b"abc"
        assert (await requested(kind, url, None)).body == b"ab"


async def test_generator_of_a_response_is_closed_by_the_task_that_sent_it():
    pieces, router = AsyncPieces(), Router()
    router.add("GET", "/", lambda request: Response(200, pieces))
    async with await serve("127.0.0.1:0", router) as server, Client(server.endpoint) as client:
        async with client.stream("GET", "/") as response:
            await anext(response)
        await until(lambda: pieces.closed)
    (task,) = pieces.closed
    assert task.get_coro().__name__ == "_send_streamed"
