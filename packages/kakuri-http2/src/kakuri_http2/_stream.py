"""A connection's record of one stream."""

from collections import deque

from kakuri_http2._events import Fields
from kakuri_http2._receiver import DROPPED, Receiver
from kakuri_http2._states import StreamState

Queued = tuple[bytes | memoryview | None, Fields, bool]
"""Content, or None and trailers; and whether the stream ends."""


class Stream:
    """One exchange.

    Attributes:
        number: The stream identifier.
        state: See `_states`.
        send_window: Bytes of content that we may send; can be negative after the peer has lowered
            its initial window.
        receive_window: Bytes of content that the peer may still send.
        unread: Received bytes whose credit has not been returned.
        credit: Consumed bytes that have not been returned to the peer as credit yet.
        queue: Messages to send when the windows allow it; None or empty if there are none.
        queued: Bytes of content in the queue.
        is_ending: Whether the queue holds the end of the stream.
        is_scheduled: Whether the stream is in one of the connection's queues of streams to write.
        has_sent_head: Whether this side has sent the head of its message; in a server, the final
            one.
        reports_drained: Whether Drained is due once the queue is empty.
        has_head: Whether the head of the peer's message has arrived; in a client, the final one.
        length: The announced content-length, or None.
        received: Bytes of content received so far, without padding.
        interim: Number of 1xx responses so far.
        receiver: The receiver of the stream's frames.
        is_bodiless: Whether no content follows despite content-length: for HEAD and 304.
    """

    __slots__ = (
        "credit",
        "has_head",
        "has_sent_head",
        "interim",
        "is_bodiless",
        "is_ending",
        "is_scheduled",
        "length",
        "number",
        "queue",
        "queued",
        "receive_window",
        "received",
        "receiver",
        "reports_drained",
        "send_window",
        "state",
        "unread",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        state: StreamState,
        send_window: int,
        receive_window: int,
        receiver: Receiver = DROPPED,
    ) -> None:
        self.number = number
        self.receiver = receiver
        self.state = state
        self.send_window = send_window
        self.receive_window = receive_window
        self.unread = 0
        self.credit = 0
        self.queue: deque[Queued] | None = None  # most streams never need one
        self.queued = 0
        self.is_ending = False
        self.is_scheduled = False
        self.has_sent_head = False
        self.reports_drained = False
        self.has_head = False
        self.length: int | None = None
        self.received = 0
        self.interim = 0
        self.is_bodiless = False

    def __repr__(self) -> str:
        waiting = f", {self.queued} bytes queued" if self.queued else ""
        return f"<Stream {self.number} {self.state.value}{waiting}>"
