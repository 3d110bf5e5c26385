"""What a server allows its peers; every limit has a name, a unit and a reason."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of any server; times in seconds, sizes in bytes.

    Attributes:
        connections: open at a time. For one more, the connection that has been idle longest is
            closed, or the new one if all are busy. Below the usual limit of descriptors of a
            service, so that the service reaches its own limit first.
        connections_per_peer: of them from one IPv4 address, one IPv6 /64 or one local user; half
            of all, so that no single peer can take every place. All loopback addresses count
            as one peer.
        reserved_connections: of them for peers that have no connection yet, so that peers with
            many connections can't keep a new peer out; at most an eighth of `connections`.
        idle_timeout: without progress by the peer; frees what forgotten connections hold.
        write_timeout: without the peer taking a byte of what made writing pause, or of what is to
            be sent before a close. A peer that reads slowly and steadily gets all of it.
        linger_timeout: to wait, after the last reply, for a peer to stop sending. Closing earlier
            would make the system send a reset, which destroys the reply.
        linger_bytes: that are dropped meanwhile; a peer that pours on is cut off. Far more than an
            honest peer has under way when the last reply reaches it.
        handshake_timeout: for a TLS handshake.
        write_buffer: waiting to be sent before the connection is told to pause writing; it may
            go on at a quarter of it.
        unfinished_input: bytes received of requests that are not complete, or wait for their turn,
            of all connections together: a few hundred of the largest requests. Above it,
            connections that hold more than 16 KiB are not read; if that doesn't help within a
            second, or above 125 % of it, those that hold the most for the longest are closed.
        unsent_output: bytes written to peers that read too slowly, of all connections together;
            above it, those that hold the most for the longest are aborted. Larger than
            `unfinished_input` because replies are larger than requests.
        turn_time: seconds that all connections together may work in one turn of the event loop,
            so that timers and new connections are late by no more than that.
        slice_time: seconds that one connection may work while others wait for their turn.
        backlog: connections that the kernel holds until they are accepted.

    """

    connections: int = 16_384
    connections_per_peer: int = 8_192
    idle_timeout: float = 300.0
    write_timeout: float = 30.0
    linger_timeout: float = 2.0
    linger_bytes: int = 67_108_864
    handshake_timeout: float = 10.0
    write_buffer: int = 65_536
    reserved_connections: int = 64
    unfinished_input: int = 67_108_864
    unsent_output: int = 268_435_456
    turn_time: float = 0.02
    slice_time: float = 0.005
    backlog: int = 1_024

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name), whole=field.type in {"int", int})

    @property
    def sweep_interval(self) -> float:
        """Seconds between two looks at all connections: an eighth of the shortest timeout.

        At most 1 s and at least 10 ms. A timeout ends a connection that much late at most.
        """
        return _interval(self.idle_timeout, self.write_timeout)


def check_type(name: str, value: object, expected: type) -> None:
    """Raise TypeError unless an argument is of the type that it has to be."""
    if not isinstance(value, expected):
        raise TypeError(f"expected {name} of type {expected.__name__}, got {value!r:.80}")


def _check(name: str, value: object, *, whole: bool) -> None:
    numbers = int if whole else (int, float)
    if not isinstance(value, numbers) or isinstance(value, bool):
        kind = "a whole number" if whole else "a number"
        raise TypeError(f"expected {kind} as limit {name}, got {value!r:.80}")
    if not value > 0 and name != "reserved_connections":
        raise ValueError(f"expected a limit {name} above 0, got {value!r}")


def _interval(*timeouts: float) -> float:
    return min(1.0, max(0.01, min(timeouts) / 8))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineServerLimits(ServerLimits):
    """Limits of a line server.

    Attributes:
        line: bytes of a line, its end not counted.
        line_timeout: seconds from the first byte of a line to its end; a peer that drips bytes
            holds a buffer no longer than that.
        requests_in_flight: on one connection, received and not yet answered; reading pauses.
        requests_in_flight_of_all: on all connections together, as each one is a task of some
            kilobytes; above it, a connection has four at a time.

    """

    line: int = 1_048_576
    line_timeout: float = 30.0
    requests_in_flight: int = 1_024
    requests_in_flight_of_all: int = 16_384

    @property
    def sweep_interval(self) -> float:
        """As for any server, with the time for a line."""
        return _interval(self.idle_timeout, self.write_timeout, self.line_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineClientLimits:
    """Limits of a line client; times in seconds, sizes in bytes.

    Attributes:
        line: of a request or a reply, its end not counted.
        requests_in_flight: waiting for a reply or for their turn to be sent.
        unsent: written in one turn of the event loop before further requests wait.
        connect_timeout: for a connection to stand, the wait between attempts included; a request
            while the peer is down fails after no more than this.
        first_backoff: the wait after the first failure; it doubles with every further one.
        backoff: the longest wait between two attempts to connect.
        idle_timeout: after which a connection without requests is closed; shorter than a server's,
            so that no request meets a connection that the server is just closing.
        stall_timeout: without any reply, while the oldest request has been given up, after which
            the connection is given up as well.

    """

    line: int = 1_048_576
    requests_in_flight: int = 10_000
    unsent: int = 1_048_576
    connect_timeout: float = 0.75
    first_backoff: float = 0.02
    backoff: float = 0.25
    idle_timeout: float = 120.0
    stall_timeout: float = 5.0


DEFAULT_SERVER_LIMITS = ServerLimits()
DEFAULT_LINE_SERVER_LIMITS = LineServerLimits()
DEFAULT_LINE_CLIENT_LIMITS = LineClientLimits()
