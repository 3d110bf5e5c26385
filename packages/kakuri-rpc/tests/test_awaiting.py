"""Handlers that answer later."""

import asyncio
import contextvars
import gc
import logging
import socket
import struct
import weakref

import pytest
from kakuri_rpc import AgentClient, AgentError, ErrorCode, State, Status, serve
from kakuri_tcp import Endpoint, LineClient

ANY_PORT = Endpoint.parse("127.0.0.1:0")
ASK_A = b'{"type":"GetStatus","id":"a"}'
ASK_B = b'{"type":"GetStatus","id":"b"}'


async def test_awaited_reply_is_sent_before_replies_to_later_requests():
    release = asyncio.Event()
    asked = []

    async def later(request):
        await release.wait()
        return Status(request.id, State.FAILED)

    def answer(request):
        asked.append(request.id)
        if request.id == "b":
            release.set()
        return later(request) if request.id == "a" else Status(request.id, State.RUNNING)

    async with await serve(ANY_PORT, answer) as server, LineClient(server.endpoint) as lines:
        replies = await asyncio.gather(
            lines.request(ASK_A, timeout=5), lines.request(ASK_B, timeout=5)
        )
    assert asked == ["a", "b"]
    assert replies == [
        b'{"type":"Status","id":"a","state":"Failed"}',
        b'{"type":"Status","id":"b","state":"Running"}',
    ]


async def test_awaitable_object_is_awaited():
    class Later:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return Status("a", State.FAILED)

    async with (
        await serve(ANY_PORT, lambda _request: Later()) as server,
        LineClient(server.endpoint) as lines,
    ):
        reply = await lines.request(ASK_A, timeout=5)
    assert reply == b'{"type":"Status","id":"a","state":"Failed"}'


@pytest.mark.parametrize("reply", [None, "text", State.FAILED])
async def test_object_that_is_neither_reply_nor_awaitable_is_an_internal_error(reply, caplog):
    async with (
        await serve(ANY_PORT, lambda _request: reply) as server,
        AgentClient(server.endpoint) as agent,
    ):
        with pytest.raises(AgentError) as caught:
            await agent.get_status("a")
    assert caught.value.code is ErrorCode.INTERNAL
    assert "expected a reply from the handler" in caplog.text


async def test_late_reply_is_built_when_it_is_sent():
    built = []

    async def later(request):
        def build():
            built.append(request.id)
            return Status(request.id, State.FAILED)

        return build

    async with await serve(ANY_PORT, later) as server, LineClient(server.endpoint) as lines:
        reply = await lines.request(ASK_A, timeout=5)
    assert built == ["a"]
    assert reply == b'{"type":"Status","id":"a","state":"Failed"}'


async def test_late_reply_is_built_in_the_context_of_its_request():
    asked = contextvars.ContextVar("asked", default="")
    built = []

    async def later(request):
        before = asked.get()
        asked.set(request.id)
        await asyncio.sleep(0)

        def build():
            built.append((before, asked.get()))
            return Status(request.id, State.FAILED)

        return build

    async with await serve(ANY_PORT, later) as server, LineClient(server.endpoint) as lines:
        await asyncio.gather(lines.request(ASK_A, timeout=5), lines.request(ASK_B, timeout=5))
    assert built == [("", "a"), ("", "b")]


async def raise_something():
    raise ValueError("secret")


async def build_nothing():
    def build():
        raise ValueError("secret")

    return build


async def cancel_itself():
    raise asyncio.CancelledError


def result_of_cancelled(_):
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future.result()


@pytest.mark.parametrize(
    "handler",
    [
        result_of_cancelled,
        lambda _: raise_something(),
        lambda _: cancel_itself(),
        lambda _: object(),
        lambda _: build_nothing(),
    ],
)
async def test_handler_that_fails_is_an_internal_error_and_the_connection_continues(
    handler, caplog
):
    async with await serve(ANY_PORT, handler) as server:
        client = AgentClient(server.endpoint)
        for _ in range(2):
            with pytest.raises(AgentError, match="the agent failed") as caught:
                await client.get_status("a")
            assert caught.value.code is ErrorCode.INTERNAL
        await client.close()
    assert "could not be answered" in caplog.text


@pytest.mark.parametrize("fails_at_once", [True, False])
async def test_request_that_failed_is_freed_without_the_garbage_collector(
    fails_at_once, monkeypatch
):
    class Failed(Exception):
        pass

    errors = weakref.WeakSet()

    async def fail(_request):
        if not fails_at_once:
            await asyncio.sleep(0)
        error = Failed()
        errors.add(error)
        try:
            raise error
        finally:
            del error

    # Records that tests capture refer to exceptions.
    monkeypatch.setattr(logging.getLogger("kakuri_rpc"), "disabled", True)
    gc.disable()
    try:
        async with await serve(ANY_PORT, fail) as server, AgentClient(server.endpoint) as client:
            for _ in range(3):
                with pytest.raises(AgentError):
                    await client.get_status("a")
        assert len(errors) == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("result", [None, "text", b"{}", lambda: None])
async def test_coroutine_that_returns_no_reply_is_an_internal_error(result, caplog):
    async def answer(_request):
        return result

    async with await serve(ANY_PORT, answer) as server, AgentClient(server.endpoint) as agent:
        with pytest.raises(AgentError) as caught:
            await agent.get_status("wl-1")
    assert caught.value.code is ErrorCode.INTERNAL
    assert "expected a reply from the handler" in caplog.text


async def test_handler_is_cancelled_when_its_connection_is_lost(caplog):
    began, cancelled = asyncio.Event(), asyncio.Event()
    handling = []

    async def wait_for_ever(request):
        handling.append(asyncio.current_task())
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            if request.id == "b":
                raise ValueError("on the way out") from None

    async with await serve(ANY_PORT, wait_for_ever) as server:
        for line in (ASK_A, ASK_B):
            began.clear()
            cancelled.clear()
            with socket.create_connection((server.endpoint.host, server.endpoint.port)) as peer:
                peer.sendall(line + b"\n")
                await began.wait()
                # A close that resets: anything else could be half a close.
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await cancelled.wait()
        await asyncio.wait(handling)
    assert "on the way out" in caplog.text
