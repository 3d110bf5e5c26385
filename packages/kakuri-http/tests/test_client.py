"""The client against servers that send anything at any time."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from kakuri_http import (
    Client,
    ConnectFailed,
    ConnectionBroken,
    InvalidURL,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    PoolLimits,
    RemoteProtocolError,
    RequestTimeout,
    Response,
    Router,
    Timeouts,
    TooManyRedirects,
    UntrustedServer,
    serve,
)
from kakuri_tcp import LocalAccess, _trusted_servers

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def scripted(*replies, hold=True):
    """Send the next reply after the head of each request, valid or not; None closes."""
    heads = []
    remaining = list(replies)
    writers = []

    async def answer(reader, writer):
        writers.append(writer)
        try:
            while remaining:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                reply = remaining.pop(0)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
            if hold:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def silent():
    """Accept connections and read nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_request_bytes_are_host_first_and_framing_last():
    async with scripted(OK) as (url, heads), Client() as client:
        await client.request("POST", f"{url}/a?b=c", body=b"hi", headers={"X-One": "1"})
    host = url.removeprefix("http://").encode()
    assert heads == [
        b"POST /a?b=c HTTP/1.1\r\nHost: " + host + b"\r\nX-One: 1\r\nContent-Length: 2\r\n\r\n"
    ]


async def test_connection_is_reused_after_a_complete_response():
    async with scripted(OK, OK, OK) as (url, heads), Client() as client:
        for _ in range(3):
            assert (await client.request("GET", url)).body == b"ok"
        assert len(heads) == 3
        assert repr(client) == "<Client <Pool 0 in use, 1 idle, 0 waiting>>"


@pytest.mark.parametrize(
    "reply",
    [
        OK + b"EXTRA",
        OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_connection_is_not_reused_after_close_or_trailing_data(reply):
    async with scripted(reply) as (url, _), Client() as client:
        assert (await client.request("GET", url)).body == b"ok"
        assert repr(client) == "<Client <Pool 0 in use, 0 idle, 0 waiting>>"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + OK,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10 + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 1000,
        b"<html>",
    ],
)
async def test_response_that_is_not_http_or_over_a_limit_raises_remote_protocol_error(reply):
    async with scripted(reply, hold=False) as (url, _), Client() as client:
        with pytest.raises(RemoteProtocolError):
            await client.request("GET", url)


async def test_response_shorter_than_its_length_raises_connection_broken():
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"
    async with scripted(reply, hold=False) as (url, _), Client() as client:
        with pytest.raises(ConnectionBroken):
            await client.request("GET", url)


async def test_response_over_the_body_limit_raises_limit_exceeded():
    reply = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000
    async with scripted(reply) as (url, _), Client(limits=Limits(body=1000)) as client:
        with pytest.raises(LimitExceeded) as caught:
            await client.request("GET", url)
    assert caught.value.limit == "body"


async def test_connection_closed_before_the_response_raises_and_does_not_repeat():
    async with scripted(None, hold=False) as (url, heads), Client() as client:
        with pytest.raises(ConnectionBroken):
            await client.request("POST", url, body=b"once")
        assert len(heads) == 1


async def test_redirect_is_returned_as_a_response_by_default():
    reply = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with scripted(reply) as (url, heads), Client() as client:
        response = await client.request("GET", url)
        assert (response.status, response.headers["location"]) == (307, "http://169.254.169.254/")
        assert len(heads) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://", "ftp://a/", "/relative", "http://user@a/", "http://a/\r\nX: y", "http://a/ b",
        "http://a/%zz", "http://a/ü", "http://a:99999/", "http://a\r\n/",
        "http://a/\x00", "//a/b", "http://a b/", "",
    ],
)  # fmt: skip
async def test_url_that_is_not_http_raises_invalid_url(url):
    async with Client() as client:
        with pytest.raises(InvalidURL):
            await client.request("GET", url)


@pytest.mark.parametrize(
    "method", ["", "GET /admin HTTP/1.1\r\nX:", "G T", "GET\n", "CONNECT", "Gé"]
)
async def test_method_that_is_not_a_token_raises_local_protocol_error(method):
    async with scripted(OK) as (url, heads), Client() as client:
        with pytest.raises(LocalProtocolError):
            await client.request(method, url)
        assert heads == []
        assert "0 in use" in repr(client)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\x00"), ("X", "☃"), ("X ", "a"), ("", "a"),
        ("X\r\nY", "a"), ("X:", "a"), ("X", " a"), ("Host", "b"), ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("Upgrade", "h2c"),
    ],
)  # fmt: skip
async def test_field_that_may_not_be_sent_raises_local_protocol_error(name, value):
    async with scripted(OK) as (url, heads), Client() as client:
        with pytest.raises(LocalProtocolError):
            await client.request("GET", url, headers=[(name, value)])
        assert heads == []


async def test_connect_to_a_closed_port_raises_connect_failed():
    async with scripted() as (url, _):
        pass
    async with Client() as client:
        with pytest.raises(ConnectFailed, match="refused"):
            await client.request("GET", url)
        assert "0 in use" in repr(client)


async def test_response_that_does_not_arrive_raises_read_timeout():
    async with scripted(b"") as (url, _), Client(timeouts=Timeouts(read=0.05)) as client:
        with pytest.raises(RequestTimeout) as caught:
            await client.request("GET", url)
        assert caught.value.phase == "read"
        assert "0 in use, 0 idle" in repr(client)


async def test_content_that_stops_raises_read_timeout():
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
    async with scripted(reply) as (url, _), Client(timeouts=Timeouts(read=0.05)) as client:
        with pytest.raises(RequestTimeout) as caught:
            await client.request("GET", url)
        assert caught.value.phase == "read"


async def test_response_that_stays_incomplete_raises_total_timeout():
    async with scripted(b"HTTP/1.1 102 P\r\n\r\n") as (url, _), Client() as client:
        with pytest.raises(RequestTimeout) as caught:
            await client.request("GET", url, timeouts=Timeouts(total=0.05))
        assert caught.value.phase == "total"


@pytest.mark.parametrize("body", [b"x" * (1 << 26), [b"x" * 65536] * 1024])
async def test_request_that_the_server_does_not_read_raises_write_timeout(body):
    timeouts = Timeouts(write=0.1, read=20)
    async with silent() as url, Client(timeouts=timeouts) as client:
        with pytest.raises(RequestTimeout) as caught:
            await client.request("POST", url, body=body)
        assert caught.value.phase == "write"


async def test_sending_longer_than_the_read_timeout_succeeds():
    loop = asyncio.get_running_loop()
    timeouts = Timeouts(read=0.2)

    async def steady():
        until = loop.time() + 0.4
        while loop.time() < until:
            yield b"x" * 65536

    async with (
        await serve("127.0.0.1:0", echo_router()) as server,
        Client(server.endpoint, timeouts=timeouts) as client,
    ):
        assert int((await client.request("POST", "/count", body=steady())).body) > 0


async def test_request_without_a_free_connection_raises_pool_timeout():
    one = PoolLimits(per_host=1)
    waits = Timeouts(pool=0.05, read=None)
    async with scripted(b"") as (url, _), Client(pool=one, timeouts=waits) as client:
        first = asyncio.ensure_future(client.request("GET", url))
        with pytest.raises(RequestTimeout) as caught:
            await asyncio.gather(client.request("GET", url))
        assert caught.value.phase == "pool"
        first.cancel()


async def test_requests_beyond_the_pool_wait_for_a_connection():
    one = PoolLimits(per_host=1, connections=1)
    async with scripted(OK, OK, OK, OK) as (url, heads), Client(pool=one) as client:
        answers = await asyncio.gather(*(client.request("GET", url) for _ in range(4)))
    assert [answer.body for answer in answers] == [b"ok"] * 4
    assert len(heads) == 4


async def test_idle_connection_is_closed_for_a_request_to_another_host():
    only = PoolLimits(connections=1)
    async with scripted(OK) as (one, _), scripted(OK) as (two, _), Client(pool=only) as client:
        await client.request("GET", one)
        await client.request("GET", two)
        assert repr(client) == "<Client <Pool 0 in use, 1 idle, 0 waiting>>"


async def test_idle_connection_that_the_server_closed_is_not_used():
    async with scripted(OK, hold=False) as (url, heads), Client() as client:
        await client.request("GET", url)
        while "0 idle" not in repr(client):
            client._pool._close_expired()
            await asyncio.get_running_loop().run_in_executor(None, str)
    assert len(heads) == 1


def echo_router():
    router = Router()
    router.add("POST", "/echo", lambda request: Response(200, request.body))
    router.add("GET", "/lines", lambda request: Response(200, [b"1\n", b"2\n", b"3\n"]))

    async def count(request):
        total = 0
        async for piece in request.stream():
            total += len(piece)
        return Response(200, b"%d" % total)

    router.add("POST", "/count", count, streaming=True, body_limit=1 << 40)
    router.add("POST", "/refuse", lambda request: Response(403, b"no"), streaming=True)
    return router


async def test_body_in_pieces_is_sent_chunked():
    async def later():
        yield b"one"
        yield b"two"

    async with (
        await serve("127.0.0.1:0", echo_router()) as server,
        Client(server.endpoint) as client,
    ):
        assert (await client.request("POST", "/echo", body=[b"a", b"", b"b"])).body == b"ab"
        assert (await client.request("POST", "/echo", body=later())).body == b"onetwo"
        assert server.counters.accepted == 1


async def test_content_waits_for_100_continue():
    async with (
        await serve("127.0.0.1:0", echo_router()) as server,
        Client(server.endpoint) as client,
    ):
        ask = {"Expect": "100-continue"}
        assert (await client.request("POST", "/echo", body=b"hi", headers=ask)).body == b"hi"
        assert (await client.request("POST", "/nowhere", body=b"hi", headers=ask)).status == 404
        assert (await client.request("POST", "/echo", body=b"hi", headers=ask)).body == b"hi"


async def test_early_response_ends_the_sending():
    async def endless():
        while True:
            yield b"x" * 65536

    async with (
        await serve("127.0.0.1:0", echo_router()) as server,
        Client(server.endpoint) as client,
    ):
        response = await client.request("POST", "/refuse", body=endless())
        assert (response.status, response.body) == (403, b"no")
        assert (await client.request("POST", "/echo", body=b"next")).body == b"next"


async def test_exception_of_the_body_reaches_the_caller():
    async def breaks():
        yield b"one"
        raise ZeroDivisionError

    async with (
        await serve("127.0.0.1:0", echo_router()) as server,
        Client(server.endpoint) as client,
    ):
        with pytest.raises(ZeroDivisionError):
            await client.request("POST", "/count", body=breaks())


async def test_stream_yields_content_as_it_arrives():
    async with (
        await serve("127.0.0.1:0", echo_router()) as server,
        Client(server.endpoint) as client,
    ):
        async with client.stream("GET", "/lines") as response:
            assert response.status == 200
            assert b"".join([piece async for piece in response]) == b"1\n2\n3\n"
        async with client.stream("GET", "/lines") as response:
            pass
        assert (await client.request("POST", "/echo", body=b"x")).body == b"x"


async def test_large_content_in_both_directions_is_not_held_in_memory():
    size = 64 * 1024 * 1024
    router = echo_router()
    router.add("GET", "/big", lambda r: Response(200, (b"x" * 65536 for _ in range(size // 65536))))
    limits = Limits(body=1 << 40)
    async with (
        await serve("127.0.0.1:0", router) as server,
        Client(server.endpoint, limits=limits) as client,
    ):
        async with client.stream("GET", "/big") as response:
            total = 0
            async for piece in response:
                total += len(piece)
                assert len(piece) <= 1 << 20
        assert total == size
        sent = (b"x" * 65536 for _ in range(size // 65536))
        assert (await client.request("POST", "/count", body=sent)).body == b"%d" % size


async def test_client_of_a_unix_socket_gets_a_response(tmp_path):
    endpoint = f"unix:{tmp_path / 's'}"
    async with await serve(endpoint, echo_router()), Client(endpoint) as client:
        assert (await client.request("POST", "/echo", body=b"x")).body == b"x"
        assert (await client.request("POST", "http://zone/echo", body=b"y")).body == b"y"


async def test_unix_server_of_another_user_raises_untrusted_server(tmp_path, monkeypatch):
    monkeypatch.setattr(_trusted_servers, "unix_credentials", lambda connected: (1, 4711, 4711))
    everyone = LocalAccess(mode=0o666)  # the server sees the same user
    async with await serve(f"unix:{tmp_path}/s", echo_router(), local_access=everyone) as server:
        async with Client(server.endpoint) as client:
            with pytest.raises(UntrustedServer, match="user 4711 listens there") as caught:
                await client.request("POST", "/count", body=b"secret")
            assert caught.value.uid == 4711
        async with Client(server.endpoint, trusted_uids=[4711]) as client:
            assert (await client.request("POST", "/count", body=b"public")).body == b"6"


async def test_close_fails_requests_in_progress():
    async with scripted(b"") as (url, heads), Client() as client:
        asking = asyncio.ensure_future(client.request("GET", url))
        while not heads:
            await asyncio.get_running_loop().run_in_executor(None, str)
        await client.close()
        with pytest.raises(ConnectionBroken, match="the client was closed before"):
            await asking


async def test_close_fails_a_streamed_response():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    async with (
        scripted(head) as (url, _),
        Client() as client,
        client.stream("GET", url) as streamed,
    ):
        assert await anext(aiter(streamed)) == b"abc"
        await client.close()
        with pytest.raises(ConnectionBroken, match="the client was closed before"):
            await streamed.read()


async def test_closed_client_raises_connect_failed():
    async with scripted(b"") as (url, heads):
        client = Client(pool=PoolLimits(per_host=1))
        asking = [asyncio.ensure_future(client.request("GET", url)) for _ in range(3)]
        while not heads:
            await asyncio.get_running_loop().run_in_executor(None, str)
        await client.close()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            ConnectionBroken, ConnectFailed, ConnectFailed,
        ]  # fmt: skip
        with pytest.raises(ConnectFailed, match="closed"):
            await client.request("GET", url)
    assert len(heads) == 1


async def test_redirects_are_followed_up_to_the_given_number():
    redirect = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
    secret = {"Authorization": "Bearer x", "X-Kept": "1"}
    async with (
        Client() as client,
        scripted(OK) as (other, heads),
        scripted(redirect % b"/b", redirect % other.encode()) as (url, first_heads),
    ):
        answer = await client.request("GET", f"{url}/a", headers=secret, redirects=2)
    assert answer.body == b"ok"
    assert [head.split(b" ")[1] for head in first_heads] == [b"/a", b"/b"]
    assert all(b"Authorization" in head for head in first_heads)
    assert b"Authorization" not in heads[0]
    assert b"X-Kept: 1" in heads[0]


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("POST", 301, "GET"), ("POST", 302, "GET"), ("POST", 303, "GET"), ("POST", 307, "POST"),
        ("PUT", 301, "PUT"), ("DELETE", 302, "DELETE"), ("DELETE", 303, "GET"),
        ("HEAD", 303, "HEAD"), ("PUT", 308, "PUT"),
    ],
)  # fmt: skip
async def test_redirect_changes_the_method_by_its_status(method, status, then):
    redirect = b"HTTP/1.1 %d Moved\r\nLocation: /b#part\r\nContent-Length: 0\r\n\r\n" % status
    async with scripted(redirect, OK) as (url, heads), Client() as client:
        await client.request(method, f"{url}/a", redirects=1)
    assert heads[1].startswith(f"{then} /b HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "head",
    [
        "200 OK\r\nLocation: /b",
        "201 Created\r\nLocation: /b",
        "302 Found",
        "304 Not Modified\r\nLocation: /b",
    ],
)
async def test_response_that_is_not_a_redirect_or_names_no_location_is_returned(head):
    response = f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode()
    async with scripted(response, OK) as (url, heads), Client() as client:
        answer = await client.request("GET", f"{url}/a", redirects=5)
    assert (answer.status, len(heads)) == (int(head[:3]), 1)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/a b?c d#e f", b"/a%20b?c%20d"),
        ("/gr\u00fcn?\u2713".encode(), b"/gr%C3%BCn?%E2%9C%93"),
        (b"/gr\xfcn", b"/gr%FCn"),
        (b'/{a|b}\\"<^`>', b"/%7Ba%7Cb%7D%5C%22%3C%5E%60%3E"),
        (b"/100%/%7e?%2", b"/100%25/%7e?%252"),
        (b'/a?b=[{c|d}]"', b"/a?b=[{c|d}]%22"),
    ],
)
async def test_redirect_to_an_unencoded_location_is_followed_with_a_percent_encoded_target(
    location, target
):
    redirect = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    async with scripted(redirect, OK) as (url, heads), Client() as client:
        await client.request("GET", url, redirects=1)
    assert heads[1].startswith(b"GET " + target + b" HTTP/1.1\r\n")


async def test_redirects_beyond_the_given_number_raise_too_many_redirects():
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    async with scripted(*[redirect] * 3) as (url, heads), Client() as client:
        with pytest.raises(TooManyRedirects):
            await client.request("GET", url, redirects=2)
    assert len(heads) == 3


@pytest.mark.parametrize(
    "location", [b"file:///etc/passwd", b"//user@other/", b"//", b"http://a b/", b"gopher://x/"]
)
async def test_redirect_to_a_location_that_is_not_an_http_url_raises_invalid_url(location):
    redirect = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    async with scripted(redirect) as (url, _), Client() as client:
        with pytest.raises(InvalidURL, match=f"can't follow the redirect from '{url}': expected"):
            await client.request("GET", url, redirects=2)


def redirect_to(*locations):
    fields = b"".join(b"Location: %b\r\n" % location for location in locations)
    return b"HTTP/1.1 302 Found\r\n" + fields + b"Content-Length: 0\r\n\r\n"


async def test_redirect_with_equal_locations_is_followed():
    async with scripted(redirect_to(b"/a", b"/a"), OK) as (url, heads), Client() as client:
        await client.request("GET", url, redirects=1)
    assert heads[1].startswith(b"GET /a ")


async def test_redirect_with_different_locations_raises_invalid_url():
    async with scripted(redirect_to(b"/a", b"/b")) as (url, _), Client() as client:
        with pytest.raises(InvalidURL, match="expected one Location, got 2 different ones"):
            await client.request("GET", url, redirects=1)


async def test_trailers_are_in_the_response():
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 42\r\n\r\n"
    async with scripted(reply) as (url, _), Client() as client:
        assert (await client.request("GET", url)).trailers["x-sum"] == "42"
