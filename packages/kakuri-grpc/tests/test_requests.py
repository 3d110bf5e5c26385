"""Tests of Requests, through which a server's handler reads the messages of a call."""

import math
import time
from collections import deque

import pytest
from kakuri_grpc import Limits, StatusCode, StatusError
from kakuri_grpc._framing import frame_message
from kakuri_grpc._messages import LARGE_MESSAGE, MessageCodec
from kakuri_grpc._requests import Requests
from kakuri_protobuf import Method

BYTES = Method("/test.Bytes/Up", bytes, bytes, client_streams=True)


class ScriptedExchange:
    """A request whose content has arrived in these pieces."""

    def __init__(self, pieces):
        self._pieces = deque(pieces)

    async def read(self):
        return self._pieces.popleft() if self._pieces else b""


class CountedTurn:
    """Counts how often a call waits for the next turn."""

    def __init__(self, end):
        self.end = end
        self.waits = 0

    async def wait(self):
        self.waits += 1


class Connection:
    """Records how the number of bytes that the call holds changes."""

    def __init__(self, *, is_input_reported=False, turn_end=math.inf):
        self.codec = MessageCodec(Limits())
        self.turn = CountedTurn(turn_end)
        self.is_input_reported = is_input_reported
        self.changes = []

    def hold(self, change):
        self.changes.append(change)


def requests(*pieces, connection=None):
    return Requests(ScriptedExchange(pieces), BYTES, connection or Connection())


@pytest.mark.parametrize(
    ("content", "got"), [(b"", "none"), (frame_message(b"a") + frame_message(b"b"), "more")]
)
async def test_unary_request_with_no_or_two_messages_fails_with_internal(content, got):
    with pytest.raises(StatusError, match=f"expected one message, got {got}") as caught:
        await requests(content).sole()
    assert caught.value.code is StatusCode.INTERNAL
    assert await requests(frame_message(b"a")).sole() == b"a"


@pytest.mark.parametrize("size", [1, 5, 7])
async def test_message_that_is_cut_off_fails_the_call(size):
    with pytest.raises(StatusError, match="the last message was cut off") as caught:
        await anext(requests(frame_message(b"abc")[:size]))
    assert caught.value.code is StatusCode.INTERNAL


async def test_compressed_message_is_unimplemented():
    with pytest.raises(StatusError) as caught:
        await anext(requests(b"\x01" + frame_message(b"abc")[1:]))
    assert caught.value.code is StatusCode.UNIMPLEMENTED


async def test_part_of_a_message_is_counted_until_the_message_is_complete():
    connection, data = Connection(), frame_message(bytes(1000))
    incoming = requests(data[:105], data[105:], connection=connection)
    assert await anext(incoming) == bytes(1000)
    assert connection.changes == [100]
    assert [each async for each in incoming] == []
    assert connection.changes == [100, -100]


async def test_part_of_a_message_is_counted_until_the_call_ends():
    connection = Connection()
    incoming = requests(frame_message(bytes(1000))[:105], connection=connection)
    with pytest.raises(StatusError):
        await anext(incoming)
    incoming.close()
    assert connection.changes == [100, -100]


async def test_each_read_is_reported_when_is_input_reported_is_set():
    connection = Connection(is_input_reported=True)
    incoming = requests(frame_message(b"a"), frame_message(b"b"), connection=connection)
    assert [each async for each in incoming] == [b"a", b"b"]
    assert connection.changes == [0, 0, 0]


@pytest.mark.parametrize(
    ("size", "changes"),
    [(LARGE_MESSAGE, []), (LARGE_MESSAGE + 1, [LARGE_MESSAGE + 1 + 7, -LARGE_MESSAGE - 1])],
)
async def test_large_message_is_counted_with_what_follows_while_it_is_decoded(size, changes):
    connection = Connection()
    following = frame_message(bytes(10))[:7]
    incoming = requests(frame_message(bytes(size)) + following, connection=connection)
    assert await anext(incoming) == bytes(size)
    assert connection.changes == changes


def test_reading_buffered_messages_yields_to_the_event_loop_after_each_share():
    content = frame_message(b"") * 129  # a share has 64 empty messages
    assert len([*read_all(requests(content)).__await__()]) == 2


async def read_all(incoming):
    async for _ in incoming:
        pass


@pytest.mark.parametrize(("end", "waits"), [(4.0, 2), (5.0, 2), (6.0, 0)])
async def test_message_waits_for_the_next_turn_if_the_time_of_this_one_is_over(
    end, waits, monkeypatch
):
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    connection = Connection(turn_end=end)
    await read_all(requests(frame_message(b"a") * 2, connection=connection))
    assert connection.turn.waits == waits
