"""Arguments of the wrong type or size are errors where they are passed."""

import math

import pytest
from kakuri_tcp import (
    ClientTLS,
    Connection,
    Endpoint,
    LineClient,
    LineClientLimits,
    LineDecoder,
    LineServerLimits,
    LocalAccess,
    RepeatCache,
    ServerLimits,
    ServerTLS,
    blocking,
    connect,
    listen,
    listen_lines,
    open_listening_sockets,
)


@pytest.mark.parametrize("value", ["5", None, True])
def test_limit_that_is_not_a_number_raises_type_error(value):
    with pytest.raises(TypeError, match="expected a number as limit idle_timeout"):
        ServerLimits(idle_timeout=value)


def test_limit_of_bytes_has_to_be_a_whole_number():
    with pytest.raises(TypeError, match=r"expected a whole number as limit line, got 1\.5"):
        LineServerLimits(line=1.5)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limit_that_is_not_above_0_raises_value_error(value):
    with pytest.raises(ValueError, match="expected a limit idle_timeout above 0"):
        ServerLimits(idle_timeout=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": 5}, "expected limits of type LineServerLimits, got 5"),
        ({"on_fault": 5}, "expected a function as on_fault, got 5"),
        ({"parse": "json"}, "expected a function as parse, got 'json'"),
        ({"first_byte": "{"}, "expected first_byte of type bytes, got '{'"),
        ({"local_access": 0o600}, "expected local_access of type LocalAccess, got 384"),
    ],
)
async def test_option_of_listen_lines_of_another_type_raises_type_error(options, message):
    with pytest.raises(TypeError, match=message):
        await listen_lines("127.0.0.1:0", bytes.upper, **options)


async def test_handler_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as handler, got 5"):
        await listen_lines("127.0.0.1:0", 5)


async def test_limits_of_a_server_have_to_be_its_own():
    with pytest.raises(TypeError, match="expected limits of type ServerLimits"):
        await listen("127.0.0.1:0", object, limits={"idle_timeout": 5})


def test_limit_that_may_be_zero_must_not_be_negative():
    assert ServerLimits(reserved_connections=0).reserved_connections == 0
    with pytest.raises(
        ValueError, match="expected a limit reserved_connections of at least 0, got -1"
    ):
        ServerLimits(reserved_connections=-1)


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [
        ({"line": "5"}, TypeError, "expected a whole number as limit line, got '5'"),
        ({"backoff": None}, TypeError, "expected a number as limit backoff, got None"),
        (
            {"stall_timeout": math.nan},
            ValueError,
            "expected a limit stall_timeout above 0, got nan",
        ),
        ({"unsent": -1}, ValueError, "expected a limit unsent above 0, got -1"),
    ],
)
def test_limit_of_a_line_client_that_is_not_a_number_above_0_raises(limit, error, message):
    with pytest.raises(error, match=message):
        LineClientLimits(**limit)


@pytest.mark.parametrize("create", [lambda size: LineDecoder(limit=size), RepeatCache])
@pytest.mark.parametrize(("size", "error"), [("5", TypeError), (None, TypeError), (-1, ValueError)])
def test_size_that_is_not_a_whole_number_above_0_raises(create, size, error):
    with pytest.raises(error, match=f"expected .* limit .*got {size!r}"):
        create(size)


@pytest.mark.parametrize(
    ("settings", "argument", "message"),
    [
        (ClientTLS, {"ca": 5}, "expected the path of a file as ca, got 5"),
        (ClientTLS, {"server_name": b"a"}, "expected text as server_name, got b'a'"),
        (ClientTLS, {"alpn": "h2"}, "expected a tuple of protocol names as alpn, got 'h2'"),
        (ServerTLS, {"certificate": None}, "expected the path of a file as certificate, got None"),
        (ServerTLS, {"certificate": "a", "alpn": ["h2"]}, "expected a tuple .* as alpn"),
        (LocalAccess, {"mode": True}, "expected a mode such as 0o600, got True"),
        (LocalAccess, {"group": b"www"}, "expected the name or number of a group, got b'www'"),
        (Endpoint.tcp, {"host": None, "port": 1}, "expected text as host, got None"),
        (Endpoint.tls, {"host": "a", "port": "1"}, "expected a number as port, got '1'"),
        (Endpoint.unix, {"path": b"/a"}, "expected text as path, got b'/a'"),
    ],
)
def test_setting_of_another_type_raises_type_error(settings, argument, message):
    with pytest.raises(TypeError, match=message):
        settings(**argument)


@pytest.mark.parametrize("uids", [1000, "1000", b"x", ["1000"], [True]])
async def test_trusted_uids_that_are_not_numbers_of_users_raise_type_error(uids):
    with pytest.raises(TypeError, match="expected numbers of users as trusted_uids, got"):
        LineClient("unix:/none", trusted_uids=uids)
    with pytest.raises(TypeError, match="expected numbers of users as trusted_uids, got"):
        await connect("unix:/none", Connection, trusted_uids=uids)
    with pytest.raises(TypeError, match="expected numbers of users as trusted_uids, got"):
        blocking.connect("unix:/none", trusted_uids=uids)
    with pytest.raises(TypeError, match="expected numbers of users as uids, got"):
        LocalAccess(uids=uids)


@pytest.mark.parametrize("uid", [-1, 2**32 - 1])
def test_number_that_no_user_has_raises_value_error(uid):
    with pytest.raises(ValueError, match=f"from 0 to 4294967294 as uids, got {uid}"):
        LocalAccess(uids=[0, 2**32 - 2, uid])
    with pytest.raises(ValueError, match=f"from 0 to 4294967294 as trusted_uids, got {uid}"):
        LineClient("unix:/none", trusted_uids=[uid])


@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        ("1", TypeError, "expected seconds as timeout, got '1'"),
        (True, TypeError, "expected seconds as timeout, got True"),
        (math.nan, ValueError, "expected seconds as timeout, got NaN"),
    ],
)
async def test_timeout_that_is_not_seconds_raises(timeout, error, message):
    with pytest.raises(error, match=message):
        await connect("unix:/none", Connection, timeout=timeout)
    with pytest.raises(error, match=message):
        blocking.connect("unix:/none", timeout=timeout)
    async with await listen("127.0.0.1:0", Connection) as server:
        with pytest.raises(error, match=message):
            await server.drain(timeout)


@pytest.mark.parametrize("timeout", [None, "1"])
async def test_timeout_of_a_request_that_is_not_a_number_raises_type_error(timeout):
    message = f"expected seconds as timeout, got {timeout!r}"
    async with (
        await listen_lines("127.0.0.1:0", bytes.upper) as server,
        LineClient(server.endpoint) as client,
    ):
        with pytest.raises(TypeError, match=message):
            await client.request(b"x", timeout=timeout)
        assert await client.request(b"x") == b"X"
        with pytest.raises(TypeError, match=message):
            await client.request(b"x", timeout=timeout)


async def test_factory_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as factory, got 5"):
        await listen("127.0.0.1:0", 5)
    with pytest.raises(TypeError, match="expected a function as factory, got None"):
        await connect("127.0.0.1:1", None)


@pytest.mark.parametrize(
    ("number", "options", "message"),
    [
        ("2", {}, "expected number of type int, got '2'"),
        (2, {"limits": 5}, "expected limits of type ServerLimits, got 5"),
        (2, {"local_access": 0o600}, "expected local_access of type LocalAccess, got 384"),
    ],
)
def test_argument_of_open_listening_sockets_of_another_type_raises(number, options, message):
    with pytest.raises(TypeError, match=message):
        open_listening_sockets("127.0.0.1:0", number, **options)
