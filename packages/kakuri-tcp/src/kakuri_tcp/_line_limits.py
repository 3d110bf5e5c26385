"""Limits of line servers and line clients, each with its unit and its reason.

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
            sends single bytes holds a buffer.
        requests_in_flight: Requests of one connection without a reply; above it, reading pauses.
        requests_in_flight_of_all: The same of all connections together, because each is a task of
            some kilobytes; above it, each connection may have four.
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
        requests_in_flight: Requests without a reply, those that are not sent yet included.
        unsent: Bytes written in one turn of the event loop before further requests wait.
        connect_timeout: Seconds for connecting, the wait between attempts included; while the peer
            is down, a request fails within that.
        first_backoff: Seconds to wait after the first failure; doubled after each further one.
        backoff: The longest wait between two attempts to connect.
        idle_timeout: Seconds without requests after which the connection is closed; shorter than a
            server's, so that no request meets a connection that the server is just closing.
        stall_timeout: Seconds without any reply, while the oldest request has timed out, after
            which the connection is closed.
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
