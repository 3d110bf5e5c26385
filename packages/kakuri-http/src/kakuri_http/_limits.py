"""How much a peer may send, and how long it may take.

Each limit has a name, a default and a reason. Sizes are in bytes, times in seconds; a timeout of
None means no limit. `checked` and the other checks report an argument of the wrong type where it is
passed.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from kakuri_tcp import ServerLimits

KIB = 1024
MIB = 1024 * KIB

_MAX_UID = 2**32 - 2
"""Maximum id of a user: -1 means no user (chown(2))."""

T = TypeVar("T")


def checked(value: Any, expected: type[T], name: str) -> T:
    """Return a value of the expected type.

    Raises:
        TypeError: It has another type; the message names the argument and both types.
    """
    if not isinstance(value, expected):
        shown = "a string" if expected is str else expected.__name__
        raise TypeError(f"expected {shown} as {name}, got {type(value).__name__}")
    return value


def checked_or_default(value: Any, expected: type[T], name: str) -> T:
    """Return a value of the expected type; for None, return a new default instance."""
    return expected() if value is None else checked(value, expected, name)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def checked_uids(uids: Any) -> frozenset[int] | None:
    """Return the `trusted_uids` of a client as a set, or None.

    Raises:
        TypeError: They are not a collection of integers.
        ValueError: One is out of range.
    """
    if uids is None:
        return None
    is_text = isinstance(uids, (str, bytes))
    if is_text or not isinstance(uids, Collection) or not all(map(_is_integer, uids)):
        raise TypeError(f"expected user ids as trusted_uids, got {uids!r:.80}")
    for uid in uids:
        if not 0 <= uid <= _MAX_UID:
            raise ValueError(
                f"expected user ids from 0 to {_MAX_UID} as trusted_uids, got {uid!r:.80}"
            )
    return frozenset(uids)


def check_seconds(value: Any, name: str, *, may_be_none: bool = False) -> None:
    """Raise TypeError unless a value is a number of seconds, ValueError for one out of range."""
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = "seconds or None" if may_be_none else "seconds"
        raise TypeError(f"expected {shown} as {name}, got {type(value).__name__}")
    try:
        float(value)
    except OverflowError:
        message = f"expected seconds as {name}, got an integer too large for a float"
        raise ValueError(message) from None
    if not value >= 0:
        raise ValueError(f"expected at least 0 seconds as {name}, got {value!r}")


def check_count(value: Any, name: str, *, minimum: int = 0) -> None:
    """Raise TypeError unless a value is an integer, ValueError if it is less than `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
    if value < minimum:
        raise ValueError(f"expected at least {minimum} as {name}, got {value!r:.80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(ServerLimits):
    """Limits of a server and its connections, each with the status of the response.

    The limits on connections, idling, writing and lingering come from kakuri_tcp's ServerLimits.
    The limits on messages apply to both roles: where a server responds with the status, a client
    raises LimitExceeded.
    """

    request_line: int = 8 * KIB
    """The request line; RFC 9112 3 asks for at least 8000. 414, or 501 if the method alone is
    longer."""
    field_line: int = 8 * KIB
    """One name with its value; large cookies and tokens fit. 431."""
    fields: int = 100
    """Field lines in one head; browsers send about 20. 431."""
    head: int = 32 * KIB
    """Request line and all field lines together, which a connection holds before the route is
    known. 431."""
    body: int = 1 * MIB
    """Content of a message, unless the route has its own limit. 413. A response that a client
    streams is unlimited unless `stream(body_limit=)` is set."""
    chunk_line: int = 1 * KIB
    """The line with a chunk's size and its extensions, which are hardly ever used. 400."""
    chunk_extensions: int = 16 * KIB
    """Chunk extensions of a message beyond the size of its content; otherwise, each byte of content
    could cost a kilobyte. 400."""
    trailers: int = 32
    """Trailer fields of a message; their total size is bounded by `head`. 431."""
    empty_lines: int = 8
    """Empty lines before a request line; RFC 9112 2.2 asks to accept at least one. 400."""
    interim_responses: int = 16
    """1xx responses before the final one; for clients."""
    pipeline: int = 64 * KIB
    """Bytes received after the request that is being handled; beyond that, reading pauses."""
    stream_buffer: int = 256 * KIB
    """Content that a streaming handler has not read; beyond that, reading pauses."""
    discarded_body: int = 256 * KIB
    """Content read after an early response to keep the connection; beyond that, it is closed."""

    idle_timeout: float = 75.0
    """Between two requests; as long as browsers and proxies keep connections. Closed silently."""
    head_timeout: float = 10.0
    """From the first byte of a head to its last, even if bytes keep arriving. 408."""
    body_timeout: float = 20.0
    """For the whole content, in addition to the time that `body_rate` allows. 408."""
    body_rate: int = 1 * KIB
    """Bytes per second at which content has to arrive once `body_timeout` has passed. 408."""
    half_closed_timeout: float = 3.0
    """How long a handler may run after the client has closed its sending side: it may have
    disconnected."""

    @property
    def sweep_interval(self) -> float:
        """Seconds between two checks of the timeouts: an eighth of the shortest, at most 1 s."""
        shortest = min(
            self.idle_timeout, self.write_timeout, self.linger_timeout, self.head_timeout,
            self.body_timeout, self.half_closed_timeout,
        )  # fmt: skip
        return min(1.0, max(0.01, shortest / 8))


DEFAULT_LIMITS = Limits()

IDLE_SECONDS = 4.0
"""How long a client keeps an unused connection: less than the 5 s of uvicorn, node and Apache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a client waits in each phase, and in `total`, including redirects."""

    pool: float | None = 5.0
    """For a connection from the pool, while all are in use."""
    connect: float = 5.0
    """For resolving the name, TCP and TLS together."""
    write: float | None = 30.0
    """While the server reads nothing of the request."""
    read: float | None = 30.0
    """For the head of the response, including interim responses, and for each piece of content."""
    total: float | None = 60.0
    """From the request to the end of the response, including time spent reading a streamed one."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_seconds(
                getattr(self, field.name),
                f"Timeouts.{field.name}",
                may_be_none=field.name != "connect",
            )


DEFAULT_TIMEOUTS = Timeouts()
