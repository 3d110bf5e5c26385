"""What a connection knows of one stream."""

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
        send_window: Bytes of content that the peer lets us send; negative after it lowered its
            initial window.
        receive_window: Bytes of content that the peer may still send.
        unread: Received bytes whose credit was not returned.
        credit: Bytes that were consumed and not yet returned to the peer as credit.
        queue: Messages to send once the windows allow it; None or empty if there are none.
        queued: Bytes of content in the queue.
        is_ending: Whether the queue holds the end of the stream.
        is_scheduled: Whether the stream is in one of the connection's queues of streams to write.
        has_sent_head: Whether this side has sent its message's head, on a server the final one.
        reports_drained: Whether Drained is due once the queue is empty.
        has_head: Whether the message's head came, on the client's side the final one.
        length: What content-length announces, or None.
        received: Bytes of content so far, padding left out.
        interim: 1xx responses so far.
        receiver: What the stream reports to.
        is_bodiless: Whether content-length announces nothing that follows: for HEAD and 304.
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
