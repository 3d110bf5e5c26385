"""Content between a connection and a streaming handler: when reading pauses and resumes."""

import asyncio

import pytest
from kakuri_http import ClientDisconnected, Headers
from kakuri_http._body_stream import StreamedBody


class Connection:
    def __init__(self, high_water=10):
        self.calls = []
        self.body = StreamedBody(
            high_water, lambda: self.calls.append("pause"), lambda: self.calls.append("resume")
        )


async def read(body):
    return [piece async for piece in body]


@pytest.mark.parametrize(("size", "pauses"), [(9, False), (10, True), (11, True)])
def test_connection_pauses_when_the_high_water_mark_is_reached(size, pauses):
    connection = Connection(high_water=10)
    connection.body.feed(b"x" * size)
    assert connection.calls == ["pause"] * pauses
    assert connection.body.is_paused == pauses
    connection.body.feed(b"x" * 20)
    assert connection.calls == ["pause"]
    assert connection.body.size == size + 20


async def test_connection_resumes_when_less_than_half_waits():
    connection = Connection(high_water=10)
    for size in (5, 1, 4):
        connection.body.feed(b"x" * size)
    pieces = aiter(connection.body)
    await anext(pieces)
    assert (connection.body.size, connection.calls) == (5, ["pause"])
    await anext(pieces)
    assert (connection.body.size, connection.calls) == (4, ["pause", "resume"])
    assert not connection.body.is_paused


async def test_reader_that_waits_gets_all_content_and_the_trailers():
    body = Connection().body
    task = asyncio.create_task(read(body))
    await asyncio.sleep(0)
    body.feed(b"a")
    await asyncio.sleep(0)
    body.feed(b"b")
    trailers = Headers({"x": "y"})
    body.end(trailers)
    assert await task == [b"a", b"b"]
    assert body.has_ended
    assert body.trailers is trailers


@pytest.mark.parametrize("error", [None, ValueError("broken")])
async def test_reader_gets_the_pieces_that_arrived_and_then_the_error(error):
    body = Connection().body
    body.feed(b"a")
    body.fail(error)
    body.fail(OSError("a later one"))
    pieces = aiter(body)
    assert await anext(pieces) == b"a"
    with pytest.raises(type(error) if error else ClientDisconnected):
        await anext(pieces)


async def test_failure_after_the_end_changes_nothing():
    body = Connection().body
    body.feed(b"a")
    body.end(Headers())
    body.fail()
    assert await read(body) == [b"a"]


async def test_second_reader_that_waits_raises_runtime_error():
    body = Connection().body
    first = asyncio.create_task(anext(body))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="read by another task"):
        await anext(body)
    body.feed(b"a")
    assert await first == b"a"


@pytest.mark.parametrize("finish", [lambda body: body.end(Headers()), lambda body: body.fail()])
async def test_content_that_ends_unread_no_longer_affects_its_connection(finish):
    connection = Connection(high_water=10)
    for _ in range(3):
        connection.body.feed(b"x" * 10)
    finish(connection.body)
    assert connection.calls == ["pause", "resume"]
    assert await anext(connection.body) == b"x" * 10
    assert await anext(connection.body) == b"x" * 10
    assert connection.calls == ["pause", "resume"]
