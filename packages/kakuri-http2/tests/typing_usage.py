"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

import asyncio
from typing import assert_type

from kakuri_http2 import (
    ClientConnection,
    ClientDriver,
    Data,
    ErrorCode,
    Event,
    Exchange,
    HTTP2Error,
    Limits,
    Request,
    Response,
    ServerConnection,
    ServerDriver,
    StreamReset,
    Trailers,
)
from kakuri_http2.hpack import Decoder, Encoder, Field

FIELDS: tuple[Field, ...] = ((b"content-type", b"text/plain"),)


def a_client_sends_requests_and_reads_events(client: ClientConnection) -> bytes:
    stream = client.send(Request(b"POST", b"/greet", authority=b"localhost"))
    assert_type(stream, int)
    client.send(Data(stream, b"hello", end=True))
    while (event := client.next_event()) is not None:
        assert_type(event, Event)
        match event:
            case Response():
                assert_type(event.status, int)
            case Data():
                assert_type(event.data, bytes)
            case StreamReset():
                assert_type(event.by_peer, bool)
            case _:
                pass
    return client.data_to_send()


def a_server_receives_bytes_and_sends_responses(server: ServerConnection, data: bytes) -> None:
    server.receive_data(data)
    server.send(Response(1, 200, FIELDS))
    server.send(Trailers(1, FIELDS))


async def a_client_driver_opens_exchanges(path: str) -> bytes:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_unix_connection(lambda: ClientDriver(Limits()), path)
    assert_type(client, ClientDriver)
    async with client:
        exchange = await client.open(Request(b"GET", b"/", authority=b"localhost", end=True))
        assert_type(exchange, Exchange)
        assert_type(await exchange.response(), Response)
        return await exchange.read()


async def answer(exchange: Exchange) -> None:
    exchange.respond(200, FIELDS)
    await exchange.send(b"hi", end=True)
    exchange.cancel(ErrorCode.CANCEL)


def a_server_driver_takes_a_coroutine_function() -> ServerDriver:
    return ServerDriver(answer)


def field_lists_are_encoded_and_decoded(encoder: Encoder, decoder: Decoder) -> None:
    block = encoder.encode(FIELDS)
    assert_type(block, bytes)
    for name, value in decoder.decode(block):
        assert_type((name, value), tuple[bytes, bytes])


def errors_have_a_code(error: HTTP2Error) -> str:
    return str(error)
