"""The messages that a client sends in one call."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from kakuri_http2 import Exchange
from kakuri_protobuf import DecodeError, Method

from kakuri_grpc._errors import status_error
from kakuri_grpc._framing import CompressedMessage, MessageReader
from kakuri_grpc._messages import LARGE_MESSAGE
from kakuri_grpc._server_connection import ServerConnection
from kakuri_grpc._status import StatusCode
from kakuri_grpc._turn import Share


class Requests(AsyncIterator[Any]):
    """The messages that a client sends in one call, as an async iterator."""

    def __init__(
        self, exchange: Exchange, method: Method[Any, Any], connection: ServerConnection
    ) -> None:
        self._exchange = exchange
        self._class = method.request
        self._connection = connection
        self._reader = MessageReader(connection.codec.limits.received)
        self._share = Share()
        self._pending: bytes | None = None  # taken by a call of `_next` that was cancelled
        self._held = 0  # bytes that were reported to the connection

    async def __anext__(self) -> Any:
        message = await self._next()
        if message is None:
            raise StopAsyncIteration
        return message

    async def sole(self) -> Any:
        """Return the only message of the call.

        Raises:
            StatusError: There is no message, or more than one, or it can't be decoded.
        """
        message = await self._next()
        if message is None or await self._next() is not None:
            got = "none" if message is None else "more"
            raise status_error(StatusCode.INTERNAL, f"expected one message, got {got}")
        return message

    def close(self) -> None:
        """Report that the call holds no more messages."""
        self._report(0)

    async def _next(self) -> Any:
        reader, connection = self._reader, self._connection
        data, self._pending = self._pending, None
        try:
            while data is None and (data := reader.next_message()) is None:
                self._report(reader.size)
                piece = await self._exchange.read()
                if not piece:
                    if not reader.is_empty:
                        raise status_error(StatusCode.INTERNAL, "the last message was cut off")
                    return None
                reader.feed(piece)
            if self._share.count(len(data)):
                await asyncio.sleep(0)
            if time.monotonic() >= connection.turn.end:
                await connection.turn.wait()
            if len(data) > LARGE_MESSAGE:
                self._report(len(data) + reader.size)
            message = await connection.codec.decode(data, self._class)
        except asyncio.CancelledError:
            self._pending = data
            raise
        except CompressedMessage as error:
            raise status_error(StatusCode.UNIMPLEMENTED, str(error)) from error
        except DecodeError as error:
            text = f"the message is not a valid {self._class.__name__}: {error}"
            raise status_error(StatusCode.INTERNAL, text) from error
        if len(data) > LARGE_MESSAGE:
            self._report(reader.size)
        return message

    def _report(self, size: int) -> None:
        """Report to the connection how many bytes of messages this call holds."""
        if size != self._held or self._connection.is_input_reported:
            change, self._held = size - self._held, size
            self._connection.hold(change)
