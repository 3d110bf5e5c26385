"""Handlers, checks and bodies that fail, and awaitables of every kind."""

import asyncio
import json
import logging

import pytest
from kakuri_http import Headers, Response, ResponseAborted, Router, serve
from kakuri_tcp import LocalAccess

from .wire import wired

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Later:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, response):
        self._response = response

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self._response


def table(handler):
    router = Router()
    router.add("GET", "/", handler)
    return router


async def test_handler_may_return_an_awaitable_that_is_not_a_coroutine():
    async with wired(table(lambda request: Later(Response(200, b"later")))) as wire:
        wire.send(GET)
        assert (await wire.read_response())[::2] == (200, b"later")


async def test_check_that_raises_is_500_and_logged(caplog):
    router = table(lambda request: Response(200, b""))

    @router.check
    def broken(request):
        raise RuntimeError("no luck")

    with caplog.at_level(logging.ERROR, "kakuri_http"):
        async with wired(router) as wire:
            wire.send(GET)
            status, _, body = await wire.read_response()
    assert (status, body) == (
        500,
        b'{"title":"Internal Server Error","status":500,"code":"internal"}',
    )
    assert "no luck" in caplog.text


async def test_streamed_response_to_head_sends_no_content_and_keeps_the_connection():
    router = table(lambda request: Response(200, [b"a", b"b"]))
    async with wired(router) as wire:
        wire.send(GET.replace(b"GET", b"HEAD") + CLOSING)
        assert (await wire.read_response("HEAD"))[0] == 200
        assert (await wire.read_all()).endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [(ResponseAborted("no source"), False), (RuntimeError("no luck"), True)],
    ids=["aborted", "failed"],
)
async def test_response_whose_body_raises_is_cut_off_and_logged_unless_aborted(
    error, is_logged, caplog
):
    async def pieces():
        yield b"a"
        raise error

    with caplog.at_level(logging.DEBUG, "kakuri_http"):
        async with wired(table(lambda request: Response(200, pieces()))) as wire:
            wire.send(CLOSING)
            with pytest.raises(ConnectionResetError):
                await wire.read_all()
    assert ("was cut off" in caplog.text) == is_logged


async def test_response_aborted_by_the_handler_itself_is_a_500_with_a_traceback(caplog):
    def handler(request):
        raise ResponseAborted("no source")

    async with wired(table(handler)) as wire:
        wire.send(CLOSING)
        assert (await wire.read_response())[0] == 500
    assert "no source" in caplog.text


async def test_body_may_be_an_async_iterable_that_is_not_a_generator():
    class Pieces:
        def __init__(self):
            self._left = [b"1", b"2"]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop(0)

    async with wired(table(lambda request: Response(200, Pieces()))) as wire:
        wire.send(CLOSING)
        assert (await wire.read_all()).endswith(b"\r\n\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n")


async def test_content_is_read_by_one_task_at_a_time():
    outcomes = []

    async def handler(request):
        async def read():
            async for _ in request.stream():
                pass

        first = asyncio.create_task(read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="read by another task"):
            await read()
        first.cancel()
        outcomes.append("refused")
        return Response(200, b"")

    router = Router()
    router.add("POST", "/", handler, streaming=True)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        assert (await wire.read_response())[0] == 200
    assert outcomes == ["refused"]


def test_headers_are_equal_only_to_headers():
    headers = Headers({"A": "1"})
    assert headers == Headers({"a": "1"})
    assert hash(headers) == hash(Headers({"a": "1"}))
    assert headers != {"A": "1"}


@pytest.mark.parametrize("sent", [GET, b"", b"x" * 100_000, GET * 100])
async def test_user_who_may_not_connect_gets_403_for_any_input(monkeypatch, sent):
    monkeypatch.setattr("kakuri_tcp._user_check.client_user", lambda accepted: 4711)
    asked, logged = [], []
    async with await serve(
        "127.0.0.1:0", table(asked.append), access_log=logged.append,
        local_access=LocalAccess(uids=()),
    ) as server:  # fmt: skip
        reader, writer = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        writer.write(sent)
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"Connection: close" in head
    problem = {"title": "Forbidden", "status": 403, "code": "forbidden_user"}
    detail = {"detail": "user 4711 of this machine may not use this server"}
    assert json.loads(content) == problem | detail
    assert (asked, logged, server.counters.forbidden) == ([], [], 1)


async def test_request_of_a_user_who_may_connect_has_its_user_and_the_log_its_address(monkeypatch):
    monkeypatch.setattr("kakuri_tcp._user_check.client_user", lambda accepted: 4711)
    asked, logged = [], []

    def handler(request):
        asked.append((request.uid, request.peer))
        return Response(204)

    async with await serve(
        "127.0.0.1:0", table(handler), access_log=logged.append,
        local_access=LocalAccess(uids=[4711]),
    ) as server:  # fmt: skip
        reader, writer = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        writer.write(CLOSING)
        assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
        host, port = writer.get_extra_info("sockname")
        writer.close()
    assert asked == [(4711, f"{host}:{port}")]
    assert [entry.peer for entry in logged] == [f"{host}:{port}"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_generator_as_body_is_closed_when_the_client_disconnects(is_async):
    closed = asyncio.Event()

    async def later():
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    def now():
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    body = later() if is_async else now()
    async with wired(table(lambda request: Response(200, body))) as wire:
        wire.send(GET)
        await wire.read_head()
        wire.writer.transport.abort()
        await asyncio.wait_for(closed.wait(), 30)


async def test_handler_that_raises_cancelled_error_is_a_500():
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    router = table(lambda request: cancelled.result())
    router.check(lambda request: cancelled.result() if request.path == "/check" else None)
    async with wired(router) as wire:
        wire.send(GET.replace(b"/ ", b"/check ") + CLOSING)
        assert (await wire.read_response())[0] == 500
        assert (await wire.read_response())[0] == 500
