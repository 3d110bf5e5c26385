"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import assert_type

import kakuri_http
from kakuri_http import (
    NEED_DATA,
    PAUSED,
    AccessEntry,
    Client,
    ClientConnection,
    ConnectFailed,
    Data,
    EndOfMessage,
    Headers,
    HTTPError,
    LimitExceeded,
    Limits,
    ReceivedResponse,
    Request,
    RequestTimeout,
    Response,
    Router,
    ServerConnection,
    StreamedResponse,
    Timeouts,
    encode_query,
    percent_encode,
    problem,
    serve,
)
from kakuri_http.blocking import BlockingClient, BlockingStreamedResponse
from kakuri_tcp import Endpoint, Server


@dataclass
class Order:
    number: int


def decode_order(data: bytes) -> Order:
    return Order(int(data))


router = Router({"even": lambda text: int(text) * 2})


@router.check
def refuse(request: Request) -> Response | None:
    return None if request.host == "localhost" else problem(421, code="misdirected")


@router.route("GET", "/orders/:id<even>")
async def show(request: Request) -> Response:
    return Response(200, str(request.params["id"]).encode(), headers={"X": "y"})


@router.route("POST", "/orders", streaming=True, body_limit=10)
async def submit(request: Request) -> Response:
    size = 0
    async for piece in request.stream():
        assert_type(piece, bytes)
        size += len(piece)
    return Response(201, [b"%d" % size], content_type="text/plain")


def ping(request: Request) -> Response:
    return Response(200, request.query.get("text", "").encode())


async def pieces() -> AsyncIterator[bytes]:
    yield b"piece"


async def a_server_serves_routes(entries: list[AccessEntry]) -> None:
    router.add("GET", "/ping", ping)
    assert_type(await show(Request("GET", "/", Headers())), Response)
    server = await serve("127.0.0.1:0", router, limits=Limits(body=5), access_log=entries.append)
    assert_type(server, Server)
    assert_type(server.endpoint, Endpoint)
    async with server, await serve(Endpoint.unix("/run/x.sock"), router, limits=None):
        pass


async def a_client_sends_requests() -> Order | None:
    async with Client("unix:/run/x.sock", timeouts=Timeouts(total=None), limits=None) as client:
        try:
            response = await client.get("/orders/1", params={"a": 1}, redirects=1)
        except ConnectFailed:
            return None
        except (RequestTimeout, LimitExceeded) as error:
            assert_type(error, RequestTimeout | LimitExceeded)
            return None
        except HTTPError:
            raise
        assert_type(response, ReceivedResponse)
        assert_type(response.status, int)
        assert_type(response.headers.get("x"), str | None)
        assert_type(response.text(), str)
        assert_type(response.body, bytes)
        assert_type(await client.post("/orders", b"1", headers=[("X", "y")]), ReceivedResponse)
        await client.put("/orders", [b"1"])
        await client.patch("/orders", pieces())
        await client.delete(f"/orders/{percent_encode('ö')}?{encode_query([('a', 'b')])}")
        await client.request("HEAD", "/orders", timeouts=Timeouts(read=1))
        async with client.stream("GET", "/", params=[("a", 1)], body_limit=5) as streamed:
            assert_type(streamed, StreamedResponse)
            async for piece in streamed:
                assert_type(piece, bytes)
            assert_type(await streamed.read(), bytes)
        return response.json(decode_order)


def a_blocking_client_sends_requests(lines: Iterator[bytes]) -> None:
    with BlockingClient(Endpoint.tcp("127.0.0.1", 80)) as client:
        assert_type(client.get("/"), ReceivedResponse)
        assert_type(client.post("/", lines, timeouts=Timeouts()).json(decode_order), Order)
        with client.stream("GET", "/") as streamed:
            assert_type(streamed, BlockingStreamedResponse)
            for piece in streamed:
                assert_type(piece, bytes)


def cores_exchange_messages(client: ClientConnection, server: ServerConnection) -> bytes:
    server.receive_data(client.send(Request("GET", "/", Headers(), host="localhost")))
    while (event := server.next_event()) is not NEED_DATA and event is not PAUSED:
        match event:
            case Request():
                assert_type(event.path, str)
            case Data():
                assert_type(event.data, bytes)
            case EndOfMessage():
                assert_type(event.trailers, Headers)
            case _:
                pass
    return server.send(Response(200, None)) + server.send(Data(b"x")) + server.send(EndOfMessage())


def misspelled_names_are_reported() -> None:
    print(kakuri_http.no_such_name)  # type: ignore[attr-defined]
