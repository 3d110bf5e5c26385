"""A streaming call on the client's side."""

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from kakuri_http2 import ErrorCode, Exchange, ExchangeEnded, Processed
from kakuri_protobuf import DecodeError, Method

from kakuri_grpc._errors import (
    DeadlineExceeded,
    GRPCError,
    LocalError,
    StatusError,
    status_error,
)
from kakuri_grpc._framing import CompressedMessage, MessageReader, frame_message
from kakuri_grpc._messages import MessageCodec
from kakuri_grpc._metadata import Metadata
from kakuri_grpc._outcome import check_head, check_trailers, early_end, read_metadata
from kakuri_grpc._status import StatusCode
from kakuri_grpc._turn import Share

if TYPE_CHECKING:
    from kakuri_grpc._driver import ChannelDriver

_SMALL = 16_384
"""Bytes up to which the last message is sent without waiting for the peer."""

Request = TypeVar("Request")
Response = TypeVar("Response")


class Call(Generic[Request, Response]):
    """A call that was started by `Channel.stream`.

    It is an async context manager: leaving the block before the call is complete cancels the call.
    It is also an async iterator over the server's messages, which raises the error with which the
    call ended. While the caller does not read messages, flow control makes the server wait.

    Attributes:
        metadata: The server's initial metadata; None until the head of the response has arrived.
        trailers: The server's trailing metadata; None until the call has ended.
        deadline: When the call has to end, by the clock of the event loop.
    """

    def __init__(
        self,
        exchange: Exchange,
        method: Method[Request, Response],
        codec: MessageCodec,
        timeout: float | None,
        deadline: float,
        driver: "ChannelDriver",
    ) -> None:
        self.metadata: Metadata | None = None
        self.trailers: Metadata | None = None
        self._exchange = exchange
        self._method = method
        self._codec = codec
        self._reader = MessageReader(codec.limits.received)
        self._share = Share()
        self._timeout = timeout
        self._is_late = False
        self._is_half_closed = False
        self._error: Exception | None = None
        self.deadline = deadline
        self._driver = driver
        self._began = driver.loop.time()
        if timeout is not None:
            driver.deadlines.add(self)

    def __repr__(self) -> str:
        state = "open" if self._error is None else f"failed: {self._error!r:.80}"
        return f"<Call {self._method.path} {state}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response:
        response = await self.receive()
        if response is None:
            raise StopAsyncIteration
        return response

    async def send(self, request: Request, *, end: bool = False) -> None:
        """Send a message; wait while the server does not read earlier ones.

        Raises:
            MessageTooLarge: The message exceeds `Limits.sent`.
            LocalError: This side has already closed its sending side.
            StatusError: The call has ended; `receive` raises the same error.
            DeadlineExceeded: The deadline has passed.
        """
        try:
            data = await self._codec.encode(request, self._method.request, self.deadline)
        except TimeoutError:
            raise DeadlineExceeded(self._timeout or 0.0) from None
        await self.send_framed(frame_message(data), end=end)

    async def end(self) -> None:
        """Close the sending side: no more messages follow."""
        if not self._is_half_closed:
            await self.send_framed(b"", end=True)

    async def send_framed(self, data: bytes, *, end: bool) -> None:
        """Send a message that already has its prefix."""
        if self._is_half_closed:
            raise LocalError("this side of the call has already ended")
        self._is_half_closed = end
        try:
            if len(data) < _SMALL and end:
                self._exchange.send_now(data, end=end)
            else:
                await self._exchange.send(data, end=end)
        except ExchangeEnded as ended:
            if not self._exchange.is_complete:  # otherwise, the response has the status
                raise self._error_of_early_end(ended) from None

    async def receive(self) -> Response | None:
        """Return the server's next message, or None if the call has ended with OK.

        Raises:
            StatusError: The call has ended with another status.
            DeadlineExceeded: The deadline has passed.
            MessageTooLarge: The message exceeds `Limits.received`; the call is cancelled.
        """
        if self._error is not None:
            raise self._error_to_raise()
        try:
            return await self._receive()
        except asyncio.CancelledError:
            self.cancel()
            raise
        except ExchangeEnded as ended:
            self._fail(self._error_of_early_end(ended))
        except CompressedMessage as error:
            self._fail(status_error(StatusCode.INTERNAL, str(error)))
        except DecodeError as error:
            self._fail(undecodable(self._method, error))
        except GRPCError as error:
            self._fail(error.with_traceback(None))
        raise self._error_to_raise()

    async def _receive(self) -> Response | None:
        if self.metadata is None:
            response = await self._exchange.response()
            check_head(response.status, response.fields)
            self._driver.has_responded = True
            self.metadata = read_metadata(response.fields)
        while True:
            message = self._reader.next_message()
            if message is not None:
                if self._share.count(len(message)):
                    await asyncio.sleep(0)
                try:
                    return await self._codec.decode(message, self._method.response, self.deadline)
                except TimeoutError:
                    raise DeadlineExceeded(self._timeout or 0.0) from None
            piece = await self._exchange.read()
            if not piece:
                break
            self._reader.feed(piece)
        self._finish()
        return None

    def _finish(self) -> None:
        """Read the status of the call from its trailers, after all content was read."""
        self._driver.deadlines.discard(self)
        fields = self._exchange.trailers
        if not fields and self._exchange.head is not None:
            fields = self._exchange.head.fields  # without messages, the head has the status
        self.trailers = read_metadata(fields)
        try:
            check_trailers(fields, self._timeout)
        except GRPCError as error:
            self._error = error.with_traceback(None)
            raise self._error_to_raise() from None
        if not self._reader.is_empty:
            self._error = status_error(StatusCode.INTERNAL, "the last message was cut off")
            raise self._error_to_raise()

    async def sole_response(self) -> Response:
        """Return the message of a call that has exactly one.

        Raises:
            StatusError: The call has failed, or there is no message, or more than one.
        """
        response = await self.receive()
        if response is None:
            raise status_error(StatusCode.INTERNAL, "expected one message, got none")
        if await self.receive() is not None:
            self.cancel()
            raise status_error(StatusCode.INTERNAL, "expected one message, got more")
        return response

    def cancel(self) -> None:
        """Cancel the call, unless it is complete."""
        self._driver.deadlines.discard(self)
        if not self._exchange.is_complete or not self._is_half_closed:
            self._exchange.cancel(ErrorCode.CANCEL)
        if self._error is None and self.trailers is None:
            self._error = status_error(StatusCode.CANCELLED, "the caller cancelled the call")

    def expire(self) -> None:
        """End the call at its deadline."""
        self._is_late = True
        self._exchange.cancel(ErrorCode.CANCEL)
        self._driver.call_expired(self._began)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._driver.deadlines.discard(self)
        self._exchange.cancel(ErrorCode.CANCEL)

    def _error_to_raise(self) -> Exception:
        """Return a copy of the error with which the call failed.

        The original would keep the frames of its traceback alive, and these would keep the call
        alive.
        """
        return copy(cast("Exception", self._error))

    def _error_of_early_end(self, ended: ExchangeEnded) -> Exception:
        """Return the error to raise for an exchange that ended early."""
        if self._is_late:
            return DeadlineExceeded(self._timeout or 0.0)
        is_over = self._exchange.is_connection_over
        # A server that has begun to respond may have acted, whatever the code says.
        has_begun = self._exchange.head is not None
        processed = Processed.UNKNOWN if has_begun else ended.processed
        return early_end(ended.message, ended.code, processed, is_connection_over=is_over)


def undecodable(method: Method[Any, Any], error: DecodeError) -> StatusError:
    """Return the status of a call whose response is not a message of its method."""
    text = f"the response is not a {method.response.__name__}: {error}"
    return status_error(StatusCode.INTERNAL, text)
