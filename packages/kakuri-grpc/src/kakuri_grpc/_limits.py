"""Sizes of messages and times of connections."""

from dataclasses import dataclass

from kakuri_http2 import Limits as HTTP2Limits
from kakuri_tcp import ServerLimits

from kakuri_grpc._arguments import check_count, check_number

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may send, and how much may wait.

    Attributes:
        received: Bytes of one received message. 4 MiB, as in other libraries; checked before a byte
            of it is kept.
        sent: Bytes of one sent message. None: the receiver's limit decides.
        waiting_calls: Calls that wait for a stream or a connection. 1000: more are refused at once.
        calls: Calls of all connections of a server together, because each is a task of some
            kilobytes and may have 64 KiB of metadata. 10,000: above it, each connection may have
            four, and more are refused with REFUSED_STREAM, so that clients may repeat them.
        server: Limits of a server and of all its connections together. 1000 connections, 500 of
            them of one peer, because each has some 100 KiB of buffers and tables; the other limits
            are the defaults of kakuri-tcp.
        http2: Limits of each connection. By default, its calls hold at most 16 MiB of unread data.
    """

    received: int = 4 * MIB
    sent: int | None = None
    waiting_calls: int = 1000
    calls: int = 10_000
    server: ServerLimits = ServerLimits(connections=1000, connections_per_peer=500)  # noqa: RUF009
    http2: HTTP2Limits = HTTP2Limits()  # noqa: RUF009 - frozen

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a channel waits before it connects again (gRPC document "Connection backoff").

    Attributes:
        first: Seconds after the first failure.
        factor: How many times longer each wait is than the one before.
        longest: Seconds of the longest wait.
        jitter: Part of a wait by which it varies, so that clients do not come back all at once.
        connect: Seconds that one attempt may take.
    """

    first: float = 0.1
    factor: float = 1.6
    longest: float = 3.0
    jitter: float = 0.2
    connect: float = 20.0

    def __post_init__(self) -> None:
        check_number(self.first, "first")
        check_number(self.factor, "factor", least=1.0)
        check_number(self.longest, "longest")
        check_number(self.jitter, "jitter", most=1.0)
        check_number(self.connect, "connect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """When a silent connection is asked whether it still works.

    A call that runs out of time while nothing comes from the server is a reason to ask, too, on
    Unix sockets as well: the next call waits for the answer. A slow handler does not matter, as the
    server answers pings meanwhile. A server that does not answer gets another connection.

    Attributes:
        interval: Seconds between two pings while calls are open. None: never, as on Unix sockets,
            where the end of the peer is always noticed. Servers may refuse frequent pings: the
            interval is doubled when one says so.
        timeout: Seconds within which the answer to any ping has to come.
    """

    interval: float | None = 30.0
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.interval is not None:
            check_number(self.interval, "interval", least=0.001)
        check_number(self.timeout, "timeout")
