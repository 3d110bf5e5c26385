"""Wrong arguments and results raise an error that names them."""

import asyncio
import json
import logging
import re

import pytest
from kakuri_http import (
    Client,
    ClientConnection,
    ConnectionBroken,
    Data,
    EndOfMessage,
    Headers,
    HTTPError,
    InterimResponse,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    RouteConflict,
    RouteError,
    Router,
    ServerConnection,
    encode_query,
    problem,
    serve,
)
from kakuri_http.blocking import BlockingClient
from kakuri_tcp import EndpointError, ServerLimits


def ok(request):
    return Response(200)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((8080, Router()), {}, "expected an endpoint such as '127.0.0.1:9000', got 8080"),
        ((("127.0.0.1", 0), Router()), {}, "expected an endpoint such as '127.0.0.1:9000', got"),
        ((None, Router()), {}, "expected an endpoint such as '127.0.0.1:9000', got None"),
        (("127.0.0.1:0", ok), {}, "expected Router as router, got function"),
        (("127.0.0.1:0", Router), {}, "expected Router as router, got type"),
        (("127.0.0.1:0", None), {}, "expected Router as router, got NoneType"),
        (("127.0.0.1:0", Router()), {"limits": 5}, "expected Limits as limits, got int"),
        (("127.0.0.1:0", Router()), {"limits": {}}, "expected Limits as limits, got dict"),
        (("127.0.0.1:0", Router()), {"limits": ServerLimits()}, "expected Limits as limits"),
        (("127.0.0.1:0", Router()), {"access_log": "x"}, "expected a function as access_log"),
        (("127.0.0.1:0", Router()), {"tls": "cert.pem"}, "expected ServerTLS as tls"),
        (
            ("127.0.0.1:0", Router()),
            {"local_access": 0o600},
            "expected LocalAccess as local_access",
        ),
    ],
)
async def test_serve_argument_of_wrong_type_raises_type_error(arguments, options, message):
    with pytest.raises(TypeError) as caught:
        await serve(*arguments, **options)
    assert str(caught.value).startswith(message)


async def test_serve_with_invalid_endpoint_text_raises_endpoint_error():
    with pytest.raises(EndpointError):
        await serve("localhost", Router())


@pytest.mark.parametrize(
    ("value", "error"),
    [("1", TypeError), (None, TypeError), ([1], TypeError), (True, TypeError), (-1, ValueError)],
)
def test_limit_that_is_not_a_positive_number_raises_type_or_value_error(value, error):
    for name in Limits.__dataclass_fields__:
        if value == -1 and name == "reserved_connections":
            continue  # none may be reserved
        with pytest.raises(error, match=f"expected .* as {name}, got"):
            Limits(**{name: value})


@pytest.mark.parametrize("name", ["body", "connections"])
def test_limit_on_a_size_that_is_not_a_whole_number_raises_type_error(name):
    with pytest.raises(TypeError, match=f"expected an integer above 0 as {name}, got 1.5"):
        Limits(**{name: 1.5})
    assert Limits(idle_timeout=1.5).idle_timeout == 1.5


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None, "/", ok), {}, "expected a string as method, got None"),
        (("GET", 5, ok), {}, "expected a string as pattern, got 5"),
        (("GET", "/", None), {}, "expected a function as handler of GET /, got None"),
        (
            ("GET", "/", Response(200)),
            {},
            "expected a function as handler of GET /, got <Response 200>",
        ),
        (
            ("GET", "/", ok),
            {"body_limit": "1M"},
            "expected an integer as body_limit, got '1M'",
        ),
        (
            ("GET", "/", ok),
            {"body_limit": True},
            "expected an integer as body_limit, got True",
        ),
    ],
)
def test_route_argument_of_wrong_type_raises_type_error(arguments, options, message):
    with pytest.raises(TypeError) as caught:
        Router().add(*arguments, **options)
    assert str(caught.value) == message


def test_check_that_is_not_callable_raises_type_error():
    with pytest.raises(TypeError, match="expected a function as check, got 5"):
        Router().check(5)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("/w/:id", "/w/:name", "expected ':id' as in '/w/:id', got ':name' in '/w/:name'"),
        ("/w/:n<int>", "/w/:n/x", "expected ':n<int>' as in '/w/:n<int>', got ':n' in '/w/:n/x'"),
        ("/w/:id", "/w/:id", "GET /w/:id has the same paths as the route /w/:id"),
    ],
)
def test_route_conflict_names_the_other_route(first, second, message):
    router = Router()
    router.add("GET", first, ok)
    with pytest.raises(RouteConflict) as caught:
        router.add("GET", second, ok)
    assert str(caught.value) == message


@pytest.mark.parametrize("method", ["get", "GET ", "", "TRACE", "CONNECT"])
def test_method_that_may_not_be_added_raises_route_error(method):
    with pytest.raises(RouteError):
        Router().add(method, "/", ok)


class Thing:
    def __repr__(self):
        return "a thing"


@pytest.mark.parametrize("kind", ["inline", "task", "check", "future"])
@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (None, "NoneType: None"),
        ("text", "str: 'text'"),
        (b"bytes", "bytes: b'bytes'"),
        ({"a": 1}, "dict: {'a': 1}"),
        ((200, b""), "tuple: (200, b'')"),
        (Response, "type: <class"),
        (Thing(), "Thing: a thing"),
    ],
)
async def test_handler_that_returns_no_response_is_a_500_and_is_logged(kind, result, shown, caplog):
    async def task(request):
        return result

    def future(request):
        made = asyncio.get_running_loop().create_future()
        made.set_result(result)
        return made

    router = Router()
    handlers = {"inline": lambda request: result, "task": task, "future": future, "check": ok}
    router.add("GET", "/w/:id", handlers[kind])
    if kind == "check":
        router.check(lambda request: result)
        if result is None:
            return
    caplog.set_level(logging.ERROR)
    async with await serve("127.0.0.1:0", router) as server, Client(server.endpoint) as client:
        assert (await client.request("GET", "/w/1")).status == 500
    (record,) = caplog.records
    message = str(record.exc_info[1])
    where = "a check" if kind == "check" else "the handler of GET /w/:id"
    assert message.startswith(f"expected a Response from {where}, got {shown}")


class Unprintable:
    def __repr__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("result", [Unprintable(), [10**5000]], ids=["raises", "digits"])
async def test_handler_result_whose_repr_raises_is_a_500(is_async, result):
    async def later(request):
        return result

    router = Router()
    router.add("GET", "/", later if is_async else lambda request: result)
    async with await serve("127.0.0.1:0", router) as server, Client(server.endpoint) as client:
        assert (await client.get("/")).status == 500


def changed(**attributes):
    response = Response(200, b"x")
    for name, value in attributes.items():
        setattr(response, name, value)
    return response


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    "attributes",
    [
        {"headers": {"A": "b"}},
        {"headers": None},
        {"status": "200"},
        {"status": 99},
        {"status": None},
        {"content_type": "text/plain\r\nA: b"},
        {"content_type": 5},
        {"body": 5},
        {"body": [b"x"], "length": -1},
        {"body": [b"x"], "length": "1"},
        {"body": [b"x"], "trailers": {"A": "b"}},
    ],
)
async def test_response_with_an_invalid_attribute_is_logged_and_not_sent(
    attributes, is_async, caplog
):
    async def later(request):
        return changed(**attributes)

    logged, router = [], Router()
    router.add("GET", "/", later if is_async else lambda request: changed(**attributes))
    async with (
        await serve("127.0.0.1:0", router, access_log=logged.append) as server,
        Client(server.endpoint) as client,
    ):
        with pytest.raises(ConnectionBroken):
            await client.get("/")
    (record,) = caplog.records
    assert record.name == "kakuri_http"
    assert [entry.complete for entry in logged] == [False]


@pytest.mark.parametrize("traceparent", [5, b"0" * 55, "0" * 54, "0" * 54 + "\n"])
@pytest.mark.parametrize("path", ["/", "/missing"])
async def test_traceparent_that_is_not_valid_is_logged_and_not_sent(traceparent, path, caplog):
    router = Router()
    router.add("GET", "/", ok)
    router.check(lambda request: setattr(request, "traceparent", traceparent))
    async with await serve("127.0.0.1:0", router) as server, Client(server.endpoint) as client:
        with pytest.raises(ConnectionBroken):
            await client.get(path)
    (record,) = caplog.records
    assert "could not be sent" in record.getMessage()


def test_response_that_cannot_be_composed_leaves_the_core_unchanged():
    core = ServerConnection()
    core.receive_data(b"HEAD / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    core.next_event(), core.next_event()
    before = vars(core).copy()
    for attributes in ({"headers": None}, {"body": [b"x"], "headers": None}):
        with pytest.raises(AttributeError):
            core.send(changed(**attributes))
        assert vars(core) == before
    assert b"\r\nConnection: keep-alive\r\n" in core.send(Response(200, b"x"))


@pytest.mark.parametrize(
    ("length", "error", "message"),
    [
        ("1", TypeError, "expected an integer as length, got '1'"),
        (-1, ValueError, "expected at least 0 as length, got -1"),
    ],
)
def test_length_of_a_response_is_checked_and_leaves_the_core_unchanged(length, error, message):
    core = ServerConnection()
    core.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    core.next_event(), core.next_event()
    with pytest.raises(error, match=message):
        core.send(changed(body=[b"x"], length=length))
    assert core.send(Response(200, b"x")).endswith(b"\r\n\r\nx")


def in_content():
    """Return both roles, each while it sends content."""
    server = ServerConnection()
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.next_event(), server.next_event()
    server.send(Response(200, [b"x"]))
    client = ClientConnection()
    client.send(Request("POST", "/", Headers(), host="a", length=None))
    return server, client


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "expected an event that this side sends, got NoneType"),
        (b"x", "expected an event that this side sends, got bytes"),
        (Data("x"), "expected pieces of bytes as body, got a piece of str"),
        (Data(None), "expected pieces of bytes as body, got a piece of NoneType"),
        (EndOfMessage({"A": "b"}), "expected Headers as trailers, got dict"),
    ],
)
def test_event_of_a_wrong_type_raises_type_error_and_leaves_the_core_unchanged(event, message):
    for core in in_content():
        with pytest.raises(TypeError, match=message):
            core.send(event)
        assert core.send(Data(memoryview(b"abcd").cast("I"))) == b"4\r\nabcd\r\n"
        assert core.send(EndOfMessage()) == b"0\r\n\r\n"


def test_client_core_that_ended_its_content_too_early_can_send_the_rest():
    core = ClientConnection()
    core.send(Request("POST", "/", Headers(), host="a", length=1))
    with pytest.raises(LocalProtocolError, match="the content ended 1 bytes before"):
        core.send(EndOfMessage())
    assert core.send(Data(b"x")) + core.send(EndOfMessage()) == b"x"


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("method", 5, "expected a string as method, got int"),
        ("target", None, "expected a string as target, got NoneType"),
        ("host", None, "expected a string as host, got NoneType"),
        ("headers", {"A": "b"}, "expected Headers as headers, got dict"),
        ("length", "5", "expected an integer as length, got '5'"),
        ("length", -1, "expected at least 0 as length, got -1"),
    ],
)
def test_request_with_an_invalid_attribute_is_not_sent(attribute, value, message):
    core = ClientConnection()
    request = Request("GET", "/", Headers(), host="a")
    setattr(request, attribute, value)
    with pytest.raises((TypeError, ValueError), match=message):
        core.send(request)
    assert core.send(Request("GET", "/", Headers(), host="a")).startswith(b"GET / ")


@pytest.mark.parametrize("interim", [InterimResponse("103"), InterimResponse(103, {"A": "b"})])
def test_interim_response_with_an_attribute_of_a_wrong_type_raises_type_error(interim):
    with pytest.raises(
        TypeError, match=r"^expected (an integer as status|Headers as headers), got"
    ):
        ServerConnection().send(interim)


# Subclasses of str and int, such as Enum, which format themselves as other text


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "other\r\nInjected: 1"

    def __format__(self, spec):
        return str(self)


class Number(int):
    __slots__ = ()

    def __str__(self):
        return "5&injected=1"

    def __format__(self, spec):
        return str(self)


def test_subclass_of_str_or_int_in_a_request_is_sent_as_its_value():
    core = ClientConnection()
    request = Request(Text("PUT"), Text("/a"), Headers({Text("A"): Text("b")}), host=Text("c"))
    assert core.send(request) == b"PUT /a HTTP/1.1\r\nHost: c\r\nA: b\r\nContent-Length: 0\r\n\r\n"
    assert encode_query({Text("a"): Text("b"), "n": Number(7)}) == "a=b&n=7"


def test_subclass_of_str_or_int_in_a_response_is_sent_as_its_value():
    core = ServerConnection()
    for _ in range(2):  # the second one gets the cached beginning
        core.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        core.next_event(), core.next_event()
        response = Response(Number(219), [b"x"], headers=[(Text("A"), Text("b"))],
                            content_type=Text("text/x-a"))  # fmt: skip
        response.trailers = Headers({Text("T"): Text("u")})
        sent = (
            core.send(response) + core.send(Data(b"x")) + core.send(EndOfMessage(response.trailers))
        )
        lines = sent.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 219 "
        assert lines[2:4] == [b"Content-Type: text/x-a", b"A: b"]
        assert sent.endswith(b"\r\n0\r\nT: u\r\n\r\n")
    assert json.loads(problem(Number(419)).body)["status"] == 419


# Queries


def targets(query):
    core = ServerConnection()
    core.receive_data(b"GET /w?" + query + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    fast = core.next_event()
    core = ServerConnection()
    core.receive_data(b"GET /w?" + query + b" HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n")
    return fast, core.next_event()


def test_query_with_characters_that_browsers_do_not_encode_is_accepted():
    query = b"a[]=1&b[x]=2|3&c={d}^e`f\\g"
    for request in targets(query):
        assert request.query_string == query.decode()
        assert request.query == {"a[]": "1", "b[x]": "2|3", "c": "{d}^e`f\\g"}


@pytest.mark.parametrize("byte", [bytes([n]) for n in (*range(0x21), *b'"<>#', 0x7F, 0x80, 0xFF)])
def test_query_with_characters_that_browsers_encode_is_rejected(byte):
    with pytest.raises(HTTPError):
        targets(b"a=" + byte)


@pytest.mark.parametrize("byte", [bytes([n]) for n in b"[]|{}^`\\"])
def test_path_with_characters_outside_rfc_3986_is_rejected(byte):
    core = ServerConnection()
    core.receive_data(b"GET /w" + byte + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(HTTPError):
        core.next_event()


@pytest.mark.parametrize("content_type", [5, b"text/plain", True])
def test_content_type_that_is_not_text_raises_type_error(content_type):
    got = type(content_type).__name__
    with pytest.raises(TypeError, match=f"expected a string or None as content_type, got {got}"):
        Response(content_type=content_type)


def test_route_with_a_negative_body_limit_raises_value_error():
    with pytest.raises(ValueError, match="expected at least 0 as body_limit, got -1"):
        Router().add("POST", "/", str, body_limit=-1)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"title": 5}, "expected a string as title, got 5"),
        ({"detail": b"x"}, "expected a string as detail, got b'x'"),
        ({"code": ["a"]}, r"expected a string as code, got \['a'\]"),
        (
            {"errors": None},
            "expected mappings with strings as path and message as errors, got None",
        ),
        ({"errors": ["x"]}, "expected mappings with strings as path and message as errors"),
        (
            {"errors": [{"path": "$"}]},
            "expected mappings with strings as path and message as errors",
        ),
    ],
)
def test_problem_member_of_wrong_type_raises_type_error(members, message):
    with pytest.raises(TypeError, match=message):
        problem(400, **members)


@pytest.mark.parametrize("status", ["404", [404], None])
def test_status_of_a_problem_that_is_not_a_number_raises_type_error(status):
    with pytest.raises(TypeError, match="expected an integer as status, got"):
        problem(status)


@pytest.mark.parametrize("converters", [5, "int", [("int", int)], {"int": 5}])
def test_converters_that_are_not_functions_by_name_raise_type_error(converters):
    with pytest.raises(TypeError, match="expected functions by name as converters, got"):
        Router(converters)


@pytest.mark.parametrize("connection", [ClientConnection, ServerConnection])
@pytest.mark.parametrize("limits", [5, {}, "x"])
def test_connection_limits_of_wrong_type_raise_type_error(connection, limits):
    with pytest.raises(TypeError, match="expected Limits as limits, got"):
        connection(limits)


@pytest.mark.parametrize("client", [Client, BlockingClient])
@pytest.mark.parametrize("uids", [1000, "1000", ["x"], [True]])
def test_trusted_uids_that_are_not_user_ids_raise_type_error(client, uids):
    message = f"^expected user ids as trusted_uids, got {re.escape(repr(uids))}$"
    with pytest.raises(TypeError, match=message):
        client(trusted_uids=uids)


@pytest.mark.parametrize("client", [Client, BlockingClient])
@pytest.mark.parametrize("uid", [-1, 2**32 - 1])
def test_trusted_uid_that_no_user_has_raises_value_error(client, uid):
    message = f"^expected user ids from 0 to 4294967294 as trusted_uids, got {uid}$"
    with pytest.raises(ValueError, match=message):
        client(trusted_uids=[0, uid])
