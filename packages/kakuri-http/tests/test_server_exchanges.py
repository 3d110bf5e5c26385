"""Exchanges of the server: contexts, content in both directions, ends that clients can detect."""

import asyncio
import contextvars
import socket
import ssl

import pytest
import trustme
from kakuri_http import Client, Limits, Response, Router, serve
from kakuri_tcp import ClientTLS, ServerTLS
from kakuri_tcp.testing import until

from .wire import wired

user = contextvars.ContextVar("user", default="anonymous")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    pem = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    pem.write_to_path(directory / "server.pem")
    return directory


@pytest.fixture(params=["plain", "tls"])
def transport(request, certificates):
    """Endpoint, options of the server, options of the client."""
    if request.param == "plain":
        return "tcp://127.0.0.1:0", {}, {}
    return (
        "tls://127.0.0.1:0",
        {"tls": ServerTLS(certificate=certificates / "server.pem")},
        {"tls": ClientTLS(ca=certificates / "ca.pem")},
    )


# Contexts


class Contexts:
    """Return routes that set the user of a request and respond with it, in every way."""

    def __init__(self):
        self.logged = []
        self.router = router = Router()
        router.check(self.check)
        router.add("GET", "/inline", self.inline)
        router.add("GET", "/task", self.task)
        router.add("GET", "/future", self.future)
        router.add("GET", "/pieces", self.pieces)
        router.add("GET", "/broken", self.broken)
        router.add("POST", "/inline", self.inline)
        router.add("POST", "/stream", self.stream, streaming=True)

    def check(self, request):
        if name := request.headers.get("x-checked-user"):
            user.set(name)
        return Response(200, user.get().encode()) if "x-early" in request.headers else None

    def inline(self, request):
        if name := request.headers.get("x-user"):
            user.set(name)
        return Response(200, user.get().encode())

    async def task(self, request):
        await asyncio.sleep(0)
        return self.inline(request)

    def future(self, request):
        return asyncio.ensure_future(self.task(request))

    async def pieces(self, request):
        self.inline(request)

        async def pieces():
            yield user.get().encode()
            user.set("mallory")

        return Response(200, pieces())

    async def stream(self, request):
        async for _ in request.stream():
            self.inline(request)
        return Response(200, user.get().encode())

    def broken(self, request):
        self.inline(request)
        raise ZeroDivisionError

    def log(self, access):
        self.logged.append(user.get())


WAYS = [
    ("GET", "/inline", None),
    ("GET", "/task", None),
    ("GET", "/future", None),
    ("GET", "/pieces", None),
    ("GET", "/broken", None),
    ("GET", "/missing", None),
    ("POST", "/inline", b"x" * 100_000),
    ("POST", "/stream", b"x" * 100_000),
]


@pytest.mark.parametrize("field", ["X-User", "X-Checked-User"])
async def test_context_variable_of_a_request_is_not_seen_by_the_next_one(field, transport):
    site = Contexts()
    where, server_options, client_options = transport
    async with (
        await serve(where, site.router, **server_options) as server,
        Client(server.endpoint, **client_options) as client,
    ):
        for method, path, body in WAYS:
            for early in ({}, {"X-Early": "1"}):
                answer = await client.request(
                    method, path, body=body, headers={field: "alice", **early}
                )
                if answer.status == 200 and not (early and field == "X-User"):
                    assert answer.body == b"alice", (method, path)
                for next_method, next_path, next_body in WAYS:
                    answer = await client.request(next_method, next_path, body=next_body)
                    if answer.status == 200:
                        assert answer.body == b"anonymous", (method, path, next_path)
        assert server.counters.accepted == 1
    assert user.get() == "anonymous"


async def test_context_variable_is_not_seen_by_pipelined_requests():
    site = Contexts()
    request = "GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    async with wired(site.router) as wire:
        wire.send(
            b"".join(
                request.format(path, named).encode()
                for path in ("/inline", "/task")
                for named in ("X-User: alice\r\n", "")
            )
        )
        bodies = [(await wire.read_response())[2] for _ in range(4)]
    assert bodies == [b"alice", b"anonymous", b"alice", b"anonymous"]


async def test_handlers_see_the_context_in_which_the_server_was_started():
    token = user.set("operator")
    try:
        server = await serve("127.0.0.1:0", Contexts().router)
    finally:
        user.reset(token)
    async with server, Client(server.endpoint) as client:
        assert (await client.request("GET", "/inline")).body == b"operator"


async def test_access_log_runs_in_the_context_of_its_request():
    site = Contexts()
    async with (
        await serve("127.0.0.1:0", site.router, access_log=site.log) as server,
        Client(server.endpoint) as client,
    ):
        await client.request("GET", "/task", headers={"X-User": "alice"})
        await client.request("GET", "/task")
        await until(lambda: len(site.logged) == 2)
    assert site.logged == ["alice", "anonymous"]


@pytest.mark.parametrize("before", [b"", b"GET /task HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_access_log_of_an_invalid_request_has_a_context_of_its_own(before):
    site, logged = Contexts(), []

    def log(access):
        logged.append((access.status, user.get()))
        user.set("mallory")

    async with wired(site.router, access_log=log) as wire:
        wire.send(before + b"not HTTP\r\n\r\n")
        await wire.read_all()
        async with Client(wire.server.endpoint) as client:
            assert (await client.get("/inline")).body == b"anonymous"
    assert logged[-2:] == [(400, "anonymous"), (200, "anonymous")]
    assert len(logged) == (3 if before else 2)


# Content in both directions at once


def upper(stop_after=None):
    async def handler(request):
        async def pieces():
            count = 0
            async for piece in request.stream():
                count += len(piece)
                yield piece.upper()
                if stop_after is not None and count >= stop_after:
                    return

        return Response(200, pieces())

    return handler


def in_pieces(size):
    async def pieces():
        for start in range(0, size, 50_000):
            yield b"x" * min(50_000, size - start)

    return pieces()


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_streaming_handler_responds_while_it_reads(size, chunked, transport):
    where, server_options, client_options = transport
    router = Router()
    router.add("POST", "/", upper(), streaming=True, body_limit=1 << 30)
    async with (
        await serve(where, router, **server_options) as server,
        Client(server.endpoint, limits=Limits(body=1 << 24), **client_options) as client,
    ):
        for _ in range(2):
            body = in_pieces(size) if chunked else b"x" * size
            assert (await client.request("POST", "/", body=body)).body == b"X" * size
        assert server.counters.accepted == 1


async def test_content_over_the_limit_of_the_route_cuts_the_response_off():
    router = Router()
    router.add("POST", "/", upper(), streaming=True, body_limit=300_000)
    async with wired(router) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            wire.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        with pytest.raises(ConnectionError):
            await wire.read_all()


@pytest.mark.parametrize(("rest", "is_kept"), [(100_000, True), (400_000, False)])
async def test_unread_content_is_dropped_or_ends_the_connection_when_the_response_ends(
    rest, is_kept
):
    router = Router()
    router.add("POST", "/", upper(stop_after=10), streaming=True, body_limit=1 << 30)
    async with wired(router, limits=Limits(discarded_body=200_000)) as wire:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (10 + rest)
        wire.send(head + b"x" * 10)
        while b"0\r\n\r\n" not in await wire.reader.readuntil(b"\r\n\r\n"):
            pass
        wire.send(b"y" * rest)
        wire.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await wire.reader.read(12)
        assert answer == (b"HTTP/1.1 204" if is_kept else b"")


# Ends of responses


async def half(request):
    async def pieces():
        yield b"the first half"
        raise RuntimeError("the source broke")

    return Response(200, pieces())


async def whole(request):
    async def pieces():
        yield b"all of it"

    return Response(200, pieces())


async def too_short(request):
    response = Response(200, iter([b"short"]))
    response.length = 100
    return response


async def too_long(request):
    response = Response(200, iter([b"1", b"23"]))
    response.length = 2
    return response


async def endless(request):
    async def pieces():
        yield b"the beginning"
        await asyncio.Event().wait()

    return Response(200, pieces())


def ends():
    router = Router()
    for handler in (half, whole, too_short, too_long, endless):
        router.add("GET", f"/{handler.__name__}", handler)
    return router


def read_to_the_end(port, request, ca=None):
    """Return the bytes and how they ended: by FIN, by close_notify, or cut off."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        peer = plain
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
            peer = context.wrap_socket(
                plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            )
        received = b""
        with peer:
            peer.sendall(request)
            try:
                while piece := peer.recv(65536):
                    received += piece
            except (ConnectionResetError, ssl.SSLEOFError):
                return received, "cut off"
            return received, "clean"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/half", "cut off"),
        ("/too_short", "cut off"),
        ("/too_long", "cut off"),
        ("/whole", "clean"),
        ("/missing", "clean"),
    ],
)
async def test_response_that_is_cut_off_is_not_complete_to_the_client(
    version, path, end, transport, certificates
):
    where, options, client_options = transport
    request = f"GET {path} HTTP/{version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    ca = certificates / "ca.pem" if client_options else None
    async with await serve(where, ends(), **options) as server:
        _, got = await asyncio.to_thread(
            read_to_the_end, server.endpoint.port, request.encode(), ca
        )
    assert got == end


async def test_response_that_a_drain_aborts_is_not_complete_to_the_client(transport, certificates):
    where, options, client_options = transport
    ca = certificates / "ca.pem" if client_options else None
    async with await serve(where, ends(), **options) as server:
        reading = asyncio.create_task(
            asyncio.to_thread(
                read_to_the_end, server.endpoint.port, b"GET /endless HTTP/1.0\r\n\r\n", ca
            )
        )
        await until(lambda: any(c.is_sending for c in server._table.connections))
        assert await server.drain(0.05) == 1
        assert (await reading)[1] == "cut off"
