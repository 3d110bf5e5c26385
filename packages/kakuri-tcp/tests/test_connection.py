import asyncio
import errno
import socket
import ssl
import time

import pytest
from kakuri_tcp import (
    Connection,
    ConnectionLost,
    IdleTimeout,
    ServerLimits,
    WriteTimeout,
)
from kakuri_tcp.testing import MemoryTransport, run_pending

LIMITS = ServerLimits(idle_timeout=10, write_timeout=5, linger_timeout=1, write_buffer=100)


class Recorder(Connection):
    """Records its events."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.attach(self, "peer", LIMITS)

    def connection_ended(self, connection, fault):
        self.events.append("ended")

    def opened(self):
        self.events.append("opened")

    def data_received(self, data):
        self.events.append(data)

    def writing_paused(self):
        self.events.append("paused")

    def writing_resumed(self):
        self.events.append("resumed")

    def closed(self, fault):
        self.events.append(fault)


@pytest.fixture
def connection():
    return Recorder()


@pytest.fixture
async def transport(connection):
    return MemoryTransport(connection)


class Decrypted:
    """Stands in for the SSLObject of a transport: has data that was not delivered, then its end."""

    def __init__(self):
        self.pieces = [b"a", b"b", b"c"]

    def read(self, size):
        if not self.pieces:
            raise ssl.SSLZeroReturnError
        return self.pieces.pop(0)


class Ending(Recorder):
    def __init__(self, last):
        super().__init__()
        self.last = last

    def data_received(self, data):
        super().data_received(data)
        if data == self.last:
            self.close()

    def receive_eof(self):
        self.events.append("eof")


@pytest.mark.parametrize(
    ("last", "received"), [(b"b", [b"a", b"b"]), (None, [b"a", b"b", b"c", "eof"])]
)
async def test_decrypted_data_of_a_lost_connection_is_processed_until_it_is_closed(
    last, received, monkeypatch
):
    connection = Ending(last)
    transport = MemoryTransport(connection)
    decrypted = Decrypted()
    monkeypatch.setattr(transport, "get_extra_info", lambda name: decrypted)
    transport.lose(ConnectionResetError())
    await run_pending()
    assert connection.events[1:-2] == received


async def test_close_sends_written_data_first(connection, transport):
    connection.write(b"a")
    connection.write(b"b")
    connection.close()
    assert "closing" in repr(connection)
    assert transport.take() == b"ab"
    await run_pending()
    assert connection.events == ["opened", None, "ended"]
    assert "closed" in repr(connection)


async def test_calls_after_the_end_of_a_connection_do_nothing(connection, transport):
    connection.abort()
    await run_pending()
    connection.write(b"dropped")
    for call in (
        connection.close,
        connection.abort,
        connection.close_lingering,
        connection.pause_reading,
        connection.resume_reading,
    ):
        call()
    assert connection.is_closing
    assert connection.events == ["opened", None, "ended"]


async def test_calls_before_the_start_of_a_connection_do_nothing(connection):
    connection.write(b"dropped")
    connection.close()
    connection.pause_reading()
    assert connection.events == []
    assert "new" in repr(connection)


async def test_error_of_the_system_becomes_connection_lost_with_its_cause(connection, transport):
    error = ConnectionResetError("reset")
    transport.lose(error)
    await run_pending()
    fault = connection.events[1]
    assert isinstance(fault, ConnectionLost)
    assert fault.__cause__ is error
    assert connection.fault is fault


async def test_end_of_the_stream_closes_the_connection_by_default(connection, transport):
    transport.feed_eof()
    await run_pending()
    assert connection.has_eof
    assert connection.events == ["opened", None, "ended"]


async def test_overridden_receive_eof_can_still_write(connection, transport):
    connection.receive_eof = lambda: None
    transport.feed_eof()
    connection.write(b"late")
    connection.resume_reading()  # must not report the end twice
    await run_pending()
    assert transport.take() == b"late"
    assert connection.events == ["opened"]
    connection.close_lingering()
    await run_pending()
    assert connection.events == ["opened", None, "ended"]


async def test_writing_is_paused_above_the_limit_and_resumed_below_a_quarter(connection, transport):
    connection.write(b"x" * 100)
    assert connection.events == ["opened"]
    connection.write(b"x")
    assert connection.is_writing_paused
    assert connection.unsent == 101
    assert "paused" in repr(connection)
    transport.take(75)
    assert connection.unsent == 26
    assert connection.is_writing_paused
    transport.take(1)
    assert connection.events == ["opened", "paused", "resumed"]


async def test_peer_that_does_not_read_is_aborted_after_write_timeout(connection, transport):
    connection.write(b"x" * 101)
    now = time.monotonic()
    connection.sweep(now + 4.9)
    assert not connection.is_closing
    connection.sweep(now + 5.1)
    await run_pending()
    assert isinstance(connection.events[2], WriteTimeout)


async def test_close_with_a_peer_that_does_not_read_is_aborted_after_write_timeout(
    connection, transport
):
    connection.write(b"x")
    connection.close()
    now = time.monotonic()
    connection.sweep(now + 4.9)
    await run_pending()
    assert connection.events == ["opened"]
    connection.sweep(now + 5.1)
    await run_pending()
    assert isinstance(connection.events[1], WriteTimeout)


async def test_progress_restarts_the_idle_timeout(connection, transport):
    connection.sweep(100)  # progress was made by opening
    connection.sweep(109)
    connection.made_progress = True
    connection.sweep(109.5)
    connection.sweep(119)
    assert not connection.is_closing
    connection.sweep(119.5)
    await run_pending()
    assert isinstance(connection.events[1], IdleTimeout)


async def test_received_bytes_without_progress_do_not_restart_the_idle_timeout(
    connection, transport
):
    for second in range(100, 111):
        transport.feed(b"x")
        connection.sweep(second)
    await run_pending()
    assert isinstance(connection.fault, IdleTimeout)


async def test_close_lingering_drops_input_until_the_peer_ends(connection, transport):
    connection.pause_reading()
    connection.write(b"last")
    connection.close_lingering()
    connection.close_lingering()
    assert transport.has_eof
    transport.feed(b"too late")
    await run_pending()
    assert transport.take() == b"last"
    assert connection.events == ["opened"]
    transport.feed_eof()
    await run_pending()
    assert connection.events == ["opened", None, "ended"]


async def test_close_lingering_ends_after_linger_timeout(connection):
    connection.attach(connection, "peer", ServerLimits(linger_timeout=0.001))
    ended = asyncio.Event()
    connection.closed = lambda fault: ended.set()
    MemoryTransport(connection)
    connection.close_lingering()
    await ended.wait()


async def test_close_lingering_ends_after_linger_bytes():
    connection = Recorder()
    connection.attach(connection, "peer", ServerLimits(linger_bytes=10))
    transport = MemoryTransport(connection)
    connection.close_lingering()
    transport.feed(b"x" * 10)
    await run_pending()
    assert not transport.is_closing()
    transport.feed(b"x")
    await run_pending()
    assert transport.is_closing()
    assert connection.events == ["opened", None, "ended"]


async def test_close_lingering_after_a_reset_ends_the_connection(
    connection, transport, monkeypatch
):
    def fail():
        raise OSError(errno.ENOTCONN, "not connected")

    monkeypatch.setattr(transport, "write_eof", fail)
    connection.close_lingering()
    await run_pending()
    assert isinstance(connection.events[1], ConnectionLost)


async def test_close_lingering_aborts_a_peer_that_does_not_read(connection, transport):
    connection.write(b"x" * 101)
    connection.close_lingering()
    transport.take()
    assert not connection.is_writing_paused


async def test_reading_can_be_paused_any_number_of_times(connection, transport):
    connection.pause_reading()
    connection.pause_reading()
    transport.feed(b"a")
    assert connection.events == ["opened"]
    connection.resume_reading()
    connection.resume_reading()
    await run_pending()
    assert connection.events == ["opened", b"a"]


async def test_drain_closes_the_connection_by_default(connection, transport):
    connection.drain()
    await run_pending()
    assert connection.events == ["opened", None, "ended"]


async def test_peer_that_reads_slowly_and_steadily_is_not_aborted(connection, transport):
    connection.write(b"x" * 10_000)
    now = time.monotonic()
    for second in range(0, 400, 4):
        connection.sweep(now + second)
        transport.take(50)
    assert not connection.is_closing
    for second in (400, 406):
        connection.sweep(now + second)
    assert isinstance(connection.fault, WriteTimeout)


async def test_peer_that_reads_slowly_and_steadily_gets_all_before_the_close(connection, transport):
    connection.write(b"x" * 1000)
    connection.close()
    now = time.monotonic()
    for second in range(0, 80, 4):
        connection.sweep(now + second)
        transport.take(50)
    await run_pending()
    assert connection.events == ["opened", "paused", "resumed", None, "ended"]


async def test_peer_that_does_not_read_is_aborted_although_more_is_written(connection, transport):
    now = time.monotonic()
    for second in range(7):
        connection.write(b"x" * 200)
        connection.sweep(now + second)
    assert isinstance(connection.fault, WriteTimeout)


async def test_write_timeout_begins_at_the_last_read(connection, transport):
    timeout = connection.limits.write_timeout
    connection.write(b"x" * 10_000)
    now = time.monotonic()
    connection.sweep(now)
    for pause in (0.9, 0.9, 0.9):  # of the timeout, three times
        transport.take(50)
        now += 0.01
        connection.sweep(now)
        now += pause * timeout
        connection.sweep(now)
        assert not connection.is_closing
    connection.sweep(now + 0.1 * timeout)
    assert isinstance(connection.fault, WriteTimeout)


async def test_connection_that_processes_at_once_reports_no_unprocessed_bytes(
    connection, transport
):
    transport.feed(b"a")
    assert connection.events[-1] == b"a"
    assert (connection.unprocessed(), connection.account()) == (0, 0)


@pytest.mark.parametrize("size", [0, 1, 2])
async def test_connection_with_unsent_bytes_is_sending_and_busy(connection, transport, size):
    connection.write(b"ab"[:size])
    assert (connection.is_sending, connection.is_busy) == (size > 0, size > 0)
    transport.take()
    assert (connection.is_sending, connection.is_busy) == (False, False)


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_connection_that_the_peer_ended_is_closing(connection, transport, error):
    assert not connection.is_closing
    transport.lose(error)
    await run_pending()
    assert connection.is_closing


async def test_reading_resumes_when_the_last_reason_to_pause_is_gone(connection, transport):
    connection.pause_for(4)
    connection.pause_for(8)
    transport.feed(b"a")
    connection.resume_for(4)
    await run_pending()
    assert connection.events == ["opened"]
    connection.resume_for(8)
    await run_pending()
    assert connection.events == ["opened", b"a"]


@pytest.mark.parametrize("end", ["close", "eof", "lose"])
async def test_reading_of_a_connection_that_has_ended_is_not_changed(connection, transport, end):
    calls = []
    transport.pause_reading = lambda: calls.append("pause")
    transport.resume_reading = lambda: calls.append("resume")
    connection.receive_eof = lambda: None
    connection.write(b"unsent")
    match end:
        case "close":
            connection.close()
        case "eof":
            transport.feed_eof()
        case "lose":
            transport.lose(None)
    await run_pending()
    connection.pause_for(4)
    connection.resume_for(4)
    assert calls == []


async def test_write_timeout_of_a_new_pause_does_not_count_earlier_reads(connection, transport):
    connection.write(b"x" * 101)
    connection.sweep(time.monotonic())  # measures while 101 bytes wait
    transport.take()
    connection.write(b"x" * 101)
    transport.take(10)
    connection.sweep(time.monotonic() + connection.limits.write_timeout + 0.1)
    assert isinstance(connection.fault, WriteTimeout)


async def test_write_timeout_of_a_close_does_not_count_earlier_reads(connection, transport):
    connection.write(b"x" * 101)
    connection.sweep(time.monotonic())
    transport.take(10)
    connection.close()
    connection.sweep(time.monotonic() + connection.limits.write_timeout + 0.1)
    assert isinstance(connection.fault, WriteTimeout)


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
async def test_connection_that_was_lost_is_closing(connection, transport, error):
    assert not connection.is_closing
    transport.lose(error)
    await run_pending()
    assert connection.is_closing
    connection.close()
    assert connection.events[-1] == "ended"


async def test_connection_whose_write_failed_is_closing_at_once(connection):
    ours, theirs = socket.socketpair()
    with theirs:
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
    connection.write(b"a")
    assert connection.is_closing
    await run_pending()
    assert connection.events[-1] == "ended"
