"""Limits, back-off and keepalive."""

from dataclasses import dataclass

from kakuri_http2 import Limits as HTTP2Limits
from kakuri_protobuf import Limits as ProtobufLimits
from kakuri_tcp import ServerLimits

from kakuri_grpc._arguments import check_count, check_number

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on what a peer can send and on what can wait.

    Attributes:
        received: Bytes of one received message, checked before any of it is stored. Default 4 MiB,
            as in other libraries.
        sent: Bytes of one sent message. By default (None), only the receiver's limit applies.
        waiting_calls: Calls that wait for a stream or a connection; others fail immediately.
            Default 1000.
        calls: Calls on all connections of a server together, because each is a task of several
            kilobytes and can have 64 KiB of metadata. Default 10,000. Above the limit, each
            connection may have four calls, and others are refused with REFUSED_STREAM, so that
            clients can retry them.
        server: Limits of a server and of all its connections together. Default 1000 connections,
            500 of one peer, because each has about 100 KiB of buffers and tables; the other limits
            are the defaults of kakuri-tcp.
        http2: Limits of each connection. By default, its calls hold at most 16 MiB of unread data.
        protobuf: Limits of one received message. Default 200,000 `elements`, because a million
            empty messages, 2 MB encoded, take up to 250 MB once they are decoded, and hold the
            event loop for 0.2 s while Python's garbage collector visits them.
    """

    received: int = 4 * MIB
    sent: int | None = None
    waiting_calls: int = 1000
    calls: int = 10_000
    server: ServerLimits = ServerLimits(connections=1000, connections_per_peer=500)  # noqa: RUF009
    http2: HTTP2Limits = HTTP2Limits()  # noqa: RUF009 - frozen
    protobuf: ProtobufLimits = ProtobufLimits(elements=200_000)  # noqa: RUF009

    def __post_init__(self) -> None:
        check_count(self.received, "received")
        if self.sent is not None:
            check_count(self.sent, "sent")
        check_count(self.waiting_calls, "waiting_calls")
        check_count(self.calls, "calls")
        if not isinstance(self.server, ServerLimits):
            raise TypeError(f"expected kakuri_tcp.ServerLimits as server, got {self.server!r:.80}")
        if not isinstance(self.http2, HTTP2Limits):
            raise TypeError(f"expected kakuri_http2.Limits as http2, got {self.http2!r:.80}")
        if not isinstance(self.protobuf, ProtobufLimits):
            raise TypeError(
                f"expected kakuri_protobuf.Limits as protobuf, got {self.protobuf!r:.80}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a channel waits before it reconnects (gRPC document "Connection backoff").

    Attributes:
        first: Seconds to wait after the first failure.
        factor: Factor by which the wait grows after each failure.
        longest: Maximum wait in seconds.
        jitter: Fraction by which each wait varies randomly, so that clients do not reconnect all at
            once.
        connect: Timeout of one attempt in seconds.
    """

    first: float = 0.1
    factor: float = 1.6
    longest: float = 3.0
    jitter: float = 0.2
    connect: float = 20.0

    def __post_init__(self) -> None:
        check_number(self.first, "first")
        check_number(self.factor, "factor", minimum=1.0)
        check_number(self.longest, "longest")
        check_number(self.jitter, "jitter", maximum=1.0)
        check_number(self.connect, "connect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """When to ping a silent connection to check whether it still works.

    The server is also pinged if a call times out without any data from the server, even on Unix
    sockets; the next call waits for the response. A slow handler does no harm, because its server
    still responds to pings. If the server does not respond, the connection is replaced.

    Attributes:
        interval: Seconds between two pings while calls are open. None for no pings, as on Unix
            sockets, where the end of the peer is always noticed. If a server complains about
            frequent pings, the interval is doubled.
        timeout: Seconds to wait for the response to any ping.
    """

    interval: float | None = 30.0
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.interval is not None:
            check_number(self.interval, "interval", minimum=0.001)
        check_number(self.timeout, "timeout")
