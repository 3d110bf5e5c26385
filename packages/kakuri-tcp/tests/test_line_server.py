import asyncio
import contextlib
import contextvars
import socket

import pytest
from kakuri_tcp import (
    Endpoint,
    LargeReply,
    LineError,
    LineServerLimits,
    UnexpectedProtocol,
    listen_lines,
)
from kakuri_tcp._line_server_connection import LineServerConnection
from kakuri_tcp.testing import run_pending, until

LOCAL = Endpoint.parse("127.0.0.1:0")


async def exchange(server, *chunks, end=True):
    """Send chunks over a plain socket and return everything that was received."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.settimeout(0)
        await loop.sock_connect(client, (server.endpoint.host, server.endpoint.port))
        for chunk in chunks:
            await loop.sock_sendall(client, chunk)
        if end:
            client.shutdown(socket.SHUT_WR)
        received = b""
        while data := await loop.sock_recv(client, 65536):
            received += data
        return received


@pytest.mark.parametrize(
    "chunks", [[b"a\nb\nc\n"], [b"a", b"\nb\r", b"\nc\n"], [b"a\n", b"b\n", b"c\n"]]
)
async def test_line_server_answers_every_line_in_order(chunks):
    async with await listen_lines(LOCAL, bytes.upper) as server:
        assert await exchange(server, *chunks) == b"A\nB\nC\n"
    assert server.connections == 0


async def test_replies_keep_the_order_of_the_requests():
    gate = asyncio.Event()

    async def wait(line):
        await gate.wait()
        return line.upper()

    def handler(line):
        if line == b"open":
            gate.set()
            return b"OPEN"
        return wait(line)

    async with await listen_lines(LOCAL, handler) as server:
        assert await exchange(server, b"a\nb\nopen\nc\n") == b"A\nB\nOPEN\nC\n"


async def test_line_over_the_limit_gets_a_last_reply_while_the_peer_still_sends():
    limits = LineServerLimits(line=10)
    async with await listen_lines(
        LOCAL, bytes.upper, limits=limits, on_fault=lambda error: str(error).encode()
    ) as server:
        received = await exchange(server, b"a\n", b"x" * 1_000_000)
    assert received == b"A\nexpected a line of at most 10 bytes, got a longer one\n"


async def test_end_of_the_stream_inside_a_line_gets_a_last_reply():
    async with await listen_lines(LOCAL, bytes.upper, on_fault=lambda e: b"fault") as server:
        assert await exchange(server, b"a\nb") == b"A\nfault\n"


async def test_fault_without_on_fault_closes_the_connection_without_a_reply():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        assert await exchange(server, b"a\nb") == b"A\n"


async def test_handler_that_raises_closes_the_connection(caplog):
    def handler(line):
        return b"%d" % (1 / int(line))

    async with await listen_lines(LOCAL, handler, on_fault=lambda e: b"fault") as server:
        assert await exchange(server, b"1\n0\n1\n") == b"1\nfault\n"
    assert "ZeroDivisionError" in caplog.text


async def test_handler_that_raises_cancelled_error_closes_the_connection(caplog):
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()

    def handler(line):
        return cancelled.result()

    async with await listen_lines(LOCAL, handler, on_fault=lambda e: b"fault") as server:
        assert await exchange(server, b"1\n") == b"fault\n"
    assert "CancelledError" in caplog.text


async def test_line_error_of_a_handler_closes_the_connection(caplog):
    def handler(line):
        if line == b"other protocol":
            raise LineError("expected ours")
        return line.upper()

    async with await listen_lines(LOCAL, handler, on_fault=lambda e: str(e).encode()) as server:
        assert await exchange(server, b"a\nother protocol\nb\n") == b"A\nexpected ours\n"
    assert not caplog.records


async def test_encode_result_is_called_when_the_reply_is_due():
    async def handler(line):
        return int(line)

    def finish(future):
        return b"no number" if future.exception() else b"%d" % (future.result() + 1)

    async with await listen_lines(LOCAL, handler, encode_result=finish) as server:
        assert await exchange(server, b"1\nx\n41\n") == b"2\nno number\n42\n"


async def test_replies_for_encode_are_encoded_together_in_the_order_of_the_requests():
    handled = []

    async def wait():
        return b"late"

    def handler(line):
        handled.append(int(line))
        if line == b"5":
            return wait()
        return b"bytes" if line == b"3" else int(line)

    def encode(number):
        return b"%d of %d" % (number, len(handled))

    async with await listen_lines(LOCAL, handler, encode=encode) as server:
        received = await exchange(server, b"0\n1\n2\n3\n4\n5\n6\n")
    expected = [b"0 of 7", b"1 of 7", b"2 of 7", b"bytes", b"4 of 7", b"late", b"6 of 7"]
    assert received.splitlines() == expected


async def test_replies_for_encode_count_as_256_bytes_of_the_write_buffer(monkeypatch):
    writes = []
    write_lines = LineServerConnection._write_lines

    def record(connection, replies):
        writes.append(len(replies))
        write_lines(connection, replies)

    monkeypatch.setattr(LineServerConnection, "_write_lines", record)
    limits = LineServerLimits(write_buffer=1024)
    async with await listen_lines(LOCAL, int, limits=limits, encode=b"%d".__mod__) as server:
        assert await exchange(server, b"7\n" * 20) == b"7\n" * 20
    assert max(writes) == 5


async def test_reply_that_cannot_be_encoded_aborts_its_connection(caplog):
    async with await listen_lines(LOCAL, int, encode=lambda number: b"%d" % (1 / number)) as server:
        with contextlib.suppress(ConnectionResetError):
            assert await exchange(server, b"0\n") == b""
        assert await exchange(server, b"1\n") == b"1\n"
    assert "a reply could not be encoded" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_reply_that_cannot_be_encoded_after_a_late_one_ends_its_connection(caplog):
    async def wait():
        await asyncio.sleep(0)
        return b"late"

    def handler(line):
        return wait() if line == b"5" else int(line)

    def encode(number):
        return b"%d" % (1 / number)

    async with await listen_lines(
        LOCAL, handler, encode=encode, on_fault=lambda _: b"failed"
    ) as server:
        assert await exchange(server, b"5\n0\n1\n") == b"failed\n"
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 9])
async def test_requests_in_flight_are_bounded(limit):
    most = 0
    running = 0

    async def handler(line):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await run_pending()
        running -= 1
        return line

    limits = LineServerLimits(requests_in_flight=limit)
    async with await listen_lines(LOCAL, handler, limits=limits) as server:
        assert await exchange(server, b"x\n" * 100) == b"x\n" * 100
    assert most == limit


async def test_requests_in_flight_of_all_connections_are_bounded_and_each_has_a_few():
    gate = asyncio.Event()
    running = 0

    async def handler(line):
        nonlocal running
        running += 1
        await gate.wait()
        return line

    limits = LineServerLimits(requests_in_flight_of_all=10)
    async with await listen_lines(LOCAL, handler, limits=limits) as server:
        first = asyncio.create_task(exchange(server, b"x\n" * 100))
        await until(lambda: running == 10)
        second = asyncio.create_task(exchange(server, b"y\n" * 100))
        await until(lambda: running == 14)
        await run_pending()
        assert (running, server._shared.in_flight) == (14, 14)
        gate.set()
        assert await first == b"x\n" * 100
        assert await second == b"y\n" * 100
        await until(lambda: not server.connections)
        assert server._shared.in_flight == 0


class Delayed:
    """A handler that replies to `w` when its gate opens, and to other lines at once."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.lines = []

    def __call__(self, line):
        self.lines.append(line)
        return self._wait(line) if line == b"w" else line * 100

    async def _wait(self, line):
        await self.gate.wait()
        return line


async def test_replies_that_wait_for_an_earlier_one_are_bounded_in_bytes():
    handler = Delayed()
    limits = LineServerLimits(write_buffer=1000)
    sent = b"w\n" + b"x\n" * 50
    async with await listen_lines(LOCAL, handler, limits=limits) as server:
        for _ in range(2):
            handler.lines.clear()
            handler.gate.clear()
            receiving = asyncio.create_task(exchange(server, sent + sent))
            await until(lambda: len(handler.lines) == 11)
            await run_pending()
            assert len(handler.lines) == 11
            handler.gate.set()
            assert await receiving == (b"w\n" + (b"x" * 100 + b"\n") * 50) * 2


async def test_replies_that_wait_for_earlier_ones_of_all_connections_are_bounded_in_bytes():
    handler = Delayed()
    limits = LineServerLimits(write_buffer=1000, unsent_output=4500)
    async with await listen_lines(LOCAL, handler, limits=limits) as server:
        first = [asyncio.create_task(exchange(server, b"w\n" + b"x\n" * 10)) for _ in range(4)]
        await until(lambda: handler.lines.count(b"x") == 40)
        later = asyncio.create_task(exchange(server, b"w\n" + b"x\n" * 10))
        await until(lambda: handler.lines.count(b"x") == 50 or later.done())
        await until(lambda: sum(each.done() for each in first) == 2)
        handler.gate.set()
        answers = await asyncio.gather(*first, later, return_exceptions=True)
        whole = b"w\n" + (b"x" * 100 + b"\n") * 10
        assert answers.count(whole) == 3


async def test_large_replies_in_progress_are_bounded_by_their_size():
    most = running = 0

    async def answer(line):
        nonlocal most, running
        running += 1
        most = max(most, running)
        await run_pending()
        running -= 1
        return line

    limits = LineServerLimits(write_buffer=1000)
    async with await listen_lines(
        LOCAL, lambda line: LargeReply(answer(line), 400), limits=limits
    ) as server:
        assert await exchange(server, b"x\n" * 50) == b"x\n" * 50
    assert most == 3


async def test_large_reply_of_a_future_counts_until_it_is_sent():
    made = []

    def handler(line):
        made.append(asyncio.get_running_loop().create_future())
        return LargeReply(made[-1], 400)

    limits = LineServerLimits(write_buffer=1000)
    async with await listen_lines(LOCAL, handler, limits=limits) as server:
        answered = asyncio.create_task(exchange(server, b"x\n" * 4))
        await until(lambda: made)
        await run_pending()
        assert len(made) == 3
        for number in range(4):
            await until(lambda number=number: len(made) > number)
            made[number].set_result(b"y")
        assert await answered == b"y\n" * 4


async def test_requests_in_flight_of_a_lost_connection_are_not_counted():
    async def handler(line):
        await asyncio.Event().wait()

    async with await listen_lines(LOCAL, handler) as server:
        peer = asyncio.create_task(until_the_end(server, b"x\n" * 5))
        await until(lambda: server._shared.in_flight == 5)
        for connection in server._table.connections:
            connection.abort()
        await peer
        await until(lambda: server._shared.in_flight == 0)


async def test_ten_thousand_lines_of_one_write_are_answered():
    async with await listen_lines(LOCAL, bytes.upper) as server:
        assert await exchange(server, b"abc\n" * 10_000) == b"ABC\n" * 10_000


@pytest.mark.parametrize("reply", [b"two\nlines", "text", None, asyncio.CancelledError])
async def test_invalid_reply_closes_the_connection(reply, caplog):
    async def later():
        if reply is asyncio.CancelledError:
            raise reply
        return reply

    for handler in (lambda line: reply, lambda line: later()):
        caplog.clear()
        async with await listen_lines(LOCAL, handler, on_fault=lambda error: b"fault") as server:
            assert await exchange(server, b"a\n") in {b"fault\n", b""}
        assert caplog.records


async def test_late_reply_whose_repr_raises_is_reported_and_closes_the_connection(caplog):
    async def later():
        return [10**5000]

    async with await listen_lines(LOCAL, lambda line: later()) as server:
        assert await asyncio.wait_for(exchange(server, b"a\n", end=False), 30) == b""
    assert "got <list instance>" in caplog.text


async def test_reply_that_is_text_is_reported_with_what_was_expected(caplog):
    async with await listen_lines(LOCAL, lambda line: line.decode()) as server:
        assert await exchange(server, b"hello\n") == b""
    assert "expected bytes or an awaitable as reply, got 'hello'" in caplog.text


async def until_the_end(server, data):
    """Send bytes over a plain socket; return what came back until the end or a reset."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.settimeout(0)
        await loop.sock_connect(client, (server.endpoint.host, server.endpoint.port))
        received = b""
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(client, data)
            while piece := await loop.sock_recv(client, 65536):
                received += piece
        return received


@pytest.mark.parametrize("first", [bytes([byte]) for byte in range(256) if byte not in b"{["])
async def test_connection_with_another_first_byte_is_aborted_without_an_answer(first):
    lines = []

    def handler(line):
        lines.append(line)
        return line

    server = await listen_lines(LOCAL, handler, on_fault=lambda e: b"fault", first_byte=b"{[")
    async with server:
        assert await until_the_end(server, first + b'{"a":1}\n{"a":1}\n') == b""
    assert lines == []
    assert server.counters.faults == 1


async def test_connection_with_an_allowed_first_byte_is_answered():
    async with await listen_lines(LOCAL, bytes.upper, first_byte=b"{[") as server:
        assert await exchange(server, b"{", b"a}\nb\n") == b"{A}\nB\n"
        assert await exchange(server, b"[a]\n") == b"[A]\n"
    assert server.counters.faults == 0


def test_unexpected_protocol_names_both_bytes():
    error = UnexpectedProtocol(b"{", b"\x16")
    assert str(error) == "expected a connection that begins with b'{', got b'\\x16'"
    assert (error.expected, error.got) == (b"{", b"\x16")


async def test_replies_that_become_ready_together_are_encoded_in_turns():
    """One connection's queue of replies does not hold up another connection's."""
    gate = asyncio.Event()
    waiting, finished = [], []

    async def wait(line):
        waiting.append(line)
        if len(waiting) == 40:
            gate.set()
        await gate.wait()
        return line

    def finish(future):
        finished.append(future.result()[:1])
        return future.result()

    limits = LineServerLimits(turn_time=1e-9, slice_time=1e-9)
    sent = [b"".join(b"%b%d\n" % (name, number) for number in range(20)) for name in (b"a", b"b")]
    async with await listen_lines(LOCAL, wait, encode_result=finish, limits=limits) as server:
        assert await asyncio.gather(*(exchange(server, each) for each in sent)) == sent
    assert set(finished[:19]) == {b"a", b"b"}


async def test_context_variable_of_a_line_is_not_visible_to_the_next_one():
    name = contextvars.ContextVar("name", default=b"anonymous")

    async def later(line):
        if line.startswith(b"="):
            name.set(line)
        await asyncio.sleep(0)
        return name.get()

    def handler(line):
        if line == b"end":
            raise LineError("the end")
        if line.startswith(b"~"):
            return later(line[1:])
        if line.startswith(b"="):
            name.set(line)
        if line.endswith(b"~"):
            return later(b"")  # sees what was set for its line
        return name.get()

    def finish(future):
        result = future.result()
        name.set(b"finish")
        return result

    def on_fault(error):
        name.set(b"fault")
        return name.get()

    server = await listen_lines(LOCAL, handler, encode_result=finish, on_fault=on_fault)
    async with server:
        lines = [b"=a", b"", b"~=b", b"", b"~", b"=c~", b"~", b"", b"end"]
        replies = await exchange(server, *(line + b"\n" for line in lines))
    assert replies.split(b"\n")[:-1] == [
        b"=a", b"anonymous", b"=b", b"anonymous", b"anonymous", b"=c~", b"anonymous", b"anonymous", b"fault",
    ]  # fmt: skip
    assert name.get() == b"anonymous"


class Unprintable(Exception):
    def __str__(self):
        raise ZeroDivisionError

    __repr__ = __str__


@pytest.mark.parametrize("is_raised", [True, False])
@pytest.mark.parametrize("is_later", [True, False])
async def test_failure_that_cannot_be_printed_ends_the_connection_after_earlier_replies(
    is_raised, is_later
):
    def answer(line):
        if line != b"x":
            return line
        if is_raised:
            raise Unprintable
        return Unprintable()

    async def later(line):
        await asyncio.sleep(0)
        return answer(line)

    handler = later if is_later else answer
    async with await listen_lines(LOCAL, handler, on_fault=lambda error: b"last") as server:
        assert await exchange(server, b"a\nx\nb\n") == b"a\nlast\n"


async def test_encode_result_sees_the_context_of_its_line():
    name = contextvars.ContextVar("name", default=b"anonymous")

    async def later(line):
        name.set(name.get() + line)
        await asyncio.sleep(0)

    def handler(line):
        name.set(line)
        return later(line)

    async with await listen_lines(LOCAL, handler, encode_result=lambda _: name.get()) as server:
        assert await exchange(server, b"a\nb\n") == b"aa\nbb\n"


async def test_lines_see_the_context_in_which_the_server_was_started():
    name = contextvars.ContextVar("name", default=b"anonymous")
    token = name.set(b"operator")
    server = await listen_lines(LOCAL, lambda line: name.get())
    name.reset(token)
    async with server:
        assert await exchange(server, b"a\n") == b"operator\n"


async def test_handler_may_return_any_awaitable():
    class Later:
        def __init__(self, line):
            self.line = line

        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return self.line.upper()

    async with await listen_lines(LOCAL, Later) as server:
        assert await exchange(server, b"a\nb\n") == b"A\nB\n"
