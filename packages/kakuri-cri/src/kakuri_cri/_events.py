"""The messages of a streaming call."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Generic, Self, TypeVar

from kakuri_protobuf import AsyncCodec, Method

from kakuri_cri._channel import ChannelError
from kakuri_cri._errors import failure_of
from kakuri_cri._responses import name_of, read_response

Response = TypeVar("Response")


class Events(Generic[Response]):
    """The messages of a streaming call, as an async iterator.

    The call starts when the first message is requested. The iterator ends when the runtime ends the
    call, and raises CriError when the call fails. `aclose`, which the async context manager calls
    on exit, cancels the call. Cancelling a read, as `asyncio.wait_for` does, cancels the call as
    well.

    >>> async def follow(runtime: Runtime) -> None:
    ...     async with runtime.events() as events:
    ...         async for event in events:
    ...             print(event.container_id, event.container_event_type)
    """

    def __init__(
        self,
        method: Method[Any, Response],
        responses: AsyncGenerator[bytes, None],
        codec: AsyncCodec,
    ) -> None:
        self._method = method
        self._responses = responses
        self._codec = codec

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response:
        try:
            data = await anext(self._responses)
        except ChannelError as error:
            raise failure_of(name_of(self._method), error) from error.with_traceback(None)
        try:
            return await read_response(self._codec, self._method, data)
        except asyncio.CancelledError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Cancel the call unless it has ended."""
        await self._responses.aclose()
