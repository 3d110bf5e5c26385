"""The receivers of a stream's frames: the connection's events, or an object of the program."""

from collections import deque
from typing import Protocol

from kakuri_http2._events import Data, Drained, Event, Fields, Response, StreamReset, Trailers


class Receiver(Protocol):
    """An object that receives the frames of a stream.

    A connection calls these methods while it processes a frame, so they must not call the
    connection; they can store data or wake a waiter. If a stream has no receiver, its frames become
    events that `Connection.next_event` returns.
    """

    def receive_head(self, status: int, fields: Fields, *, is_end: bool) -> None:
        """Process the head of a response; a status below 200 means an interim response."""

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        """Process a piece of content.

        Returns:
            Whether to return its flow-control credit now. If not, the program calls
            `Connection.consumed` later, and the peer may have to wait until then.
        """

    def receive_trailers(self, fields: Fields) -> None:
        """Process the fields after the content, which end the peer's side of the stream."""

    def receive_reset(self, reset: StreamReset) -> None:
        """Process the early end of the stream."""

    def drained(self) -> None:
        """Process that all queued content was sent, after some of it had to wait."""


class QueuedEvents:
    """The receiver that turns the frames of one stream into events."""

    __slots__ = ("_events", "_stream")

    def __init__(self, events: deque[Event], stream: int) -> None:
        self._events = events
        self._stream = stream

    def receive_head(self, status: int, fields: Fields, *, is_end: bool) -> None:
        self._events.append(Response(self._stream, status, fields, is_end))

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        self._events.append(Data(self._stream, data, is_end))
        return False

    def receive_trailers(self, fields: Fields) -> None:
        self._events.append(Trailers(self._stream, fields))

    def receive_reset(self, reset: StreamReset) -> None:
        self._events.append(reset)

    def drained(self) -> None:
        self._events.append(Drained(self._stream))


DROPPED = QueuedEvents(deque(maxlen=0), 0)
"""The receiver of streams that have ended."""
