"""Where the frames of a stream go: into the connection's events, or straight to an object."""

from collections import deque
from typing import Protocol

from kakuri_http2._events import Data, Drained, Event, Fields, Response, StreamReset, Trailers


class Receiver(Protocol):
    """What a stream reports to.

    A connection calls these methods while it processes a frame, so they must not call the
    connection; they store what came, or wake a waiter. Unless a stream was opened with a receiver
    of its own, its reports are events that `Connection.next_event` returns.
    """

    def receive_head(self, status: int, fields: Fields, *, is_end: bool) -> None:
        """Process the head of a response; one with a status below 200 is interim."""

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        """Process a piece of content.

        Returns:
            Whether its flow-control credit can be returned now. Otherwise the program calls
            `Connection.consumed` later, which holds the peer back until then.
        """

    def receive_trailers(self, fields: Fields) -> None:
        """Process the fields after the content, which end the peer's side of the stream."""

    def receive_reset(self, reset: StreamReset) -> None:
        """Process the early end of the stream."""

    def drained(self) -> None:
        """Process that all queued content was sent, after some of it had to wait."""


class QueuedEvents:
    """The receiver that turns the reports of one stream into events."""

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
