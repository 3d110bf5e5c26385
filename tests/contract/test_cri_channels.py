"""Every implementation of `kakuri_cri.Channel` keeps its promises: bytes in, bytes out, one error.

The server is kakuri-grpc's, with methods that carry raw bytes.
"""

import asyncio
import contextlib
import time

import grpc
import pytest
from kakuri_cri import ChannelError, GrpcChannel, Runtime
from kakuri_cri.testing import FakeCri
from kakuri_grpc import Limits, Method, Server, StatusCode, status_error
from kakuri_sidecar import GrpcioChannel
from kakuri_tcp.testing import until

CHANNELS = {"kakuri-grpc": GrpcChannel, "grpcio": GrpcioChannel}
"""The implementations by name; each is created with an endpoint."""

UNARY = Method("/test.Service/Unary", bytes, bytes)
DOWN = Method("/test.Service/Down", bytes, bytes, server_streams=True)


class Service:
    """A server that answers as a request demands, and counts requests."""

    def __init__(self):
        self.calls = 0
        self.cancelled = 0
        self.authorities = []
        self.server = Server(Limits(received=32 << 20))
        self.server.add(UNARY, self.unary)
        self.server.add(DOWN, self.down)

    async def unary(self, request, call):
        self.calls += 1
        if request.isdigit():
            return bytes(int(request))
        if request == b"hang":
            await self.hang()
        if request.startswith(b"fail "):
            _, code, message = request.decode().split(" ", 2)
            raise status_error(StatusCode[code], message)
        return request

    async def down(self, request, call):
        for number in range(int(request)):
            yield b"%d" % number
        if request == b"2":
            raise status_error(StatusCode.NOT_FOUND, "no more")
        if request == b"3":
            await self.hang()

    async def hang(self):
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1


@pytest.fixture
async def service(tmp_path):
    served = Service()
    async with served.server:
        await served.server.listen(f"unix:{tmp_path}/s")
        yield served


@pytest.fixture(params=CHANNELS.values(), ids=list(CHANNELS))
async def channel(request, service, tmp_path):
    opened = request.param(f"unix:{tmp_path}/s")
    yield opened
    await opened.close()


@pytest.mark.parametrize("data", [b"", b"\0", b"hello", bytes(100_000)])
async def test_call_returns_the_bytes_of_the_answer(channel, data):
    assert await channel.call(UNARY.path, data, timeout=10) == data


@pytest.mark.parametrize("make_channel", CHANNELS.values(), ids=list(CHANNELS))
async def test_call_waits_for_a_runtime_that_is_too_busy_to_accept_its_connection(
    make_channel, service, tmp_path
):
    def accept():
        time.sleep(0.3)  # blocks the server, which shares this event loop
        return service.server._new_connection()

    listener = await asyncio.get_running_loop().create_unix_server(accept, f"{tmp_path}/busy")
    channel = make_channel(f"unix:{tmp_path}/busy")
    assert await channel.call(UNARY.path, b"hello", timeout=10) == b"hello"
    await channel.close()
    listener.close()


async def test_call_accepts_sixteen_mebibytes(channel):
    assert len(await channel.call(UNARY.path, b"%d" % (16 << 20), timeout=60)) == 16 << 20


async def test_answer_over_the_limit_is_resource_exhausted(channel):
    with pytest.raises(ChannelError) as caught:
        await channel.call(UNARY.path, b"%d" % ((16 << 20) + 1), timeout=60)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("code", [code.name for code in StatusCode if code is not StatusCode.OK])
async def test_status_is_raised_with_its_name(channel, code):
    with pytest.raises(ChannelError) as caught:
        await channel.call(UNARY.path, f"fail {code} nö\nway".encode(), timeout=10)
    assert caught.value.code == code
    assert caught.value.message == "nö\nway"


@pytest.mark.parametrize("make_channel", CHANNELS.values(), ids=list(CHANNELS))
async def test_error_of_half_a_mebibyte_ends_its_call_only_and_keeps_its_code(
    make_channel, tmp_path
):
    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(answer)

    async def answer(request, context):
        if request == b"fail":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such program: " + "x" * (1 << 19))
        await failed.wait()
        return request

    failed = asyncio.Event()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Handler()])
    server.add_insecure_port(f"unix:{tmp_path}/long")
    channel = make_channel(f"unix:{tmp_path}/long")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, None)
        stack.push_async_callback(channel.close)
        await server.start()
        other = asyncio.ensure_future(channel.call(UNARY.path, b"other", timeout=60))
        with pytest.raises(ChannelError) as caught:
            await channel.call(UNARY.path, b"fail", timeout=60)
        failed.set()
        assert await other == b"other"
    assert (caught.value.code, caught.value.message[:16]) == ("NOT_FOUND", "no such program:")


async def test_call_that_takes_too_long_is_deadline_exceeded(channel, service):
    await channel.call(UNARY.path, b"opens the connection", timeout=10)
    with pytest.raises(ChannelError) as caught:
        await channel.call(UNARY.path, b"hang", timeout=1.0)
    assert caught.value.code == "DEADLINE_EXCEEDED"
    await until(lambda: service.cancelled == 1)


async def test_cancelled_call_is_cancelled_on_the_server(channel, service):
    call = asyncio.ensure_future(channel.call(UNARY.path, b"hang", timeout=None))
    await until(lambda: service.calls == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: service.cancelled == 1)


async def test_unknown_method_is_unimplemented(channel):
    with pytest.raises(ChannelError) as caught:
        await channel.call("/test.Service/Missing", b"", timeout=10)
    assert caught.value.code == "UNIMPLEMENTED"


async def test_stream_yields_answers_until_the_end(channel):
    answers = [data async for data in channel.stream(DOWN.path, b"5", timeout=10)]
    assert answers == [b"0", b"1", b"2", b"3", b"4"]


async def test_stream_raises_the_status_after_its_answers(channel):
    stream = channel.stream(DOWN.path, b"2", timeout=None)
    assert [await anext(stream), await anext(stream)] == [b"0", b"1"]
    with pytest.raises(ChannelError) as caught:
        await anext(stream)
    assert caught.value.code == "NOT_FOUND"


async def test_closed_stream_is_cancelled_on_the_server(channel, service):
    stream = channel.stream(DOWN.path, b"3", timeout=None)
    for expected in (b"0", b"1", b"2"):
        assert await anext(stream) == expected
    await stream.aclose()
    await until(lambda: service.cancelled == 1)


async def test_stream_of_an_unknown_method_is_unimplemented(channel):
    with pytest.raises(ChannelError) as caught:
        await anext(channel.stream("/test.Service/Missing", b"", timeout=10))
    assert caught.value.code == "UNIMPLEMENTED"


async def test_lost_connection_fails_calls_and_a_new_server_is_found(channel, service, tmp_path):
    call = asyncio.ensure_future(channel.call(UNARY.path, b"hang", timeout=None))
    stream = channel.stream(DOWN.path, b"3", timeout=None)
    assert await anext(stream) == b"0"
    await until(lambda: service.calls == 1)
    await service.server.close()
    with pytest.raises(ChannelError) as caught:
        await call
    assert caught.value.code in {"UNAVAILABLE", "CANCELLED"}
    with pytest.raises(ChannelError):
        [data async for data in stream]
    (tmp_path / "s").unlink(missing_ok=True)
    with pytest.raises(ChannelError) as caught:
        await channel.call(UNARY.path, b"x", timeout=10)
    assert caught.value.code == "UNAVAILABLE"
    async with Service().server as other:
        await other.listen(f"unix:{tmp_path}/s")
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await channel.call(UNARY.path, b"x", timeout=10) == b"x"
                    break
                except ChannelError:
                    await asyncio.sleep(0.01)


async def test_thirty_two_calls_at_once_get_their_own_answers(channel):
    calls = [channel.call(UNARY.path, f"call {n}".encode(), timeout=10) for n in range(32)]
    assert await asyncio.gather(*calls) == [f"call {n}".encode() for n in range(32)]


@pytest.mark.parametrize("make", CHANNELS.values(), ids=list(CHANNELS))
async def test_channel_to_nothing_is_unavailable_at_once(make, tmp_path):
    channel = make(f"unix:{tmp_path}/nope")
    with pytest.raises(ChannelError) as caught:
        await channel.call(UNARY.path, b"", timeout=60)
    assert caught.value.code == "UNAVAILABLE"
    await channel.close()


@pytest.mark.parametrize("make_channel", CHANNELS.values(), ids=CHANNELS)
async def test_reads_do_not_wait_for_pulls_if_the_runtime_allows_two_calls_at_a_time(make_channel):
    async with (
        FakeCri(concurrent_calls=2) as fake,
        Runtime(make_channel(fake.endpoint)) as runtime,
        runtime.events() as events,
    ):
        event = asyncio.create_task(anext(events))
        await until(lambda: fake.listeners == 1)
        fake.faults.set("PullImage", "100*delay(3600000)")
        pulls = [asyncio.create_task(runtime.pull_image("a:1", 3600)) for _ in range(20)]
        await fake.calls.wait_for("PullImage", 2)
        assert (await runtime.version(5)).runtime_name == "fake"
        assert await runtime.list_containers({}, timeout=5) == []
        for each in (event, *pulls):
            each.cancel()
        await asyncio.gather(event, *pulls, return_exceptions=True)
