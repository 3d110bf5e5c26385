"""Arguments of a wrong type or value are reported where they are passed."""

import math

import kakuri_http2
import pytest
from kakuri_grpc import (
    Backoff,
    Channel,
    Keepalive,
    Limits,
    Server,
    StatusCode,
    StatusError,
    status_error,
)

from .echo_service import BOTH, DOWN, UNARY, UP, EchoRequest

TIMES = [
    ("2", TypeError, "expected a number as {}, got '2'"),
    (True, TypeError, "expected a number as {}, got True"),
    (math.nan, ValueError, "expected .* as {}, got nan"),
    (-1, ValueError, "expected .* as {}, got -1"),
    (10**400, ValueError, "expected a number as {}, got an integer too large for a float"),
]


@pytest.fixture
async def channel():
    async with Channel("unix:/nonexistent") as opened:
        yield opened


@pytest.mark.parametrize("name", ["received", "sent", "waiting_calls", "calls"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("2", TypeError, "expected an integer as {}, got '2'"),
        (1.5, TypeError, "expected an integer as {}, got 1.5"),
        (True, TypeError, "expected an integer as {}, got True"),
        (-1, ValueError, "expected at least 0 as {}, got -1"),
    ],
)
def test_limit_that_is_not_a_count_raises_type_or_value_error(name, value, error, message):
    with pytest.raises(error, match=message.format(name)):
        Limits(**{name: value})


def test_connection_limits_of_wrong_type_raise_type_error():
    assert Limits(http2=kakuri_http2.Limits(settings=1), sent=None).http2.settings == 1
    with pytest.raises(TypeError, match=r"expected kakuri_http2.Limits as http2, got None"):
        Limits(http2=None)


def test_message_limits_of_wrong_type_raise_type_error():
    with pytest.raises(TypeError, match=r"expected kakuri_protobuf.Limits as protobuf, got None"):
        Limits(protobuf=None)


def test_server_limits_of_wrong_type_raise_type_error():
    with pytest.raises(TypeError, match=r"expected kakuri_tcp.ServerLimits as server, got None"):
        Limits(server=None)


@pytest.mark.parametrize("name", ["first", "factor", "longest", "jitter", "connect"])
@pytest.mark.parametrize(("value", "error", "message"), TIMES)
def test_backoff_that_is_not_a_number_in_its_range_raises_type_or_value_error(
    name, value, error, message
):
    with pytest.raises(error, match=message.format(name)):
        Backoff(**{name: value})


def test_backoff_that_shrinks_or_varies_by_more_than_itself_raises_value_error():
    with pytest.raises(ValueError, match=r"expected at least 1 as factor, got 0.5"):
        Backoff(factor=0.5)
    with pytest.raises(ValueError, match=r"expected 0 to 1 as jitter, got 1.5"):
        Backoff(jitter=1.5)


@pytest.mark.parametrize("name", ["interval", "timeout"])
@pytest.mark.parametrize(("value", "error", "message"), TIMES)
def test_keepalive_that_is_not_a_number_in_its_range_raises_type_or_value_error(
    name, value, error, message
):
    with pytest.raises(error, match=message.format(name)):
        Keepalive(**{name: value})


def test_keepalive_without_a_pause_between_pings_raises_value_error():
    with pytest.raises(ValueError, match=r"expected at least 0.001 as interval, got 0"):
        Keepalive(interval=0)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"tls": True}, "expected ClientTLS as tls, got True"),
        ({"authority": b"a"}, "expected a string as authority, got b'a'"),
        ({"limits": {}}, "expected Limits as limits, got {}"),
        ({"backoff": 0.5}, "expected Backoff as backoff, got 0.5"),
        ({"keepalive": 30}, "expected Keepalive as keepalive, got 30"),
    ],
)
def test_channel_argument_of_wrong_type_raises_type_error(argument, message):
    with pytest.raises(TypeError, match=message):
        Channel("127.0.0.1:1", **argument)


@pytest.mark.parametrize("start", ["call", "stream"])
async def test_call_of_a_non_method_raises_type_error(channel, start):
    with pytest.raises(TypeError, match=r"expected a Method, got '/echo/Unary'"):
        await getattr(channel, start)("/echo/Unary", EchoRequest(), timeout=1)


@pytest.mark.parametrize("start", ["call", "stream"])
@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        ("1", TypeError, "expected seconds or None as timeout, got '1'"),
        (True, TypeError, "expected seconds or None as timeout, got True"),
        (math.nan, ValueError, "expected seconds or None as timeout, got NaN"),
        (10**400, ValueError, "expected seconds or None as timeout, got an integer too large"),
    ],
)
async def test_timeout_that_is_not_seconds_raises_type_or_value_error(
    channel, start, timeout, error, message
):
    with pytest.raises(error, match=message):
        await getattr(channel, start)(UNARY, EchoRequest(), timeout=timeout)


@pytest.mark.parametrize(
    ("metadata", "got"),
    [
        (3, "expected pairs as metadata, got 3"),
        ({"a": "b"}, "expected a name and a value as metadata, got 'a'"),
        ([("a",)], "expected a name and a value as metadata, got .'a',."),
        ([("a", "b", "c")], "expected a name and a value as metadata, got .'a', 'b', 'c'."),
        ([(1, "b")], "expected a name and a value as metadata, got .1, 'b'."),
        ([None], "expected a name and a value as metadata, got None"),
    ],
)
async def test_metadata_that_is_not_pairs_of_names_and_values_raises_type_error(
    channel, metadata, got
):
    with pytest.raises(TypeError, match=got):
        await channel.call(UNARY, EchoRequest(), timeout=1, metadata=metadata)


@pytest.mark.parametrize("create", [lambda: Channel("unix:/nonexistent"), Server])
async def test_grace_that_is_not_seconds_raises_type_error(create):
    with pytest.raises(TypeError, match="expected a number as grace, got None"):
        await create().close(None)


async def test_listen_on_a_non_endpoint_raises_type_error():
    async with Server() as server:
        with pytest.raises(TypeError, match="expected an endpoint, got 8080"):
            await server.listen(8080)
        with pytest.raises(TypeError, match=r"expected ServerTLS as tls, got True"):
            await server.listen("127.0.0.1:0", tls=True)


def test_status_of_wrong_type_raises_type_error():
    with pytest.raises(TypeError, match="expected a StatusCode, got 5"):
        status_error(5, "no such order")
    with pytest.raises(TypeError, match="expected metadata as trailers, got 'a'"):
        StatusError(StatusCode.INTERNAL, "", "a")


@pytest.mark.parametrize("method", [UP, DOWN, BOTH])
async def test_call_of_a_streaming_method_raises_type_error(channel, method):
    with pytest.raises(
        TypeError, match=f"a unary method, got {method.path}, which streams: use `stream`"
    ):
        await channel.call(method, EchoRequest(), timeout=1)
