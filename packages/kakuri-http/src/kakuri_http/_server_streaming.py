"""Sending a response piece by piece, as fast as the client takes it."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from kakuri_http._events import Data, EndOfMessage
from kakuri_http._headers import Headers
from kakuri_http._response import Response
from kakuri_http._server_core import ServerConnection

if TYPE_CHECKING:
    from kakuri_http._server_connection import HttpConnection


async def send_streamed(
    connection: "HttpConnection", core: ServerConnection, response: Response
) -> Any:
    """Send a response whose body is an iterable; raises what the iterable raises."""
    connection.write(core.send(response))
    body = response.body
    if not core.omits_content:
        if isinstance(body, AsyncIterable):
            iterator: Any = aiter(body)
            if hasattr(iterator, "aclose"):
                async with aclosing(iterator):
                    await _send_pieces(connection, core, iterator)
            else:
                await _send_pieces(connection, core, iterator)
        elif body is not None:
            await _send_pieces(connection, core, _as_async(body))
    connection.write(core.send(EndOfMessage(response.trailers or Headers())))


async def _send_pieces(
    connection: "HttpConnection", core: ServerConnection, pieces: AsyncIterator[bytes]
) -> None:
    async for piece in pieces:
        await connection.writable()
        connection.write(core.send(Data(piece)))
        connection.count_sent(len(piece))


async def _as_async(pieces: Any) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
