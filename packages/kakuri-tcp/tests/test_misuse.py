"""Arguments of the wrong type or size are errors where they are passed."""

import math
import re

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
from kakuri_tcp._line_client_connection import ReplyFuture


@pytest.mark.parametrize("value", ["5", None, True])
def test_limit_that_is_not_a_number_raises_type_error(value):
    with pytest.raises(
        TypeError, match=f"^expected a number above 0 as idle_timeout, got {value!r}$"
    ):
        ServerLimits(idle_timeout=value)


def test_limit_of_bytes_has_to_be_a_whole_number():
    with pytest.raises(TypeError, match=r"^expected an integer above 0 as line, got 1\.5$"):
        LineServerLimits(line=1.5)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limit_that_is_not_above_0_raises_value_error(value):
    with pytest.raises(
        ValueError, match=f"^expected a number above 0 as idle_timeout, got {value!r}$"
    ):
        ServerLimits(idle_timeout=value)


def test_limit_that_is_too_large_for_a_float_raises_value_error():
    message = "^expected a number above 0 as idle_timeout, got an integer too large for a float$"
    with pytest.raises(ValueError, match=message):
        ServerLimits(idle_timeout=10**400)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": 5}, "expected LineServerLimits as limits, got 5"),
        ({"on_fault": 5}, "expected a function as on_fault, got 5"),
        ({"parse": "json"}, "expected a function as parse, got 'json'"),
        ({"first_byte": "{"}, "expected bytes as first_byte, got '{'"),
        ({"local_access": 0o600}, "expected LocalAccess as local_access, got 384"),
    ],
)
async def test_listen_lines_option_of_wrong_type_raises_type_error(options, message):
    with pytest.raises(TypeError, match=message):
        await listen_lines("127.0.0.1:0", bytes.upper, **options)


async def test_handler_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as handler, got 5"):
        await listen_lines("127.0.0.1:0", 5)


async def test_limits_of_a_server_that_are_a_dict_raise_type_error():
    with pytest.raises(TypeError, match="expected ServerLimits as limits"):
        await listen("127.0.0.1:0", object, limits={"idle_timeout": 5})


def test_limit_that_may_be_zero_must_not_be_negative():
    assert ServerLimits(reserved_connections=0).reserved_connections == 0
    with pytest.raises(
        ValueError, match=r"^expected an integer of at least 0 as reserved_connections, got -1$"
    ):
        ServerLimits(reserved_connections=-1)


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [
        ({"line": "5"}, TypeError, "expected an integer above 0 as line, got '5'"),
        ({"backoff": None}, TypeError, "expected a number above 0 as backoff, got None"),
        (
            {"stall_timeout": math.nan},
            ValueError,
            "expected a number above 0 as stall_timeout, got nan",
        ),
        ({"unsent": -1}, ValueError, "expected an integer above 0 as unsent, got -1"),
    ],
)
def test_limit_of_a_line_client_that_is_not_a_number_above_0_raises_type_or_value_error(
    limit, error, message
):
    with pytest.raises(error, match=f"^{message}$"):
        LineClientLimits(**limit)


@pytest.mark.parametrize(
    ("create", "name"),
    [(lambda size: LineDecoder(limit=size), "limit"), (RepeatCache, "max_cached")],
)
@pytest.mark.parametrize(("size", "error"), [("5", TypeError), (None, TypeError), (-1, ValueError)])
def test_size_that_is_not_an_integer_above_0_raises_type_or_value_error(create, name, size, error):
    with pytest.raises(error, match=f"^expected an integer above 0 as {name}, got {size!r}$"):
        create(size)


@pytest.mark.parametrize(
    ("settings", "argument", "message"),
    [
        (ClientTLS, {"ca": 5}, "expected the path of a file as ca, got 5"),
        (ClientTLS, {"server_name": b"a"}, "expected a string as server_name, got b'a'"),
        (ClientTLS, {"alpn": "h2"}, "expected a tuple of protocol names as alpn, got 'h2'"),
        (ServerTLS, {"certificate": None}, "expected the path of a file as certificate, got None"),
        (ServerTLS, {"certificate": "a", "alpn": ["h2"]}, "expected a tuple .* as alpn"),
        (LocalAccess, {"mode": True}, "expected a mode such as 0o600, got True"),
        (LocalAccess, {"hint": 5}, "expected a string as hint, got 5"),
        (LocalAccess, {"group": b"www"}, "expected the name or number of a group, got b'www'"),
        (Endpoint.tcp, {"host": None, "port": 1}, "expected a string as host, got None"),
        (Endpoint.tls, {"host": "a", "port": "1"}, "expected a number as port, got '1'"),
        (Endpoint.unix, {"path": b"/a"}, "expected a string as path, got b'/a'"),
    ],
)
def test_setting_of_wrong_type_raises_type_error(settings, argument, message):
    with pytest.raises(TypeError, match=message):
        settings(**argument)


@pytest.mark.parametrize(
    "name", ["", ".", "a b", "a..b", "*.example", "[::1]", "ü", "a" * 300, "\0"]
)
def test_server_name_that_no_certificate_can_have_raises_value_error(name):
    with pytest.raises(ValueError, match=r"^invalid server_name: expected a host name or an addr"):
        ClientTLS(server_name=name)


@pytest.mark.parametrize(
    ("settings", "argument", "message"),
    [
        (ClientTLS, {"key": "a"}, "expected the certificate of the key, got None"),
        (ClientTLS, {"alpn": ("h2", "")}, "expected 1 to 255 ASCII characters .* got ''"),
        (ClientTLS, {"alpn": ("é",)}, "expected 1 to 255 ASCII characters .* got 'é'"),
        (ServerTLS, {"certificate": "a", "alpn": ("a" * 256,)}, "expected 1 to 255 ASCII"),
    ],
)
def test_tls_setting_that_has_no_effect_or_is_not_valid_raises_value_error(
    settings, argument, message
):
    with pytest.raises(ValueError, match=f"^{message}"):
        settings(**argument)


@pytest.mark.parametrize("uids", [1000, "1000", b"x", ["1000"], [True]])
async def test_trusted_uids_that_are_not_user_ids_raise_type_error(uids):
    got = re.escape(repr(uids))
    message = f"^expected user ids as trusted_uids, got {got}$"
    with pytest.raises(TypeError, match=message):
        LineClient("unix:/none", trusted_uids=uids)
    with pytest.raises(TypeError, match=message):
        await connect("unix:/none", Connection, trusted_uids=uids)
    with pytest.raises(TypeError, match=message):
        blocking.connect("unix:/none", trusted_uids=uids)
    with pytest.raises(TypeError, match=f"^expected user ids as uids, got {got}$"):
        LocalAccess(uids=uids)


@pytest.mark.parametrize("uid", [-1, 2**32 - 1])
def test_id_that_no_user_has_raises_value_error(uid):
    with pytest.raises(
        ValueError, match=f"^expected user ids from 0 to 4294967294 as uids, got {uid}$"
    ):
        LocalAccess(uids=[0, 2**32 - 2, uid])
    with pytest.raises(
        ValueError, match=f"^expected user ids from 0 to 4294967294 as trusted_uids, got {uid}$"
    ):
        LineClient("unix:/none", trusted_uids=[uid])


@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        ("1", TypeError, "expected seconds or None as timeout, got '1'"),
        (True, TypeError, "expected seconds or None as timeout, got True"),
        (math.nan, ValueError, "expected seconds or None as timeout, got NaN"),
        (10**400, ValueError, "expected seconds or None as timeout, got an integer too large"),
    ],
)
async def test_timeout_that_is_not_seconds_raises_type_or_value_error(timeout, error, message):
    with pytest.raises(error, match=message):
        await connect("unix:/none", Connection, timeout=timeout)
    with pytest.raises(error, match=message):
        blocking.connect("unix:/none", timeout=timeout)


NOT_SECONDS = [
    (None, TypeError, "None"),
    ("1", TypeError, "'1'"),
    (True, TypeError, "True"),
    (math.nan, ValueError, "NaN"),
    (-(10**400), ValueError, "an integer too large for a float"),
]


@pytest.mark.parametrize(("deadline", "error", "got"), NOT_SECONDS)
async def test_deadline_of_drain_that_is_not_seconds_raises_type_or_value_error(
    deadline, error, got
):
    async with await listen("127.0.0.1:0", Connection) as server:
        with pytest.raises(error, match=f"^expected seconds as deadline, got {got}$"):
            await server.drain(deadline)


@pytest.mark.parametrize(("timeout", "error", "got"), NOT_SECONDS)
async def test_timeout_of_a_request_that_is_not_seconds_raises_type_or_value_error(
    timeout, error, got
):
    message = f"^expected seconds as timeout, got {got}$"
    async with (
        await listen_lines("127.0.0.1:0", bytes.upper) as server,
        LineClient(server.endpoint) as client,
    ):
        with pytest.raises(error, match=message):
            await client.request(b"x", timeout=timeout)
        assert await client.request(b"x") == b"X"
        for _ in range(2):
            with pytest.raises(error, match=message):
                await client.request(b"x", timeout=timeout)
            with pytest.raises(error, match=message):
                client.try_send(b"x", ReplyFuture(), timeout=timeout)


async def test_factory_that_cannot_be_called_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as factory, got 5"):
        await listen("127.0.0.1:0", 5)
    with pytest.raises(TypeError, match="expected a function as factory, got None"):
        await connect("127.0.0.1:1", None)


@pytest.mark.parametrize(
    ("number", "options", "message"),
    [
        ("2", {}, "expected int as number, got '2'"),
        (2, {"limits": 5}, "expected ServerLimits as limits, got 5"),
        (2, {"local_access": 0o600}, "expected LocalAccess as local_access, got 384"),
    ],
)
def test_open_listening_sockets_argument_of_wrong_type_raises_type_error(number, options, message):
    with pytest.raises(TypeError, match=message):
        open_listening_sockets("127.0.0.1:0", number, **options)
