"""Exchanges over real sockets, and what waits when something ends."""

import asyncio
import contextvars
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from kakuri_http2 import (
    ClientDriver,
    ErrorCode,
    ExchangeEnded,
    Limits,
    Processed,
    Request,
    ServerDriver,
)

CALL = Request(b"POST", b"/echo", b"localhost")


@asynccontextmanager
async def connected(tmp_path, handler, *, client=None, server=None):
    """Yield a client whose server runs a handler, over a Unix socket."""
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "s")
    drivers = []

    def accept():
        drivers.append(ServerDriver(handler, server))
        return drivers[-1]

    listener = await loop.create_unix_server(accept, path)
    _, driver = await loop.create_unix_connection(lambda: ClientDriver(client), path)
    try:
        async with driver:
            driver.peers = drivers
            yield driver
    finally:
        for one in drivers:
            one.close()
            await one.closed
        listener.close()
        await listener.wait_closed()


async def echo(exchange):
    """Respond with the content of the request, as it arrives."""
    exchange.respond(200, ((b"x-path", exchange.head.path),))
    while piece := await exchange.read():
        await exchange.send(piece)
    exchange.send_trailers(((b"x-done", b"1"),))


async def content_of(exchange):
    pieces = []
    while piece := await exchange.read():
        pieces.append(piece)
    return b"".join(pieces)


async def call(driver, data):
    exchange = await driver.open(CALL)
    sending = asyncio.ensure_future(exchange.send(data, end=True))
    response = await exchange.response()
    assert response.status == 200
    content = await content_of(exchange)
    await sending
    return content, exchange


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
async def test_content_is_echoed_in_both_directions_at_once(tmp_path, size):
    data = bytes(size)
    async with connected(tmp_path, echo, client=Limits(stream_window=65_535)) as driver:
        content, exchange = await call(driver, data)
    assert content == data
    assert exchange.trailers == ((b"x-done", b"1"),)


async def test_many_calls_share_a_connection(tmp_path):
    async with connected(tmp_path, echo) as driver:
        results = await asyncio.gather(*[call(driver, b"%d" % number) for number in range(300)])
        assert [content for content, _ in results] == [b"%d" % number for number in range(300)]
        assert driver.connection.open_streams == 0


async def test_calls_beyond_the_servers_limit_wait_in_order(tmp_path):
    order, gate = [], asyncio.Event()

    async def handler(exchange):
        order.append(exchange.head.path)
        await gate.wait()
        exchange.respond(200, end=True)

    async with connected(tmp_path, handler, server=Limits(concurrent_streams=2)) as driver:
        await asyncio.wait_for(_settings(driver), 30)
        requests = [Request(b"GET", b"/%d" % number, b"localhost", end=True) for number in range(6)]
        opening = [asyncio.ensure_future(driver.open(one)) for one in requests]
        exchanges = [await opening[0], await opening[1]]
        opening[3].cancel()
        gate.set()
        for number in (2, 4, 5):
            exchanges.append(await opening[number])
        for exchange in exchanges:
            assert (await exchange.response()).status == 200
    assert order == [b"/0", b"/1", b"/2", b"/4", b"/5"]


async def _settings(driver):
    """Wait until the server's settings are known: an exchange was answered then."""
    while not driver.connection.peer_settings_received:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0)


async def test_cancelled_exchange_resets_only_its_stream(tmp_path):
    ended = asyncio.get_running_loop().create_future()
    began = asyncio.Event()

    async def handler(exchange):
        if exchange.head.path == b"/echo":
            await echo(exchange)
            return
        began.set()
        try:
            await exchange.read()
        except ExchangeEnded as error:
            ended.set_result(error)
            raise

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(Request(b"POST", b"/wait", b"localhost"))
        await began.wait()
        exchange.cancel()
        error = await ended
        assert (error.code, error.by_peer) == (ErrorCode.CANCEL, True)
        with pytest.raises(ExchangeEnded):
            await exchange.response()
        content, _ = await call(driver, b"still there")
        assert content == b"still there"


async def test_handler_of_a_request_that_is_reset_before_it_begins_does_not_run(tmp_path):
    paths = []

    async def handler(exchange):
        paths.append(exchange.head.path)
        await echo(exchange)

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(Request(b"POST", b"/reset", b"localhost"))
        exchange.send_now(b"a whole request", end=True)
        exchange.cancel()  # leaves in the same write
        assert (await call(driver, b"x"))[0] == b"x"
    assert paths == [b"/echo"]


async def test_many_small_pieces_are_sent_in_many_turns_of_the_event_loop(tmp_path):
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with connected(tmp_path, echo) as driver:
        exchange = await driver.open(CALL)
        turning = asyncio.ensure_future(turn())
        for _ in range(10_000):
            await exchange.send(b"x")
        turning.cancel()
        assert turns > 100
        await exchange.send(b"", end=True)
        assert await content_of(exchange) == b"x" * 10_000


async def test_requests_that_wait_when_the_last_stream_number_is_used_are_not_sent(tmp_path):
    async with connected(tmp_path, echo, server=Limits(concurrent_streams=1)) as driver:
        await call(driver, b"x")
        first = await driver.open(CALL)
        driver.connection._next_stream = (1 << 31) - 1
        second, third = (asyncio.ensure_future(driver.open(CALL)) for _ in range(2))
        await asyncio.sleep(0)
        await first.send(b"", end=True)
        assert (await second).stream == (1 << 31) - 1
        with pytest.raises(ExchangeEnded) as caught:
            await third
        assert caught.value.processed is Processed.NO


async def test_handler_that_returns_without_a_response_is_an_internal_error(tmp_path):
    async def handler(exchange):
        pass

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(Request(b"GET", b"/", b"localhost", end=True))
        with pytest.raises(ExchangeEnded) as caught:
            await exchange.response()
    assert caught.value.code == ErrorCode.INTERNAL_ERROR


async def test_server_that_responds_early_lets_the_client_stop_sending(tmp_path):
    async def handler(exchange):
        exchange.respond(413, end=True)

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(CALL)
        assert (await exchange.response()).status == 413
        with pytest.raises(ExchangeEnded) as caught:
            await exchange.send(bytes(100_000_000))
        assert caught.value.code == ErrorCode.NO_ERROR


async def test_send_returns_once_the_last_content_of_a_stream_has_left(tmp_path):
    sent = asyncio.get_running_loop().create_future()

    async def handler(exchange):
        exchange.respond(200)
        await exchange.send(bytes(3_000_000), end=True)
        sent.set_result(None)

    async with connected(tmp_path, handler, client=Limits(stream_window=65_535)) as driver:
        exchange = await driver.open(Request(b"GET", b"/", b"localhost", end=True))
        assert len(await content_of(exchange)) == 3_000_000
        await asyncio.wait_for(sent, 10)


async def test_closed_server_ends_what_waits(tmp_path):
    async def handler(exchange):
        await exchange.read()

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(CALL)
        waiting = asyncio.ensure_future(exchange.response())
        await asyncio.wait_for(_settings(driver), 30)
        driver.peers[0].close()
        with pytest.raises(ExchangeEnded):
            await waiting
        await driver.closed
        with pytest.raises(ExchangeEnded) as caught:
            await driver.open(CALL)
        assert caught.value.processed is Processed.NO


async def test_cancelled_wait_for_the_end_of_a_connection_does_not_cancel_others(tmp_path):
    async with connected(tmp_path, echo) as driver:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(driver.closed, 0)
        assert not driver.closed.done()
        assert await call(driver, b"a")
        other = asyncio.ensure_future(driver.closed)
    await other
    assert driver.closed.done()


async def test_slow_reader_pauses_the_sender(tmp_path):
    sent = 0

    async def handler(exchange):
        nonlocal sent
        exchange.respond(200)
        while sent < 50_000_000:
            await exchange.send(bytes(100_000))
            sent += 100_000

    async with connected(tmp_path, handler, client=Limits(stream_window=65_535)) as driver:
        exchange = await driver.open(Request(b"GET", b"/", b"localhost", end=True))
        await exchange.response()
        for _ in range(200):
            await asyncio.sleep(0)
        assert sent < 1_000_000
        exchange.cancel()


async def test_peer_that_never_acknowledges_settings_is_disconnected(tmp_path, monkeypatch):
    monkeypatch.setattr("kakuri_http2._driver.SETTINGS_TIMEOUT", 0.0)
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "silent")
    listener = await loop.create_unix_server(asyncio.Protocol, path)
    _, driver = await loop.create_unix_connection(ClientDriver, path)
    exchange = await driver.open(CALL)
    with pytest.raises(ExchangeEnded) as caught:
        await exchange.response()
    assert caught.value.code == ErrorCode.SETTINGS_TIMEOUT
    await driver.closed
    listener.close()


async def test_request_that_waits_for_a_stream_is_not_sent_if_the_connection_ends(tmp_path):
    async def handler(exchange):
        await exchange.ended()

    async with connected(tmp_path, handler, server=Limits(concurrent_streams=1)) as driver:
        await asyncio.wait_for(_settings(driver), 30)
        await driver.open(CALL)
        waiting = asyncio.ensure_future(driver.open(CALL))
        await asyncio.sleep(0)
        driver.close()
        with pytest.raises(ExchangeEnded) as caught:
            await waiting
        assert caught.value.processed is Processed.NO
        with pytest.raises(ExchangeEnded) as caught:
            await driver.open(CALL)
        assert caught.value.processed is Processed.NO


async def test_ended_returns_how_the_client_cancelled_the_exchange(tmp_path):
    ends = asyncio.Queue()

    async def handler(exchange):
        ends.put_nowait(await exchange.ended())
        ends.put_nowait(await exchange.ended())

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(CALL)
        driver.flush()
        while not driver.peers or not driver.peers[0].connection.open_streams:  # noqa: ASYNC110
            await asyncio.sleep(0)
        exchange.cancel()
        first, again = await ends.get(), await ends.get()
    assert first is again
    assert first.code == ErrorCode.CANCEL


async def test_tasks_that_share_an_exchange_are_all_woken(tmp_path):
    reads = asyncio.Event()

    async def handler(exchange):
        await reads.wait()
        exchange.respond(200)
        await exchange.send(b"%d" % len(await content_of(exchange)), end=True)

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(CALL)
        sending = [asyncio.ensure_future(exchange.send(bytes(100_000))) for _ in range(3)]
        reading = [asyncio.ensure_future(content_of(exchange)) for _ in range(3)]
        responding = asyncio.ensure_future(exchange.response())
        await asyncio.sleep(0.01)
        reading.pop().cancel()
        reads.set()
        await asyncio.wait_for(asyncio.gather(*sending), 30)
        exchange.send_now(b"", end=True)
        contents = await asyncio.wait_for(asyncio.gather(*reading), 30)
        assert sorted(contents) == [b"", b"300000"]
        assert (await asyncio.wait_for(responding, 30)).status == 200
        assert not exchange._waiters


async def test_context_variable_of_a_handler_is_not_seen_by_the_next_one(tmp_path):
    user = contextvars.ContextVar("user", default=b"anonymous")

    async def handler(exchange):
        exchange.respond(200, ((b"x-user", user.get()),), end=True)
        user.set(b"alice")
        transport = driver.peers[0]._transport
        transport.pause_reading()
        transport.resume_reading()  # asyncio now reads in a copy of this context

    async with connected(tmp_path, handler) as driver:
        for _ in range(3):
            response = await (await driver.open(replace(CALL, end=True))).response()
            assert dict(response.fields)[b"x-user"] == b"anonymous"


async def test_handler_that_on_end_has_cancelled_is_not_interrupted_while_it_cleans_up(tmp_path):
    is_waiting, is_cleaning, is_lost = asyncio.Event(), asyncio.Event(), asyncio.Event()
    cleaned = asyncio.Event()

    async def handler(exchange):
        exchange.on_end = asyncio.current_task().cancel
        try:
            is_waiting.set()
            await asyncio.Event().wait()
        finally:
            is_cleaning.set()
            await is_lost.wait()
            cleaned.set()

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(CALL)
        await is_waiting.wait()
        exchange.cancel()
        await is_cleaning.wait()
        driver.peers[0].abort()
        await driver.peers[0].closed
        is_lost.set()
        await asyncio.wait_for(cleaned.wait(), 30)


async def test_handler_that_on_end_has_not_cancelled_is_cancelled_with_its_connection(tmp_path):
    is_waiting, is_reset, is_over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(exchange):
        exchange.on_end = is_reset.set
        try:
            is_waiting.set()
            await asyncio.Event().wait()
        finally:
            is_over.set()

    async with connected(tmp_path, handler) as driver:
        exchange = await driver.open(CALL)
        await is_waiting.wait()
        exchange.cancel()
        await is_reset.wait()
        driver.peers[0].abort()
        await asyncio.wait_for(is_over.wait(), 30)


def test_handler_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as handler, got None"):
        ServerDriver(None)


async def test_repr_of_a_driver_shows_the_state_of_its_connection(tmp_path):
    async with connected(tmp_path, echo) as driver:
        assert repr(driver) == "<ClientDriver <ClientConnection open, 0 streams>>"
    assert repr(driver) == "<ClientDriver closed <ClientConnection over, 0 streams>>"
