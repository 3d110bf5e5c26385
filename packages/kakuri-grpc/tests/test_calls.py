"""Calls of all kinds, against our own server and against grpcio's."""

import asyncio
import contextlib
import gc
import math
import socket

import kakuri_protobuf as kp
import pytest
import pytest_asyncio
from kakuri_grpc import (
    Backoff,
    Channel,
    ChannelState,
    DeadlineExceeded,
    Limits,
    LocalError,
    MessageTooLarge,
    Method,
    NotFound,
    Processed,
    ResourceExhausted,
    Server,
    StatusCode,
    StatusError,
    Unavailable,
    Unimplemented,
    status_error,
)
from kakuri_tcp.testing import until

from .echo_service import (
    BOTH,
    DOWN,
    MISSING,
    NO_SERVICE,
    UNARY,
    UP,
    EchoRequest,
    EchoResponse,
    other_server,
    our_server,
)


@pytest_asyncio.fixture(params=["ours", "grpcio"])
async def channel(request, tmp_path):
    path = tmp_path / "s"
    if request.param == "ours":
        async with our_server() as server:
            await server.listen(f"unix:{path}")
            async with Channel(f"unix:{path}") as opened:
                yield opened
        return
    server = other_server(path)
    await server.start()
    async with Channel(f"unix:{path}") as opened:
        yield opened
    await server.stop(None)


async def test_channel_used_in_another_event_loop_raises_runtime_error(tmp_path):
    def ask_elsewhere():
        return asyncio.run(channel.call(UNARY, EchoRequest(text="a"), timeout=None))

    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            await channel.call(UNARY, EchoRequest(text="a"), timeout=5.0)
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                await asyncio.to_thread(ask_elsewhere)
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                await asyncio.to_thread(asyncio.run, channel.close())
            await channel.call(UNARY, EchoRequest(text="a"), timeout=5.0)


def test_server_that_was_closed_listens_again_in_another_event_loop(tmp_path):
    server = our_server()

    async def ask():
        endpoint = await server.listen(f"unix:{tmp_path}/s")
        async with Channel(endpoint) as channel:
            response = await channel.call(UNARY, EchoRequest(text="a"), timeout=5.0)
        await server.close()
        return response.text

    assert [asyncio.run(ask()) for _ in range(2)] == ["a", "a"]


def test_server_whose_handler_outlives_it_listens_again_in_another_event_loop(tmp_path):
    async def outlive(request, call):
        is_running.set()
        with contextlib.suppress(asyncio.CancelledError):
            await may_end.wait()
        await may_end.wait()
        return EchoResponse(text=request.text)

    async def ask(*, closes_early):
        endpoint = await server.listen(f"unix:{tmp_path}/s")
        async with Channel(endpoint) as channel:
            call = asyncio.create_task(channel.call(UNARY, EchoRequest(text="a"), timeout=9.0))
            await is_running.wait()
            if closes_early:
                await server.close()
                with pytest.raises(Unavailable):
                    await call
            may_end.set()
            await until(lambda: not server._running)
            if not closes_early:
                assert (await call).text == "a"
                await server.close()

    server = Server()
    server.add(UNARY, outlive)
    for closes_early in (True, False):
        is_running, may_end = asyncio.Event(), asyncio.Event()
        asyncio.run(ask(closes_early=closes_early))


async def test_timeout_that_is_infinite_is_none_and_nan_raises_value_error(channel):
    for _ in range(3):  # the first call connects, and repeated heads are cached
        response = await channel.call(UNARY, EchoRequest(text="a"), timeout=math.inf)
        assert response == await channel.call(UNARY, EchoRequest(text="a"), timeout=None)
        with pytest.raises(ValueError, match="expected seconds or None as timeout, got NaN"):
            await channel.call(UNARY, EchoRequest(), timeout=math.nan)
    async with await channel.stream(DOWN, EchoRequest(), timeout=math.inf) as responses:
        assert await responses.receive() is None


async def test_message_of_wrong_class_is_not_sent(channel):
    with pytest.raises(
        TypeError, match="expected a message of class EchoRequest, got EchoResponse"
    ):
        await channel.call(UNARY, EchoResponse(), timeout=5)
    async with await channel.stream(BOTH, timeout=5) as call:
        with pytest.raises(TypeError, match="expected a message of class EchoRequest, got b''"):
            await call.send(b"")


@pytest.mark.parametrize("endpoint", [5, None, b"unix:/s"])
def test_channel_to_something_other_than_an_endpoint_raises_type_error(endpoint):
    with pytest.raises(TypeError, match="expected an endpoint"):
        Channel(endpoint)


async def call(channel, text="", **arguments):
    return await channel.call(UNARY, EchoRequest(text=text, **arguments), timeout=10)


async def test_unary_call_returns_the_response(channel):
    assert await call(channel, "hello") == EchoResponse(text="hello")
    assert await call(channel) == EchoResponse()  # an empty message is a message
    assert channel.state is ChannelState.READY


async def test_large_messages_go_both_ways(channel):
    response = await call(channel, payload=bytes(271_828), count=1)
    assert len(response.payload) == 271_828
    assert len((await call(channel, count=314_159)).payload) == 314_159


async def test_many_calls_at_once_share_the_connection(channel):
    responses = await asyncio.gather(*[call(channel, str(number)) for number in range(300)])
    assert [response.text for response in responses] == [str(number) for number in range(300)]
    assert channel._connections.current.connection.open_streams == 0


async def test_status_and_message_are_those_of_the_server(channel):
    with pytest.raises(NotFound) as caught:
        await call(channel, "fail")
    assert caught.value.code is StatusCode.NOT_FOUND
    assert caught.value.message == "nö\nsuch 100 % thing"


async def test_exception_of_a_handler_stays_in_the_servers_log(channel, caplog):
    with pytest.raises(StatusError) as caught:
        await call(channel, "crash")
    assert caught.value.code is StatusCode.INTERNAL
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("method", [MISSING, NO_SERVICE])
async def test_method_that_is_not_there_is_unimplemented(channel, method):
    with pytest.raises(Unimplemented):
        await channel.call(method, EchoRequest(), timeout=10)


async def test_metadata_goes_both_ways(channel):
    metadata = (("x-a", "1"), ("x-b-bin", b"\0\1\xff"))
    async with await channel.stream(
        UNARY, EchoRequest(text="metadata"), timeout=10, metadata=metadata
    ) as running:
        response = await running.sole_response()
    assert response.text == repr(list(metadata))
    assert ("x-initial", "i") in running.metadata
    assert ("x-data-bin", b"\0\xff") in running.metadata
    assert ("x-trailing", "t") in running.trailers


async def test_deadline_ends_a_call_at_the_client_and_the_server(channel):
    with pytest.raises(DeadlineExceeded) as caught:
        await channel.call(UNARY, EchoRequest(text="sleep"), timeout=0.05)
    assert caught.value.seconds == 0.05
    assert await call(channel, "still there") == EchoResponse(text="still there")


async def test_cancelled_task_cancels_only_its_call(channel):
    tasks = [asyncio.ensure_future(call(channel, "sleep")) for _ in range(5)]
    assert await call(channel, "x") == EchoResponse(text="x")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert await call(channel, "y") == EchoResponse(text="y")
    assert channel._connections.current.connection.open_streams == 0


async def test_server_streams_its_responses(channel):
    async with await channel.stream(DOWN, EchoRequest(text="n", count=500), timeout=10) as running:
        responses = [response.text async for response in running]
    assert responses == [f"n{number}" for number in range(500)]
    assert running.trailers is not None


async def test_empty_stream_ends_with_ok(channel):
    async with await channel.stream(DOWN, EchoRequest(count=0), timeout=10) as running:
        assert [response async for response in running] == []


async def test_leaving_a_stream_early_cancels_its_call(channel):
    request = EchoRequest(count=1_000_000, payload=bytes(1000))
    async with await channel.stream(DOWN, request, timeout=10) as running:
        async for _ in running:
            break
    assert channel._connections.current.connection.open_streams == 0
    assert await call(channel, "x") == EchoResponse(text="x")


async def test_stream_that_ended_with_ok_ignores_a_later_cancellation(channel):
    async with await channel.stream(DOWN, EchoRequest(count=1), timeout=10) as running:
        assert len([response async for response in running]) == 1
    running.cancel()
    assert await running.receive() is None


async def test_stream_that_failed_keeps_its_error_after_it_is_cancelled(channel):
    async with await channel.stream(MISSING, EchoRequest(), timeout=10) as running:
        with pytest.raises(Unimplemented):
            await running.receive()
    running.cancel()
    with pytest.raises(Unimplemented):
        await running.receive()


async def test_stream_that_is_cancelled_before_its_end_reports_it(channel):
    async with await channel.stream(BOTH, timeout=10) as running:
        pass
    with pytest.raises(StatusError, match="caller cancelled") as caught:
        await running.receive()
    assert caught.value.code is StatusCode.CANCELLED


async def test_stream_is_ended_at_its_deadline(channel):
    assert await call(channel)  # connects
    async with await channel.stream(BOTH, timeout=0.02) as running:
        with pytest.raises(DeadlineExceeded):
            await running.receive()
    assert channel._connections.current.connection.open_streams == 0


async def test_client_streams_its_messages(channel):
    async with await channel.stream(UP, timeout=10) as running:
        for number in range(100):
            await running.send(EchoRequest(text=str(number)))
        await running.end()
        response = await running.sole_response()
    assert response.text == ",".join(map(str, range(100)))


async def test_messages_alternate_in_both_directions_without_a_stall(channel):
    async with await channel.stream(BOTH, timeout=60) as running:
        for number in range(1000):
            await running.send(EchoRequest(text=str(number)))
            assert (await running.receive()).text == str(number)
        await running.end()
        assert await running.receive() is None


async def test_sending_after_the_end_raises_local_error(channel):
    async with await channel.stream(BOTH, timeout=10) as running:
        await running.end()
        with pytest.raises(LocalError, match="has already ended"):
            await running.send(EchoRequest())


async def test_response_over_the_limit_raises_message_too_large_and_the_connection_continues(
    channel,
):
    channel._codec.limits = Limits(received=1000)
    with pytest.raises(MessageTooLarge) as caught:
        await call(channel, count=5000)
    assert caught.value.limit == 1000
    assert await call(channel, count=100) == EchoResponse(payload=bytes(100))


async def test_request_over_the_servers_limit_is_resource_exhausted(channel):
    with pytest.raises(ResourceExhausted):
        await call(channel, payload=bytes(5 << 20))


async def test_request_over_the_own_limit_is_not_sent(channel):
    channel._codec.limits = Limits(sent=10)
    with pytest.raises(MessageTooLarge):
        await call(channel, "more than ten bytes")


async def test_message_or_metadata_that_cannot_be_encoded_raises_before_anything_is_sent(channel):
    with pytest.raises(kp.EncodeError, match="text"):
        await channel.call(UNARY, EchoRequest(text=3), timeout=10)
    for metadata in ((("X-A", "1"),), (("grpc-x", "1"),), (("a", "ä"),), (("a-bin", "text"),)):
        with pytest.raises(ValueError, match="expected"):
            await channel.call(UNARY, EchoRequest(), timeout=10, metadata=metadata)


# Connections.


async def test_channel_connects_after_a_failure_if_tasks_start_eagerly(tmp_path):
    # On Python 3.11, where tasks can't, the factory is the default.
    factory = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)
    backoff = Backoff(first=0.001, longest=0.001)
    async with Channel(f"unix:{tmp_path}/s", backoff=backoff) as channel, our_server() as server:
        with pytest.raises(Unavailable):
            await call(channel)
        assert channel.state is ChannelState.TRANSIENT_FAILURE
        await server.listen(f"unix:{tmp_path}/s")
        response = await channel.call(UNARY, EchoRequest(), timeout=10, wait_for_ready=True)
        assert response == EchoResponse()


@pytest.mark.parametrize("grace", [0, 10])  # waits for the transport, or first for the call
async def test_cancelled_close_of_a_channel_closes_its_connection(channel, grace):
    async with await channel.stream(BOTH, timeout=10) as running:
        await running.send(EchoRequest())
        await running.receive()
        closing = asyncio.ensure_future(channel.close(grace))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert channel._connections.current.connection.is_over
        await channel.close()
        assert channel._connections.current.closed.done()


async def test_missing_socket_fails_at_once_as_not_processed(tmp_path):
    async with Channel(f"unix:{tmp_path}/none") as channel:
        with pytest.raises(Unavailable, match="none") as caught:
            await call(channel)
        assert caught.value.processed is Processed.NO
        assert channel.state is ChannelState.TRANSIENT_FAILURE


async def test_socket_that_no_server_listens_on_fails_at_once_as_not_processed(tmp_path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            with pytest.raises(Unavailable, match="refused") as caught:
                await call(channel)
            assert caught.value.processed is Processed.NO


async def test_waiting_call_is_sent_once_the_server_listens(tmp_path):
    path = tmp_path / "late"
    async with Channel(f"unix:{path}") as channel:
        waiting = asyncio.ensure_future(
            channel.call(UNARY, EchoRequest(text="x"), timeout=10, wait_for_ready=True)
        )
        await until(lambda: channel.state is ChannelState.TRANSIENT_FAILURE)
        async with our_server() as server:
            await server.listen(f"unix:{path}")
            assert await waiting == EchoResponse(text="x")


async def test_deadline_covers_waiting_for_a_connection(tmp_path):
    async with Channel(f"unix:{tmp_path}/none") as channel:
        with pytest.raises(DeadlineExceeded):
            await channel.call(UNARY, EchoRequest(), timeout=0.05, wait_for_ready=True)


async def test_call_that_starts_as_an_attempt_to_connect_fails_waits_for_the_next(tmp_path):
    async with Channel(f"unix:{tmp_path}/s") as channel:
        first = asyncio.ensure_future(
            channel.call(UNARY, EchoRequest(), timeout=None, wait_for_ready=True)
        )
        while (attempt := channel._connections._attempt) is None:  # noqa: ASYNC110 - each turn counts
            await asyncio.sleep(0)
        while not attempt.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):  # without having blocked the event loop
            await channel.call(UNARY, EchoRequest(), timeout=0.05, wait_for_ready=True)
        first.cancel()


@pytest.mark.parametrize("turns", [1, 2, 20])
async def test_call_that_waits_for_a_connection_when_its_channel_closes_is_a_local_error(
    tmp_path, turns
):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/s")
        silent.listen()
        channel = Channel(f"unix:{tmp_path}/s")
        call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=10))
        for _ in range(turns):
            await asyncio.sleep(0)
        await channel.close()
        with pytest.raises(LocalError, match="is closed"):
            await call


async def test_next_endpoint_is_tried_when_one_does_not_respond(tmp_path):
    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/b")
        async with Channel(f"unix:{tmp_path}/a", f"unix:{tmp_path}/b") as channel:
            assert await call(channel, "x") == EchoResponse(text="x")


async def test_channel_connects_again_after_the_server_was_replaced(tmp_path):
    path = tmp_path / "s"
    async with Channel(f"unix:{path}") as channel:
        for text in ("first", "second"):
            async with our_server() as server:
                await server.listen(f"unix:{path}")
                response = await channel.call(
                    UNARY, EchoRequest(text=text), timeout=10, wait_for_ready=True
                )
                assert response.text == text


async def test_call_in_progress_when_the_server_closes_is_unavailable_and_maybe_processed(tmp_path):
    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            await call(channel)
            running = asyncio.ensure_future(call(channel, "sleep"))
            await until(lambda: server._running)
            await server.close()
            with pytest.raises(Unavailable) as caught:
                await running
            assert caught.value.processed is Processed.UNKNOWN


async def test_server_that_closes_gracefully_finishes_its_calls(tmp_path):
    async with our_server() as server:
        await server.listen(f"unix:{tmp_path}/s")
        async with Channel(f"unix:{tmp_path}/s") as channel:
            async with await channel.stream(BOTH, timeout=10) as running:
                await running.send(EchoRequest(text="a"))
                assert (await running.receive()).text == "a"
                closing = asyncio.ensure_future(server.close(grace=10))
                await asyncio.sleep(0)
                await running.send(EchoRequest(text="b"), end=True)
                assert (await running.receive()).text == "b"
                assert await running.receive() is None
            await closing


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "it does not speak HTTP/2: "),
        (b"", "the server closed the connection$"),
    ],
)
async def test_server_that_closes_without_settings_is_unavailable_with_the_reason(
    tmp_path, response, reason
):
    async def respond(reader, writer):
        await reader.read(100)
        writer.write(response)
        writer.close()

    server = await asyncio.start_unix_server(respond, tmp_path / "s")
    async with Channel(f"unix:{tmp_path}/s") as channel:
        with pytest.raises(Unavailable, match=reason):
            await call(channel)
    server.close()
    await server.wait_closed()


async def test_server_that_accepts_and_sends_nothing_is_unavailable_with_the_time_waited(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/s")
        silent.listen()
        async with Channel(f"unix:{tmp_path}/s", backoff=Backoff(connect=0.05)) as channel:
            with pytest.raises(Unavailable, match=r"no SETTINGS frame within 0\.05 s$"):
                await call(channel)


async def test_closed_channel_refuses_calls(tmp_path):
    channel = Channel(f"unix:{tmp_path}/s")
    await channel.close()
    with pytest.raises(LocalError, match="is closed"):
        await call(channel)
    assert channel.state is ChannelState.SHUTDOWN


async def test_method_of_bytes_carries_messages_as_they_are(channel):
    raw = Method(UNARY.path, bytes, bytes)
    request = kp.encode(EchoRequest(text="hello"))
    assert await channel.call(raw, request, timeout=10) == kp.encode(EchoResponse(text="hello"))


async def test_handler_of_bytes_returns_bytes(tmp_path):
    async def reverse(request, call):
        return request[::-1]

    raw = Method("/test.Raw/Reverse", bytes, bytes)
    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(raw, reverse)
        await server.listen(f"unix:{tmp_path}/s")
        assert await channel.call(raw, b"\xff\x01", timeout=10) == b"\x01\xff"


async def test_failed_calls_leave_no_cycles_to_the_garbage_collector(tmp_path):
    async with our_server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        await server.listen(f"unix:{tmp_path}/s")
        for _ in range(2):  # the first time, classes are compiled
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                with pytest.raises(NotFound):
                    await call(channel, "fail")
                with pytest.raises(MessageTooLarge):
                    await call(channel, count=5 << 20)
                with pytest.raises(DeadlineExceeded):
                    await channel.call(UNARY, EchoRequest(text="sleep"), timeout=0.01)
                await asyncio.sleep(0.05)
                gc.collect()
                found = [one for one in gc.garbage if isinstance(one, Exception | EchoRequest)]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
        assert found == []


async def test_deadline_that_the_server_reports_keeps_its_message(tmp_path):
    async def give_up(request, call):
        raise status_error(StatusCode.DEADLINE_EXCEEDED, "the registry took too long")

    raw = Method("/test.Raw/Slow", bytes, bytes)
    async with Server() as server, Channel(f"unix:{tmp_path}/s") as channel:
        server.add(raw, give_up)
        await server.listen(f"unix:{tmp_path}/s")
        with pytest.raises(DeadlineExceeded, match="the registry took too long") as caught:
            await channel.call(raw, b"", timeout=5)
    assert caught.value.seconds == 5


async def test_repr_of_a_call_shows_its_method_and_how_it_failed(channel):
    async with await channel.stream(BOTH, timeout=5.0) as call:
        assert repr(call) == f"<Call {BOTH.path} open>"
    assert repr(call).startswith(f"<Call {BOTH.path} failed: ")


async def test_repr_of_a_server_shows_whether_it_listens(tmp_path):
    async with our_server() as server:
        assert repr(server) == "<Server not listening, 0 connections, 0 calls>"
        await server.listen(f"unix:{tmp_path}/s")
        assert repr(server) == "<Server listening, 0 connections, 0 calls>"
