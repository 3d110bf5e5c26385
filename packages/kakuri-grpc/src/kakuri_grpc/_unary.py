"""A call with one message in each direction, as the receiver of its stream.

`Channel.call` only awaits `finished`. The methods below store what the connection receives, which
is checked once the response is complete. Heads and trailers that are the same objects as those of
an earlier valid response are not checked again.
"""

import asyncio
from copy import copy
from typing import Protocol

from kakuri_http2 import ClientConnection, Processed, StreamReset
from kakuri_http2.hpack import Field

from kakuri_grpc._errors import (
    DeadlineExceeded,
    MessageTooLarge,
    StatusError,
    status_error,
)
from kakuri_grpc._framing import CompressedMessage, MessageReader, sole_message
from kakuri_grpc._outcome import check_head, check_trailers, early_end
from kakuri_grpc._status import StatusCode

Fields = tuple[Field, ...]


class CallDriver(Protocol):
    """The part of ChannelDriver that a call uses."""

    loop: asyncio.AbstractEventLoop
    connection: ClientConnection
    has_responded: bool
    valid_head: Fields | None
    valid_trailers: Fields | None

    def call_expired(self, began: float) -> None:
        """Handle the end of a call that timed out."""


class UnaryCall:
    """One call.

    Attributes:
        stream: Its number on the driver's connection.
        deadline: The deadline of the call, by the event loop's clock; infinite without a timeout.
        finished: A future that is done when `message` can be called.
    """

    __slots__ = (
        "_began",
        "_driver",
        "_error",
        "_head",
        "_limit",
        "_message",
        "_reader",
        "_timeout",
        "_trailers",
        "deadline",
        "finished",
        "stream",
    )

    def __init__(
        self, driver: CallDriver, limit: int, timeout: float | None, deadline: float
    ) -> None:
        self._driver = driver
        self._limit = limit
        self._timeout = timeout
        self._began = driver.loop.time()
        self.deadline: float = deadline
        self.stream: int = 0
        self._error: Exception | None = None
        self._head: Fields = ()
        self._message: bytes | None = None
        self._reader: MessageReader | None = None
        self._trailers: Fields | None = None
        self.finished: asyncio.Future[None] = driver.loop.create_future()

    def message(self) -> bytes:
        """Return the message of the response; call it after `finished` is done.

        Raises:
            StatusError: The call failed, or the response does not have exactly one message.
            DeadlineExceeded: The deadline has passed.
            MessageTooLarge: The message exceeds the limit.
        """
        if self._error is not None:
            raise copy(self._error)  # the traceback of the original would keep this call in a cycle
        if self._trailers is not self._driver.valid_trailers:
            trailers = self._trailers or self._head
            check_trailers(trailers, self._timeout)
            self._driver.valid_trailers = trailers
        if self._message is not None:
            return self._message
        if self._reader is None or self._reader.is_empty:
            raise status_error(StatusCode.INTERNAL, "expected one message, got none")
        raise status_error(StatusCode.INTERNAL, "the last message was cut off")

    def expire(self) -> None:
        """End the call at its deadline."""
        self._fail(DeadlineExceeded(self._timeout or 0.0))
        self._driver.call_expired(self._began)

    def _fail(self, error: Exception) -> None:
        if not self.finished.done():
            self._error = error
            self.finished.set_result(None)

    # Called by the connection.

    def receive_head(self, status: int, fields: Fields, *, is_end: bool) -> None:
        """Check the head of the response, which also ends it if there is no message."""
        if fields is not self._driver.valid_head:
            if status < 200:
                return
            try:
                messages_follow = check_head(status, fields)
            except StatusError as error:
                self._fail(error.with_traceback(None))
                return
            self._driver.has_responded = True
            if messages_follow:
                self._driver.valid_head = fields
        self._head = fields
        if is_end:
            self._finish(())

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        """Collect the message; its credit is returned as it arrives, up to the size limit."""
        if self._message is None and self._reader is None:
            self._message = sole_message(data, self._limit)
            if self._message is None:
                self._collect(data)
        elif data:
            self._collect(data)
        if is_end:
            self._finish(())
        return self._error is None

    def receive_trailers(self, fields: Fields) -> None:
        """Store the status of the call."""
        self._finish(fields)

    def receive_reset(self, reset: StreamReset) -> None:
        """Fail the call."""
        if self._head:
            # The server has begun to respond, so whatever the code, it may have processed the call.
            reset.processed = Processed.UNKNOWN
        is_over = self._driver.connection.is_over
        what = "connection" if is_over else "call"
        message = reset.message or f"the peer ended the {what} (code {reset.code})"
        self._fail(early_end(message, reset.code, reset.processed, is_connection_over=is_over))

    def drained(self) -> None:
        """Do nothing: the request was sent in one piece."""

    def _finish(self, trailers: Fields) -> None:
        if not self.finished.done():
            self._trailers = trailers
            self.finished.set_result(None)

    def _collect(self, data: bytes) -> None:
        """Add a piece of a message that arrives in several pieces."""
        if self._reader is None:
            self._reader = MessageReader(self._limit)
        reader = self._reader
        try:
            reader.feed(data)
            if self._message is None:
                self._message = reader.next_message()
        except MessageTooLarge as error:
            self._fail(error.with_traceback(None))
        except CompressedMessage as error:
            self._fail(status_error(StatusCode.INTERNAL, str(error)))
        if self._message is not None and not reader.is_empty:
            self._fail(status_error(StatusCode.INTERNAL, "expected one message, got more"))
