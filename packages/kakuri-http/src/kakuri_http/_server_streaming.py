"""Sending a response piece by piece, as fast as the client takes it."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from kakuri_http._events import Data, EndOfMessage
from kakuri_http._headers import Headers
from kakuri_http._response import Response
from kakuri_http._server_core import ServerConnection

if TYPE_CHECKING:
    from kakuri_http._server_responses import ResponseSide


async def send_streamed(
    connection: "ResponseSide", core: ServerConnection, response: Response
) -> None:
    """Send a response whose body is an iterable; raises what the iterable raises."""
    connection.write(core.send(response))
    body = response.body
    if core.omits_content or body is None or isinstance(body, bytes):
        pass
    elif isinstance(body, AsyncGenerator):
        async with aclosing(body):  # so that it ends with the connection, not some time later
            await _send_pieces(connection, core, body)
    elif isinstance(body, AsyncIterable):
        await _send_pieces(connection, core, body)
    else:
        await _send_pieces(connection, core, _as_async(body))
    connection.write(core.send(EndOfMessage(response.trailers or Headers())))


async def _send_pieces(
    connection: "ResponseSide", core: ServerConnection, pieces: AsyncIterable[bytes]
) -> None:
    async for piece in pieces:
        await connection.writable()
        connection.write(core.send(Data(piece)))
        connection.count_sent(len(piece))


async def _as_async(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
