"""Servers that break the protocol, scripted frame by frame: each call ends once, with its error."""

import asyncio
import random

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
    NotFound,
    Processed,
    StatusCode,
    StatusError,
    Unavailable,
)
from kakuri_http2 import ErrorCode
from kakuri_http2 import _frames as frames

from .echo_service import BOTH, DOWN, UNARY, UP, EchoRequest, EchoResponse
from .scripted_peer import GOOD_HEAD, OK, Network, turns

LAST = (1 << 31) - 1
HELLO = kp.encode(EchoResponse(text="hello"))


@pytest.fixture
def network(monkeypatch):
    return Network(monkeypatch)


@pytest_asyncio.fixture
async def channel(network):
    async with Channel("unix:/played") as opened:
        yield opened


def start(channel, text="", *, timeout=60.0, **more):
    """Start a unary call as a task."""
    request = EchoRequest(text=text, **more)
    return asyncio.ensure_future(channel.call(UNARY, request, timeout=timeout))


async def started(channel, network, number=1):
    """Start calls; return them with the peer once it has their requests."""
    calls = [start(channel, str(index)) for index in range(number)]
    peer = await network.peer()
    await turns(lambda: len(peer.streams) == number)
    return peer, calls


async def status_of(call):
    with pytest.raises(StatusError) as caught:
        await call
    return caught.value.code


def expire(peer, *streams):
    """Move some calls and their deadlines into the past."""
    deadlines = peer.driver.deadlines
    for call in deadlines._calls:
        if call.stream in streams:
            call._began, call.deadline = -60.0, 0.0
    deadlines._fire()


def is_clean(peer):
    """Return whether nothing of any call is left on a connection."""
    driver = peer.driver
    return not driver.connection.open_streams and not len(driver.deadlines)


# GOAWAY.


@pytest.mark.parametrize("closes", ["at once", "later", "never"])
@pytest.mark.parametrize("last", [0, 1, 3, LAST])
async def test_goaway_completes_streams_up_to_its_last_and_repeats_the_others(
    channel, network, last, closes
):
    peer, calls = await started(channel, network, 2)
    peer.send(peer.goaway(last))
    kept = [number for number in (1, 3) if number <= last]
    moved = len(calls) - len(kept)
    if closes == "at once":
        peer.lose()
    await turns(lambda: len(network.peers) == 2)  # it is opened at once
    second = network.peers[1]
    await turns(lambda: len(second.streams) == moved)
    for stream in second.streams:
        second.respond(stream, HELLO)
    if closes != "at once":
        for stream in kept:
            peer.respond(stream, HELLO)
        if closes == "later":
            peer.lose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    for index, result in enumerate(results):
        if closes == "at once" and index < len(kept):
            assert isinstance(result, Unavailable)
            assert result.processed is Processed.UNKNOWN
        else:
            assert result == EchoResponse(text="hello")
    await turns(lambda: peer.is_closed)  # drained, it is closed by this side if not by the peer
    assert is_clean(peer)
    await turns(lambda: channel.state is ChannelState.READY)


async def test_cancelled_close_of_a_channel_that_connects_closes_its_draining_connection(
    channel, network
):
    peer, (call,) = await started(channel, network)
    network.opening = b""  # without SETTINGS, the next attempt does not complete
    peer.send(peer.goaway(LAST))
    await network.peer(1)
    closing = asyncio.ensure_future(channel.close())
    await asyncio.sleep(0)  # it waits for the attempt
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert peer.is_closed
    await asyncio.wait([call])
    assert isinstance(call.exception(), StatusError)


async def test_closing_a_channel_closes_a_connection_that_drains(channel, network):
    peer, (call,) = await started(channel, network)
    peer.send(peer.goaway(LAST))
    await turns(lambda: channel.state is ChannelState.READY)  # on another connection
    assert len(network.peers) == 2
    await channel.close()
    assert peer.is_closed
    assert await status_of(call) is StatusCode.UNAVAILABLE


async def test_closing_a_channel_waits_for_calls_on_a_connection_that_drains(channel, network):
    peer, (call,) = await started(channel, network)
    peer.send(peer.goaway(LAST))
    await turns(lambda: channel.state is ChannelState.READY)  # on another connection
    assert len(network.peers) == 2
    closing = asyncio.ensure_future(channel.close(grace=60.0))
    await asyncio.sleep(0)
    assert not peer.is_closed
    peer.respond(1, HELLO)
    assert await call == EchoResponse(text="hello")
    await closing
    assert peer.is_closed


async def test_closing_a_channel_ends_as_soon_as_its_last_call_has_ended(channel, network):
    peer, calls = await started(channel, network, 2)
    closing = asyncio.ensure_future(channel.close(grace=60.0))
    peer.respond(1, HELLO)
    await asyncio.sleep(0)
    assert not closing.done()
    peer.respond(3, HELLO)
    await turns(closing.done)
    assert await asyncio.gather(*calls) == [EchoResponse(text="hello")] * 2
    assert channel.state is ChannelState.SHUTDOWN
    with pytest.raises(LocalError, match="is closed"):
        await start(channel)
    await channel.close()


async def test_connection_that_ended_has_no_timer_of_a_deadline(channel, network):
    peer, (call,) = await started(channel, network)
    timer = peer.driver.deadlines._timer
    peer.lose()
    assert await status_of(call) is StatusCode.UNAVAILABLE
    assert timer.cancelled()


async def test_second_goaway_ends_the_streams_that_the_first_one_spared(channel, network):
    peer, calls = await started(channel, network, 2)
    peer.send(peer.goaway(LAST))
    await turns(lambda: len(network.peers) == 2)
    assert not calls[1].done()
    peer.send(peer.goaway(1))
    second = network.peers[1]
    await turns(lambda: second.streams == [1])
    second.respond(1, HELLO)
    peer.respond(1, HELLO)
    assert await asyncio.gather(*calls) == [EchoResponse(text="hello")] * 2


async def test_call_is_retried_only_once(channel, network):
    _, (call,) = await started(channel, network)
    for number in range(2):
        peer = await network.peer(number)
        await turns(lambda peer=peer: peer.streams)
        peer.send(peer.goaway(0))
    with pytest.raises(Unavailable) as caught:
        await call
    assert caught.value.processed is Processed.NO


async def test_server_that_ends_every_connection_immediately_is_reconnected_to_with_back_off(
    network,
):
    network.opening = frames.settings_frame({}) + frames.goaway(0, 0, b"")
    async with Channel("127.0.0.1:1", backoff=Backoff(first=60.0, longest=60.0)) as channel:
        for _ in range(20):
            with pytest.raises(Unavailable, match="closed each connection") as caught:
                await channel.call(UNARY, EchoRequest(), timeout=5)
            assert caught.value.processed is Processed.NO
    assert len(network.peers) <= 3


@pytest.mark.parametrize("kind", ["status alone", "stream"])
async def test_connection_that_ends_after_any_response_is_replaced_immediately(network, kind):
    backoff = Backoff(first=60.0, longest=60.0)
    async with Channel("unix:/played", backoff=backoff) as channel:
        for number in range(5):
            if kind == "stream":
                call = await channel.stream(DOWN, EchoRequest(), timeout=60)
                peer = await network.peer(number)
                peer.send(peer.head(1), peer.message(1, HELLO))
                assert await call.receive() == EchoResponse(text="hello")
            else:
                call = start(channel)
                peer = await network.peer(number)
                await turns(lambda peer=peer: peer.streams)
                peer.send(peer.trailers(1, (*GOOD_HEAD, (b"grpc-status", b"5"))))
                assert await status_of(call) is StatusCode.NOT_FOUND
            peer.lose()
            await turns(lambda: channel.state is not ChannelState.READY)


@pytest.mark.parametrize(
    ("pick", "waits"),
    [(max, [66.0, 132.0, 165.0, 165.0]), (min, [54.0, 108.0, 135.0, 135.0])],
    ids=["longest", "shortest"],
)
async def test_back_off_grows_up_to_its_limit_and_is_reset_by_success(
    network, monkeypatch, pick, waits
):
    monkeypatch.setattr(random, "uniform", lambda *ends: pick(ends))
    backoff = Backoff(first=60.0, factor=2.0, longest=150.0, jitter=0.1)
    async with Channel("unix:/played", backoff=backoff) as channel:
        connections = channel._connections
        for wait in [*waits, None, waits[0]]:
            connections._retry_at = 0.0  # the wait before is over
            if wait is None:
                network.refuses = 0
                peer, (call,) = await started(channel, network)
                peer.respond(1, HELLO)
                await call
                peer.lose()
                await turns(lambda: channel.state is not ChannelState.READY)
                continue
            network.refuses = 1
            for _ in range(2):  # the second call makes no attempt
                with pytest.raises(Unavailable, match="refused"):
                    await start(channel)
            seconds = connections._retry_at - asyncio.get_running_loop().time()
            assert seconds == pytest.approx(wait, abs=1)
            assert channel.state is ChannelState.TRANSIENT_FAILURE


@pytest.mark.parametrize("ends", ["timeout", "close"])
async def test_connection_without_settings_is_closed_when_its_attempt_ends(network, ends):
    network.opening = b""
    backoff = Backoff(connect=0.01 if ends == "timeout" else 60.0)
    async with Channel("unix:/played", backoff=backoff) as channel:
        call = start(channel)
        peer = await network.peer()
        if ends == "close":
            await channel.close()
        with pytest.raises(Unavailable if ends == "timeout" else LocalError):
            await call
        await turns(lambda: peer.is_closed)


async def test_too_many_pings_doubles_the_interval_of_the_next_connection(network):
    async with Channel("127.0.0.1:1") as channel:
        peer, (call,) = await started(channel, network)
        before = peer.driver.interval
        peer.send(peer.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, b"too_many_pings"))
        peer.respond(1, HELLO)
        await call
        assert (await network.peer(1)).driver.interval == 2 * before


async def test_doubled_interval_outlives_a_failed_attempt(network):
    backoff = Backoff(first=0.0)
    async with Channel("127.0.0.1:1", backoff=backoff) as channel:
        peer, (call,) = await started(channel, network)
        before = peer.driver.interval
        network.refuses = 1
        peer.send(peer.head(1))
        peer.send(peer.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, b"too_many_pings"))
        await turns(lambda: channel.state is ChannelState.TRANSIENT_FAILURE)
        peer.send(peer.message(1, HELLO), peer.trailers(1))  # the connection is drained
        assert await call == EchoResponse(text="hello")
        second = start(channel)
        peer = await network.peer(1)
        assert peer.driver.interval == 2 * before
        await turns(lambda: peer.streams)
        peer.respond(1, HELLO)
        assert await second == EchoResponse(text="hello")


async def test_call_during_a_failed_reconnection_reports_that_nothing_was_processed(
    channel, network
):
    peer, (call,) = await started(channel, network)
    network.refuses = 10
    peer.send(peer.goaway(1))
    peer.respond(1, HELLO)
    assert await call == EchoResponse(text="hello")
    await turns(lambda: channel.state is ChannelState.TRANSIENT_FAILURE)
    with pytest.raises(Unavailable, match="refused") as caught:
        await start(channel)
    assert caught.value.processed is Processed.NO


# RST_STREAM.

CODES = {
    ErrorCode.NO_ERROR: StatusCode.INTERNAL,
    ErrorCode.PROTOCOL_ERROR: StatusCode.INTERNAL,
    ErrorCode.INTERNAL_ERROR: StatusCode.INTERNAL,
    ErrorCode.FLOW_CONTROL_ERROR: StatusCode.INTERNAL,
    ErrorCode.SETTINGS_TIMEOUT: StatusCode.INTERNAL,
    ErrorCode.STREAM_CLOSED: StatusCode.INTERNAL,
    ErrorCode.FRAME_SIZE_ERROR: StatusCode.INTERNAL,
    ErrorCode.REFUSED_STREAM: StatusCode.UNAVAILABLE,
    ErrorCode.CANCEL: StatusCode.CANCELLED,
    ErrorCode.COMPRESSION_ERROR: StatusCode.INTERNAL,
    ErrorCode.CONNECT_ERROR: StatusCode.INTERNAL,
    ErrorCode.ENHANCE_YOUR_CALM: StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: StatusCode.PERMISSION_DENIED,
    ErrorCode.HTTP_1_1_REQUIRED: StatusCode.INTERNAL,
    0xFF: StatusCode.UNKNOWN,
}


@pytest.mark.parametrize("point", ["before the head", "in a message", "after the message"])
@pytest.mark.parametrize(
    ("code", "status"), CODES.items(), ids=lambda one: getattr(one, "name", "")
)
async def test_reset_before_the_trailers_fails_the_call_with_the_status_of_its_code(
    channel, network, code, status, point
):
    peer, (call,) = await started(channel, network)
    if point != "before the head":
        peer.send(peer.head(1), peer.data(1, b"\0\0\0"))
    if point == "after the message":
        peer.send(peer.data(1, b"\0\0"))
    peer.send(peer.reset(1, code))
    if code == ErrorCode.REFUSED_STREAM and point == "before the head":
        await turns(lambda: peer.streams == [1, 3])
        peer.send(peer.reset(3, code))
    assert await status_of(call) is status
    assert is_clean(peer)
    assert len(network.peers) == 1
    assert peer.streams in ([1], [1, 3])


@pytest.mark.parametrize("code", CODES, ids=lambda one: getattr(one, "name", ""))
async def test_reset_after_the_trailers_changes_nothing(channel, network, code):
    peer, (call,) = await started(channel, network)
    peer.send(peer.head(1), peer.message(1, HELLO), peer.trailers(1), peer.reset(1, code))
    assert await call == EchoResponse(text="hello")
    second = start(channel)
    await turns(lambda: peer.streams == [1, 3])
    peer.respond(3, HELLO)
    assert await second == EchoResponse(text="hello")


async def test_refused_call_is_retried_and_gets_its_response(channel, network):
    peer, (call,) = await started(channel, network)
    peer.send(peer.reset(1, ErrorCode.REFUSED_STREAM))
    await turns(lambda: peer.streams == [1, 3])
    assert peer.content(3) == peer.content(1)
    peer.respond(3, HELLO)
    assert await call == EchoResponse(text="hello")


async def test_call_that_streams_and_is_refused_after_its_head_may_have_been_processed(
    channel, network
):
    starting = asyncio.ensure_future(channel.stream(DOWN, EchoRequest(), timeout=None))
    peer = await network.peer()
    peer.settings()
    async with await starting as call:
        peer.send(peer.head(1), peer.message(1, HELLO), peer.reset(1, ErrorCode.REFUSED_STREAM))
        assert await call.receive() == EchoResponse(text="hello")
        with pytest.raises(Unavailable) as caught:
            await call.receive()
    assert caught.value.processed is Processed.UNKNOWN


async def test_stream_that_is_refused_after_its_head_is_not_retried(channel, network):
    peer, (call,) = await started(channel, network)
    peer.send(peer.head(1), peer.reset(1, ErrorCode.REFUSED_STREAM))
    with pytest.raises(Unavailable) as caught:
        await call
    assert caught.value.processed is Processed.UNKNOWN
    assert peer.streams == [1]


# Windows and settings.


async def test_zero_stream_window_delays_a_message_until_it_opens(channel, network):
    network.settings = {"s4": 0}
    peer, calls = await started(channel, network, 2)
    assert peer.content(1) == peer.content(3) == b""
    peer.send(peer.window(3, 100))
    await turns(lambda: peer.content(3))
    assert peer.content(1) == b""
    peer.send(peer.window(1, 3))
    await turns(lambda: len(peer.content(1)) == 3)
    peer.send(peer.window(1, 100))
    await turns(lambda: peer.of_kind(frames.DATA, 1)[-1].flags & frames.END_STREAM)
    for stream in (1, 3):
        peer.respond(stream, HELLO)
    await asyncio.gather(*calls)


async def test_zero_connection_window_delays_all_messages_until_it_opens(channel, network):
    large = start(channel, payload=bytes(70_000))
    peer = await network.peer()
    await turns(lambda: len(peer.content(1)) == 65_535)
    small = start(channel, "small")
    await turns(lambda: peer.streams == [1, 3])
    assert peer.content(3) == b""
    peer.send(peer.window(0, 100))
    await turns(lambda: peer.content(3))
    peer.respond(3, HELLO)
    assert await small == EchoResponse(text="hello")
    peer.send(peer.window(0, 100_000), peer.window(1, 100_000))
    await turns(lambda: len(peer.content(1)) > 70_000)
    peer.respond(1, HELLO)
    assert await large == EchoResponse(text="hello")


async def test_stream_sends_nothing_until_its_lowered_window_is_above_zero(channel, network):
    call = start(channel, payload=bytes(70_000))
    peer = await network.peer()
    peer.send(peer.window(0, 1_000_000))
    await turns(lambda: len(peer.content(1)) == 65_535)
    peer.settings(s4=1_000)  # the stream's window is 65,535 - 64,535 - 65,535
    peer.send(peer.window(1, 64_535))
    await asyncio.sleep(0)
    assert len(peer.content(1)) == 65_535
    peer.send(peer.window(1, 10_000))
    await turns(lambda: len(peer.content(1)) > 70_000)
    peer.respond(1, HELLO)
    assert await call == EchoResponse(text="hello")


async def test_overflow_of_a_streams_window_fails_only_its_call(channel, network):
    peer, calls = await started(channel, network, 2)
    peer.send(peer.window(1, LAST))
    assert await status_of(calls[0]) is StatusCode.INTERNAL
    peer.respond(3, HELLO)
    assert await calls[1] == EchoResponse(text="hello")


async def test_overflow_of_the_connections_window_ends_all_calls(channel, network):
    peer, calls = await started(channel, network, 2)
    peer.send(peer.window(0, LAST))
    for call in calls:
        assert await status_of(call) is StatusCode.UNAVAILABLE
    assert peer.of_kind(frames.GOAWAY)


async def test_settings_that_change_in_a_call_are_acknowledged_and_applied(channel, network):
    peer, (call,) = await started(channel, network)
    before = len(peer.of_kind(frames.SETTINGS))
    for change in ({"s1": 0}, {"s2": 0}, {"s3": 50}, {"s4": 100_000}, {"s5": 20_000}, {"s6": 9999}):
        peer.settings(**change)
    await turns(lambda: len(peer.of_kind(frames.SETTINGS)) == before + 6)
    peer.respond(1, HELLO)
    assert await call == EchoResponse(text="hello")
    second = start(channel, payload=bytes(30_000))
    peer.send(peer.window(0, 100_000))
    await turns(lambda: len(peer.content(3)) > 30_000)
    assert max(len(one.payload) for one in peer.of_kind(frames.DATA, 3)) == 20_000
    peer.respond(3, HELLO)
    assert await second == EchoResponse(text="hello")


async def test_calls_wait_in_order_while_the_server_allows_no_streams(channel, network):
    network.settings = {"s3": 0}
    calls = [start(channel, str(number)) for number in range(3)]
    peer = await network.peer()
    late = start(channel, "late", timeout=0.01)
    with pytest.raises(DeadlineExceeded):
        await late
    assert peer.streams == []
    peer.settings(s3=1)
    for number, stream in enumerate((1, 3, 5)):
        await turns(lambda stream=stream: peer.content(stream))
        assert peer.streams[-1] == stream
        assert kp.decode(peer.content(stream)[5:], type=EchoRequest).text == str(number)
        peer.respond(stream, HELLO)
    await asyncio.gather(*calls)


# Ends of the connection, and deadlines.


@pytest.mark.parametrize("error", [None, ConnectionResetError()], ids=["closes", "kills"])
@pytest.mark.parametrize("point", ["before the head", "in a message"])
async def test_end_of_the_connection_leaves_it_open_whether_the_call_was_processed(
    channel, network, point, error
):
    peer, calls = await started(channel, network, 2)
    if point == "in a message":
        peer.send(peer.head(1), peer.data(1, b"\0\0"))
    peer.lose(error)
    for call in calls:
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.processed is Processed.UNKNOWN
    assert is_clean(peer)
    assert len(network.peers) == 1


async def test_half_close_by_the_server_ends_the_calls(channel, network):
    peer, (call,) = await started(channel, network)
    peer.driver.eof_received()
    with pytest.raises(Unavailable):
        await call
    assert peer.is_closed


async def test_server_that_stops_reading_costs_no_more_than_what_was_handed_over(channel, network):
    peer, (call,) = await started(channel, network)
    peer.driver.pause_writing()
    before = len(peer.received)
    late = [start(channel) for _ in range(50)]
    await turns(lambda: peer.driver.connection.open_streams == 51)
    expire(peer, *range(3, 103, 2))
    for one in late:
        with pytest.raises(DeadlineExceeded):
            await one
    assert len(peer.received) == before
    peer.driver.resume_writing()
    assert len(peer.of_kind(frames.RST_STREAM)) == 50
    peer.respond(1, HELLO)
    assert await call == EchoResponse(text="hello")


async def test_response_after_the_deadline_is_ignored_and_its_credit_returned(channel, network):
    peer, (late,) = await started(channel, network)
    expire(peer, 1)
    with pytest.raises(DeadlineExceeded) as caught:
        await late
    assert caught.value.seconds == 60.0
    await turns(lambda: peer.of_kind(frames.RST_STREAM, 1))
    peer.respond(1, bytes(10_000))
    assert is_clean(peer)
    core = peer.driver.connection
    assert core._receive_window + core._credit == core.limits.connection_window
    second = start(channel)
    await turns(lambda: peer.streams == [1, 3])
    peer.respond(3, HELLO)
    assert await second == EchoResponse(text="hello")


async def test_deadline_that_the_server_finds_first_is_deadline_exceeded(channel, network):
    peer, (call,) = await started(channel, network)
    peer.send(peer.trailers(1, (*GOOD_HEAD, (b"grpc-status", b"4"))))
    with pytest.raises(DeadlineExceeded):
        await call


# Invalid responses.


async def outcome(channel, network, *pieces):
    """Return what a call ends with after the peer sends some frames."""
    peer, (call,) = await started(channel, network)
    peer.send(*[piece(peer) if callable(piece) else piece for piece in pieces])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the tests check it
        await call
    assert is_clean(peer)
    second = start(channel)
    await turns(lambda: 3 in peer.streams)
    peer.respond(3, HELLO)
    assert await second == EchoResponse(text="hello")
    return caught.value


def valid_head(peer):
    return peer.head(1)


def good_message(peer):
    return peer.message(1, HELLO)


def valid_trailers(peer):
    return peer.trailers(1)


@pytest.mark.parametrize(
    ("pieces", "code", "text"),
    [
        ((valid_head, good_message, good_message, valid_trailers), StatusCode.INTERNAL, "got more"),
        ((valid_head, valid_trailers), StatusCode.INTERNAL, "got none"),
        (
            (valid_head, lambda peer: peer.data(1, b"\0\0\0\0\5abc"), valid_trailers),
            StatusCode.INTERNAL,
            "cut off",
        ),
        ((valid_head, lambda peer: peer.data(1, b"\0\0\0"), valid_trailers), StatusCode.INTERNAL, "cut"),
        (
            (valid_head, good_message, lambda peer: peer.trailers(1, ((b"x-y", b"z"),))),
            StatusCode.UNKNOWN,
            "no grpc-status",
        ),
        (
            (valid_head, lambda peer: peer.data(1, b"\0\0\0\0\0", end=True)),
            StatusCode.UNKNOWN,
            "no grpc-status",
        ),
        ((valid_head, lambda peer: peer.data(1, b"\1\0\0\0\0")), StatusCode.INTERNAL, "compression"),
        ((valid_head, lambda peer: peer.message(1, b"\xff"), valid_trailers), StatusCode.INTERNAL, "not a"),
        (
            (
                lambda peer: peer.head(1, ((b":status", b"503"), (b"content-type", b"text/html"))),
                lambda peer: peer.data(1, b"<html>", end=True),
            ),
            StatusCode.UNAVAILABLE,
            "503",
        ),
        (
            (lambda peer: peer.head(1, ((b":status", b"404"),), end=True),),
            StatusCode.UNIMPLEMENTED,
            "404",
        ),
        (
            (lambda peer: peer.head(1, ((b":status", b"200"), (b"content-type", b"text/html"))),),
            StatusCode.UNKNOWN,
            "text/html",
        ),
        (
            (lambda peer: peer.head(1, (*GOOD_HEAD, (b"x-bin", b"?"))), good_message, valid_trailers),
            StatusCode.INTERNAL,
            "base64",
        ),
        (
            (valid_head, lambda peer: peer.trailers(1, ((b"grpc-status", b"5"),))),
            StatusCode.NOT_FOUND,
            "",
        ),
    ],
    ids=[
        "two messages", "no message", "a message that is cut off", "a prefix that is cut off",
        "trailers without a status", "no trailers", "a compressed message", "not a message",
        "503 with HTML", "404", "200 with HTML", "metadata that is not base64", "a status",
    ],
)  # fmt: skip
async def test_invalid_response_fails_the_call_and_not_the_connection(
    channel, network, pieces, code, text
):
    error = await outcome(channel, network, *pieces)
    assert isinstance(error, StatusError)
    assert error.code is code
    assert text in error.message


async def test_announced_message_of_4_gib_fails_the_call_before_it_arrives(channel, network):
    error = await outcome(
        channel, network, valid_head, lambda peer: peer.data(1, b"\0\xff\xff\xff\xff")
    )
    assert isinstance(error, MessageTooLarge)
    assert error.size == 0xFFFFFFFF


async def test_interim_heads_before_the_response_are_skipped(channel, network):
    peer, (call,) = await started(channel, network)
    for _ in range(3):
        peer.send(peer.head(1, ((b":status", b"103"), (b"link", b"</style.css>"))))
    peer.respond(1, HELLO)
    assert await call == EchoResponse(text="hello")


@pytest.mark.parametrize("cut", [1, 2, 5, 6])
async def test_message_is_read_however_its_frames_are_split(channel, network, cut):
    peer, (call,) = await started(channel, network)
    content = b"\0" + len(HELLO).to_bytes(4, "big") + HELLO
    peer.send(peer.head(1))
    for start_ in range(0, len(content), cut):
        peer.send(peer.data(1, content[start_ : start_ + cut]))
    peer.send(peer.trailers(1))
    assert await call == EchoResponse(text="hello")


async def test_text_of_http_1_1_is_unavailable_and_not_processed(channel, network):
    network.opening = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
    with pytest.raises(Unavailable, match="HTTP/2") as caught:
        await start(channel)
    assert caught.value.processed is Processed.NO
    assert network.peers[0].is_closed


async def test_closing_a_channel_closes_the_connection_that_waits_for_settings(network):
    network.opening = b""
    channel = Channel("unix:/played")
    call = start(channel)
    peer = await network.peer()
    await channel.close()
    assert peer.is_closed
    with pytest.raises(LocalError):
        await call


# Streams.


async def test_streaming_call_ends_with_the_status_of_a_reset_after_its_messages(channel, network):
    opening = asyncio.ensure_future(channel.stream(DOWN, EchoRequest(), timeout=60))
    peer = await network.peer()
    call = await opening
    peer.send(peer.head(1), peer.message(1, HELLO), peer.reset(1, ErrorCode.INTERNAL_ERROR))
    assert await call.receive() == EchoResponse(text="hello")
    for _ in range(2):  # and stays so
        with pytest.raises(StatusError) as caught:
            await call.receive()
        assert caught.value.code is StatusCode.INTERNAL


async def test_status_message_keeps_the_spaces_at_its_ends(channel, network):
    peer, (call,) = await started(channel, network)
    peer.send(peer.head(1))
    peer.send(peer.trailers(1, ((b"grpc-status", b"5"), (b"grpc-message", b" a "))))
    with pytest.raises(NotFound) as caught:
        await call
    assert caught.value.message == " a "


@pytest.mark.parametrize(
    ("pieces", "kind", "text"),
    [
        ((lambda peer: peer.data(1, b"\0\xff\xff\xff\xff"),), MessageTooLarge, "4294967295"),
        ((lambda peer: peer.data(1, b"\1\0\0\0\0"),), StatusError, "compression"),
        ((lambda peer: peer.message(1, b"\xff"),), StatusError, "not a"),
        ((lambda peer: peer.data(1, b"\0\0\0\0\5abc"), valid_trailers), StatusError, "cut off"),
        ((lambda peer: peer.data(1, b"\0\0\0"), valid_trailers), StatusError, "cut off"),
        ((lambda peer: peer.trailers(1, ((b"x-y", b"z"),)),), StatusError, "no grpc-status"),
        (
            (lambda peer: peer.trailers(1, ((b"grpc-status", b"5"), (b"grpc-message", b"lost"))),),
            NotFound,
            "lost",
        ),
    ],
)  # fmt: skip
async def test_stream_fails_with_its_first_fault_after_its_messages(
    channel, network, pieces, kind, text
):
    opening = asyncio.ensure_future(channel.stream(DOWN, EchoRequest(), timeout=60))
    peer = await network.peer()
    async with await opening as call:
        peer.send(peer.head(1), peer.message(1, HELLO), *(piece(peer) for piece in pieces))
        assert await call.receive() == EchoResponse(text="hello")
        errors = []
        for _ in range(3):  # and stays so
            with pytest.raises(kind, match=text) as caught:
                await call.receive()
            errors.append(str(caught.value))
        assert len(set(errors)) == 1
        assert is_clean(peer)


@pytest.mark.parametrize("timeout", [60, None])
async def test_metadata_over_the_servers_limit_is_a_local_error_and_opens_no_stream(
    channel, network, timeout
):
    network.settings = {"s6": 500}  # bytes of a header list
    for metadata in ((("x", "y" * 400),), (("x", "y" * 500),)):
        with pytest.raises(LocalError, match="at most 500 bytes"):
            await channel.call(UNARY, EchoRequest(), timeout=timeout, metadata=metadata)
    (peer,) = network.peers
    assert not peer.streams
    call = asyncio.ensure_future(channel.call(UNARY, EchoRequest(), timeout=timeout))
    await turns(lambda: peer.streams)
    peer.respond(peer.streams[0], HELLO)
    assert await call == EchoResponse(text="hello")


async def test_message_of_a_stream_over_the_own_limit_is_not_sent(network):
    async with Channel("unix:/played", limits=Limits(sent=10)) as channel:
        opening = asyncio.ensure_future(channel.stream(UP, timeout=60))
        peer = await network.peer()
        async with await opening as call:
            with pytest.raises(MessageTooLarge) as caught:
                await call.send(EchoRequest(text="x" * 9))
            assert (caught.value.size, caught.value.limit) == (11, 10)
            await call.send(EchoRequest(text="x" * 8), end=True)
            await turns(lambda: peer.content(1))
            assert len(peer.content(1)) == 5 + 10


async def test_cancelling_a_task_that_receives_cancels_the_task_and_the_call(channel, network):
    opening = asyncio.ensure_future(channel.stream(DOWN, EchoRequest(), timeout=60))
    peer = await network.peer()
    async with await opening as call:
        receiving = asyncio.ensure_future(call.receive())
        await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert len(peer.of_kind(frames.RST_STREAM, 1)) == 1
        with pytest.raises(StatusError) as caught:
            await call.receive()
        assert caught.value.code is StatusCode.CANCELLED


async def test_sending_on_a_stream_after_its_connection_ended_is_unavailable(channel, network):
    opening = asyncio.ensure_future(channel.stream(UP, timeout=60))
    peer = await network.peer()
    await turns(opening.done)
    async with await opening as running:
        peer.lose()
        await turns(lambda: channel._connections.current is None or peer.driver.closed.done())
        for send in (running.send(EchoRequest()), running.end(), running.receive()):
            with pytest.raises(Unavailable):
                await send


async def test_stream_with_timeout_0_raises_deadline_exceeded(channel, network):
    await started(channel, network)
    async with await channel.stream(BOTH, timeout=0) as running:
        with pytest.raises(DeadlineExceeded, match="longer than 0 s") as caught:
            await running.receive()
    assert caught.value.seconds == 0


@pytest.mark.parametrize(("number", "expected"), [(0, "got none"), (2, "got more")])
async def test_unary_response_with_no_or_several_messages_is_internal(
    channel, network, number, expected
):
    opening = asyncio.ensure_future(channel.stream(UP, timeout=60))
    peer = await network.peer()
    await turns(opening.done)
    async with await opening as running:
        await running.end()
        peer.send(peer.head(1), *[peer.message(1, HELLO)] * number, peer.trailers(1))
        with pytest.raises(StatusError, match=f"expected one message, {expected}") as caught:
            await running.sole_response()
    assert caught.value.code is StatusCode.INTERNAL
    assert is_clean(peer)


async def test_early_end_by_the_server_stops_a_client_that_streams(channel, network):
    opening = asyncio.ensure_future(channel.stream(BOTH, timeout=60))
    peer = await network.peer()
    async with await opening as call:
        await call.send(EchoRequest(text="a"))
        peer.send(peer.head(1), peer.message(1, HELLO), peer.trailers(1))
        assert await call.receive() == EchoResponse(text="hello")
        assert await call.receive() is None
    await turns(lambda: peer.of_kind(frames.RST_STREAM, 1))
    assert is_clean(peer)


async def test_credit_is_returned_only_for_messages_that_were_taken(channel, network):
    opening = asyncio.ensure_future(channel.stream(DOWN, EchoRequest(), timeout=60))
    peer = await network.peer()
    async with await opening as call:
        peer.send(peer.head(1))
        for _ in range(100):
            peer.send(peer.data(1, b"\0\0\0\x27\x10" + bytes(10_000)))
        stream = peer.driver.connection._streams[1]
        assert stream.unread == 100 * 10_005
        peer.send(peer.trailers(1, OK))
        with pytest.raises(StatusError):  # zeros are not a message
            await call.receive()
    core = peer.driver.connection
    assert core._receive_window + core._credit == core.limits.connection_window
