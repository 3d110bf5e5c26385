"""The limits of line servers and line clients.

They have a module of their own because a blocking client needs neither.
"""

from dataclasses import dataclass

from kakuri_tcp._limits import ServerLimits, check_limits, interval_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LineServerLimits(ServerLimits):
    """Limits of a line server.

    Attributes:
        line: Bytes of a line, without its end.
        line_timeout: Seconds from the first byte of a line to its end; bounds how long a peer that
            trickles bytes can hold a buffer.
        requests_in_flight: Requests of one connection without a reply; at the limit, reading
            pauses.
        requests_in_flight_of_all: The same for all connections together, because each request is a
            task of several kilobytes. At this limit, each connection may still have four.
    """

    line: int = 1_048_576
    line_timeout: float = 30.0
    requests_in_flight: int = 1_024
    requests_in_flight_of_all: int = 16_384

    @property
    def sweep_interval(self) -> float:
        """As for `ServerLimits`, with `line_timeout` as a third timeout."""
        return interval_of(self.idle_timeout, self.write_timeout, self.line_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineClientLimits:
    """Limits of a line client; times in seconds, sizes in bytes.

    Attributes:
        line: Bytes of a request or a reply, without its end.
        requests_in_flight: Requests without a reply, including those not sent yet.
        unsent: Bytes written in one turn of the event loop before further requests wait.
        connect_timeout: Seconds for connecting, including the wait between attempts. While the peer
            is down, requests fail within this time.
        first_backoff: Seconds to wait after the first failure; doubled after each further one.
        backoff: The longest wait between two attempts to connect.
        idle_timeout: Seconds without requests after which the connection is closed; shorter than a
            server's idle timeout, so that no request is sent just as the server closes the
            connection.
        stall_timeout: Seconds without any reply, after the oldest request has timed out, until the
            connection is closed.
    """

    line: int = 1_048_576
    requests_in_flight: int = 10_000
    unsent: int = 1_048_576
    connect_timeout: float = 0.75
    first_backoff: float = 0.02
    backoff: float = 0.25
    idle_timeout: float = 120.0
    stall_timeout: float = 5.0

    def __post_init__(self) -> None:
        check_limits(self)


DEFAULT_LINE_SERVER_LIMITS = LineServerLimits()
DEFAULT_LINE_CLIENT_LIMITS = LineClientLimits()
