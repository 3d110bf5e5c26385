"""How much a peer may send, and how long it may take.

Each bound has a name, a default and a reason. Sizes are in bytes, times in seconds; a timeout of
None waits without end.
"""

from dataclasses import dataclass, fields

from kakuri_tcp import ServerLimits

from kakuri_http._checks import check_count, check_seconds

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(ServerLimits):
    """The bounds of a server and its connections, each with its default's reason and its status.

    Those on connections, idling, writing and lingering come from kakuri_tcp's ServerLimits. The
    core serves both roles with those on messages: where a server answers with the status, a client
    gives up the exchange with LimitExceeded.
    """

    request_line: int = 8 * KIB
    """RFC 9112 3 asks for at least 8000; 414, or 501 while no target has begun."""
    field_line: int = 8 * KIB
    """One name with its value, as large cookies and tokens are; 431."""
    fields: int = 100
    """Field lines of one head; browsers send about 20; 431."""
    head: int = 32 * KIB
    """Request line and all field lines together; what a connection can hold before a route is
    known; 431."""
    body: int = 1 * MIB
    """The content of a message, where a route sets no bound of its own; 413. What a client
    streams has no limit in total unless `stream(body_limit=)` sets one."""
    chunk_line: int = 1 * KIB
    """A chunk's size with its extensions, which nobody uses; 400."""
    chunk_extensions: int = 16 * KIB
    """Chunk extensions of a message beyond the size of its content: else each byte of content could
    cost a kilobyte; 400."""
    trailers: int = 32
    """Trailer fields of a message; 431. Their bytes together are bounded by `head`."""
    empty_lines: int = 8
    """Empty lines before a request line (RFC 9112 2.2 asks for at least one); 400."""
    interim_responses: int = 16
    """1xx responses before the final one; a client gives up."""
    pipeline: int = 64 * KIB
    """Bytes that wait behind an unfinished request; then the connection is not read, no status."""
    stream_buffer: int = 256 * KIB
    """Content that waits for a streaming handler; then the connection is not read, no status."""
    discarded_body: int = 256 * KIB
    """Content read only to keep a connection that answered early; above it, it closes."""

    idle_timeout: float = 75.0
    """Between two requests, as browsers and proxies keep connections; closed without an answer."""
    head_timeout: float = 10.0
    """From a head's first byte to its end, whatever trickles in; 408."""
    body_timeout: float = 20.0
    """A grace for the whole content, over and above what `body_rate` gives; 408."""
    body_rate: int = 1 * KIB
    """Bytes a second that content has to make beyond `body_timeout`; 408."""
    half_closed_timeout: float = 3.0
    """A handler goes on so long for a client that has shut its sending side, and may be gone."""

    @property
    def sweep_interval(self) -> float:
        """Seconds between two looks at the timeouts: an eighth of the shortest, at most 1 s."""
        shortest = min(
            self.idle_timeout, self.write_timeout, self.linger_timeout, self.head_timeout,
            self.body_timeout, self.half_closed_timeout,
        )  # fmt: skip
        return min(1.0, max(0.01, shortest / 8))


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Each phase has its own time; `total` bounds them together, redirects included."""

    pool: float | None = 5.0
    """For a place among the connections to a host."""
    connect: float = 5.0
    """For name, TCP and TLS together."""
    write: float | None = 30.0
    """While the server takes nothing of what is sent."""
    read: float | None = 30.0
    """For the head of the response, interim responses included, and for each piece of content."""
    total: float | None = 60.0
    """From the request to the end of the response; streamed content counts as well."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_seconds(
                getattr(self, field.name),
                f"Timeouts.{field.name}",
                may_be_none=field.name != "connect",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many connections a client keeps."""

    connections: int = 100
    """In all, used and idle."""
    per_host: int = 10
    """To one endpoint; requests beyond wait for `Timeouts.pool`."""
    idle: float = 4.0
    """Seconds that an unused connection is kept: less than servers keep theirs, of which uvicorn,
    node and Apache wait for 5 s."""

    def __post_init__(self) -> None:
        check_count(self.connections, "PoolLimits.connections", least=1)
        check_count(self.per_host, "PoolLimits.per_host", least=1)
        check_seconds(self.idle, "PoolLimits.idle")


DEFAULT_TIMEOUTS = Timeouts()
DEFAULT_POOL_LIMITS = PoolLimits()
