"""Our server with grpcio's client."""

import asyncio
import contextlib
import functools
import socket

import grpc
import kakuri_protobuf as kp
import pytest
import pytest_asyncio
from kakuri_grpc import Channel, NotFound, Server, StatusCode, StatusError
from kakuri_http2 import ClientDriver
from kakuri_http2 import Request as Head
from kakuri_tcp.testing import until

from .echo_service import BOTH, DOWN, UNARY, UP, EchoRequest, EchoResponse, our_server


def loads(data):
    return kp.decode(data, type=EchoResponse)


@pytest_asyncio.fixture
async def server(tmp_path):
    async with our_server() as running:
        running.where = await running.listen(f"unix:{tmp_path}/s")
        yield running


@pytest_asyncio.fixture
async def client(server):
    async with grpc.aio.insecure_channel(str(server.where)) as channel:
        yield channel


async def test_unary_call_gets_its_response(client):
    method = client.unary_unary("/test.Echo/Unary", kp.encode, loads)
    assert await method(EchoRequest(text="hello"), timeout=10) == EchoResponse(text="hello")
    assert len((await method(EchoRequest(count=314_159), timeout=10)).payload) == 314_159


async def test_all_streams_get_responses(client):
    down = client.unary_stream("/test.Echo/Down", kp.encode, loads)
    assert [one.text async for one in down(EchoRequest(text="n", count=3))] == ["n0", "n1", "n2"]
    up = client.stream_unary("/test.Echo/Up", kp.encode, loads)
    assert (await up(iter([EchoRequest(text="a"), EchoRequest(text="b")]))).text == "a,b"
    both = client.stream_stream("/test.Echo/Both", kp.encode, loads)
    assert [one.text async for one in both(iter([EchoRequest(text="a")]))] == ["a"]


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("/test.Echo/Unary", "fail", grpc.StatusCode.NOT_FOUND),
        ("/test.Echo/Unary", "crash", grpc.StatusCode.INTERNAL),
        ("/test.Echo/Missing", "", grpc.StatusCode.UNIMPLEMENTED),
        ("/test.Echo/Unary", "sleep", grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
async def test_failures_have_the_status_that_the_client_expects(client, path, text, code):
    method = client.unary_unary(path, kp.encode, loads)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(EchoRequest(text=text), timeout=0.2 if text == "sleep" else 10)
    assert caught.value.code() is code
    if text == "fail":
        assert caught.value.details() == "nö\nsuch 100 % thing"
    assert "secret" not in (caught.value.details() or "")


async def test_handler_of_a_cancelled_call_is_cancelled(client, server):
    method = client.unary_unary("/test.Echo/Unary", kp.encode, loads)
    running = method(EchoRequest(text="sleep"))
    await until(lambda: server._running)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    async with asyncio.timeout(10):
        await asyncio.wait([*server._running])


async def test_message_over_the_limit_is_resource_exhausted(client):
    method = client.unary_unary("/test.Echo/Unary", kp.encode, loads)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(EchoRequest(payload=bytes(5 << 20)), timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_bytes_that_are_not_a_message_are_status_internal(client):
    method = client.unary_unary("/test.Echo/Unary", lambda data: data, loads)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"\xff\xff", timeout=10)
    assert caught.value.code() is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("method", "kind", "status"),
    [
        (b"GET", b"application/grpc", 405),
        (b"POST", b"text/html", 415),
        (b"POST", b"", 415),
        (b"POST", b"application/grpc-web+proto", 415),
        (b"POST", b"application/grpc+proto", 200),
        (b"POST", b"application/grpc; charset=utf-8", 200),
    ],
)
async def test_requests_that_are_not_of_grpc_get_an_http_status(server, method, kind, status):
    loop = asyncio.get_running_loop()
    path = server.where.path
    _, client = await loop.create_unix_connection(ClientDriver, path)
    fields = ((b"content-type", kind),) if kind else ()
    async with client:
        exchange = await client.open(Head(method, b"/test.Echo/Unary", b"x", fields, end=True))
        assert (await exchange.response()).status == status


async def test_messages_that_wait_are_read_in_many_turns_of_the_event_loop(tmp_path):
    count = 10_000
    turns = 0

    async def up(requests, call):
        await until(lambda: call._exchange.is_complete)
        return EchoResponse(text=f"{await turns_for(requests)}")

    async def down(request, call):
        for _ in range(count):
            yield EchoResponse()

    async def turns_for(messages):
        nonlocal turns
        turns = 0
        turning = asyncio.ensure_future(turn())
        assert sum([1 async for _ in messages]) == count
        turning.cancel()
        return turns

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UP, up)
        server.add(DOWN, down)
        await server.listen(f"unix:{tmp_path}/s")
        async with await channel.stream(UP, timeout=10) as sending:
            for _ in range(count):
                await sending.send(EchoRequest())
            await sending.end()
            assert int((await sending.sole_response()).text) > count // 100
        async with await channel.stream(DOWN, EchoRequest(), timeout=10) as reading:
            await until(lambda: reading._exchange.is_complete)
            assert await turns_for(reading) > count // 100


async def test_socket_that_a_killed_server_left_is_replaced_and_removed_at_the_end(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with our_server() as server, Channel(f"unix:{path}") as channel:
        await server.listen(f"unix:{path}")
        assert path.stat().st_mode & 0o777 == 0o600
        assert await channel.call(UNARY, EchoRequest(text="x"), timeout=10) == EchoResponse(
            text="x"
        )
        async with Server() as other:
            with pytest.raises(OSError, match="another process listens there"):
                await other.listen(f"unix:{path}")
    assert not path.exists()


async def test_close_waits_for_all_clients_that_do_not_read_at_the_same_time(tmp_path):
    loop = asyncio.get_running_loop()
    server = Server()
    await server.listen(f"unix:{tmp_path}/s")
    with contextlib.ExitStack() as clients:
        for _ in range(3):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            await loop.sock_connect(client, f"{tmp_path}/s")
        await until(lambda: len(server._connections) == 3)
        transports = [connection._transport for connection in server._connections]
        for transport in transports:
            transport.write(bytes(4 << 20))
        closing = asyncio.ensure_future(server.close())
        await until(lambda: all(transport.is_closing() for transport in transports))
        assert not closing.done()
    await closing


async def test_two_handlers_for_a_method_raise_value_error(server):
    method, handler = server._methods[b"/test.Echo/Unary"]
    with pytest.raises(ValueError, match="already has a handler"):
        server.add(method, handler)


async def test_handler_whose_own_task_was_cancelled_fails_with_internal(tmp_path, caplog):
    async def handler(request, call):
        inner = asyncio.ensure_future(asyncio.Event().wait())
        inner.cancel()
        return await inner

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, handler)
        await server.listen(f"unix:{tmp_path}/s")
        with pytest.raises(StatusError) as caught:
            await channel.call(UNARY, EchoRequest(), timeout=10)
    assert caught.value.code is StatusCode.INTERNAL
    assert "failed" in caplog.text


TOO_UPPER = (("Upper Case", "value"),)


async def _raises_bad_trailers(request, call):
    raise NotFound("no order 7", TOO_UPPER)


async def _sets_bad_trailers(request, call):
    call.trailers = TOO_UPPER
    return EchoResponse()


async def _sets_and_raises(request, call):
    call.trailers = TOO_UPPER
    raise NotFound("no order 7")


async def _sends_bad_metadata(request, call):
    call.send_metadata(TOO_UPPER)
    return EchoResponse()


async def _sets_no_pairs(request, call):
    call.trailers = (7,)
    return EchoResponse()


async def _returns_another_class(request, call):
    return EchoRequest()


@pytest.mark.parametrize(
    ("handler", "logged"),
    [
        (_raises_bad_trailers, "in lower case, got 'Upper Case'"),
        (_sets_bad_trailers, "in lower case, got 'Upper Case'"),
        (_sets_and_raises, "in lower case, got 'Upper Case'"),
        (_sends_bad_metadata, "in lower case, got 'Upper Case'"),
        (_sets_no_pairs, "TypeError"),
        (_returns_another_class, "expected a message of class EchoResponse"),
    ],
)
async def test_mistake_of_a_handler_is_logged_and_ends_its_call_with_internal(
    tmp_path, caplog, handler, logged
):
    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, handler)
        await server.listen(f"unix:{tmp_path}/s")
        with pytest.raises(StatusError) as caught:
            await channel.call(UNARY, EchoRequest(), timeout=10)
    assert str(caught.value) == "INTERNAL: the server failed; its log says why"
    assert logged in caplog.text
    assert "never retrieved" not in caplog.text


async def test_late_handler_with_bad_trailers_ends_its_call_with_internal(tmp_path, caplog):
    async def handler(request, call):
        call.trailers = TOO_UPPER
        next(iter(server._deadlines._calls)).expire()
        await asyncio.Event().wait()

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, handler)
        await server.listen(f"unix:{tmp_path}/s")
        with pytest.raises(StatusError, match="its log says why"):
            await channel.call(UNARY, EchoRequest(), timeout=600)
    assert "in lower case, got 'Upper Case'" in caplog.text


async def _coroutine(request, call):
    return EchoResponse()


async def _generator(request, call):
    yield EchoResponse()


def _plain(request, call):
    return EchoResponse()


class Handlers:
    """Handlers as methods and as an object that is called."""

    async def coroutine(self, request, call):
        return EchoResponse()

    async def __call__(self, requests, call):
        yield EchoResponse()


@pytest.mark.parametrize("method", [UNARY, UP])
@pytest.mark.parametrize("handler", [_generator, _plain, Handlers(), EchoResponse(), None])
def test_handler_that_is_not_a_coroutine_function_raises_type_error_for_one_response(
    method, handler
):
    with pytest.raises(TypeError, match=f"a coroutine function as the handler of {method.path}"):
        Server().add(method, handler)


@pytest.mark.parametrize("method", [DOWN, BOTH])
@pytest.mark.parametrize("handler", [_coroutine, _plain, Handlers().coroutine])
def test_handler_that_is_not_a_generator_function_raises_type_error_for_a_stream(method, handler):
    with pytest.raises(TypeError, match="an async generator function as the handler of /test"):
        Server().add(method, handler)


@pytest.mark.parametrize(
    ("method", "handler"),
    [
        (UNARY, Handlers().coroutine),
        (UP, functools.partial(_coroutine)),
        (DOWN, Handlers()),
        (BOTH, functools.partial(_generator)),
    ],
)
def test_handler_may_be_a_method_or_an_object_that_is_called(method, handler):
    Server().add(method, handler)


async def test_call_takes_one_task_of_the_server_and_no_timer(tmp_path):
    loop = asyncio.get_running_loop()
    seen = []

    async def handler(request, call):
        seen.append((len(server._running), len(asyncio.all_tasks()), len(loop._scheduled)))
        return EchoResponse()

    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(UNARY, handler)
        await server.listen(f"unix:{tmp_path}/s")
        for _ in range(3):
            await channel.call(UNARY, EchoRequest(), timeout=10)
        assert seen[1] == seen[2]
        assert seen[2][:2] == (1, 2)  # the handler's and this one
        assert not len(server._deadlines)


def test_path_in_place_of_a_method_raises_type_error():
    async def handler(request, call):
        return request

    with pytest.raises(TypeError, match=r"^expected a Method, got '/a\.B/C'$"):
        Server().add("/a.B/C", handler)


@pytest.mark.parametrize("make", [Server, lambda limits: Channel("127.0.0.1:1", limits=limits)])
def test_limits_of_wrong_type_raise_type_error(make):
    with pytest.raises(TypeError, match=r"^expected Limits as limits, got 5$"):
        make(5)


@pytest.mark.parametrize("turns", range(1, 8))
async def test_server_whose_close_is_cancelled_is_closed_completely(tmp_path, turns):
    async with our_server() as server:
        where = await server.listen(f"unix:{tmp_path}/s")
        listener = server._servers[0]
        async with Channel(where) as channel:
            call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(text="sleep"), timeout=10))
            await until(lambda: server._running)
            closing = asyncio.ensure_future(server.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([call, closing])
            assert isinstance(call.exception(), StatusError)
        await until(lambda: listener._sweeper is None)
