"""The limits of servers, and checks of arguments."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MAX_UID = 2**32 - 2  # the next number stands for no user (chown(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of any server; times in seconds, sizes in bytes.

    Attributes:
        connections: Open connections. When the limit is reached, a new connection replaces the one
            that has been idle for the longest time, or is closed itself if all others are busy. The
            default is below the usual descriptor limit of a service, so that this limit applies
            first.
        connections_per_peer: Open connections of one IPv4 address, one IPv6 /64 or one local user.
            By default half of `connections`, so that no peer can take all of them. All loopback
            addresses count as one peer, unless the server identifies users (`LocalAccess`).
        reserved_connections: Connections that only peers without any other connection can use, so
            that busy peers can't lock out a new one; at most an eighth of `connections`.
        idle_timeout: Seconds without progress by the peer before its connection is closed; frees
            the memory of abandoned connections.
        write_timeout: Seconds in which the peer reads nothing while writing is paused or the
            connection is closing. A peer that reads slowly but steadily gets everything.
        linger_timeout: Seconds to wait, after the last reply, for the peer to stop sending. Closing
            earlier makes the kernel send a reset, which destroys a reply that the peer has not
            read.
        linger_bytes: Bytes of input that are dropped during that time before the connection is
            aborted; far more than an honest peer has in flight when the last reply reaches it.
        handshake_timeout: Seconds for a TLS handshake.
        write_buffer: Unsent bytes above which writing is paused; it resumes at a quarter of them.
        unfinished_input: Bytes that all connections together have received but not processed: a few
            hundred of the largest requests. Above the limit, connections that hold more than 16 KiB
            are not read. If the total stays above it for a second, or exceeds it by 25 %, the
            connections that hold the most for the longest time are closed.
        unsent_output: Bytes that all connections together hold for peers that read too slowly, and
            in replies of line servers that wait for an earlier one of the connection. Above the
            limit, the connections that hold the most for the longest time are aborted. Larger than
            `unfinished_input` because replies are larger than requests.
        turn_time: Seconds that all connections together may work in one turn of the event loop, and
            so the longest delay of timers and new connections.
        slice_time: Seconds that one connection may work while others wait for their turn.
        backlog: Connections that the kernel queues until they are accepted.
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
        check_limits(self)

    @property
    def sweep_interval(self) -> float:
        """Seconds between two checks of all connections: an eighth of the shortest timeout.

        The interval is between 10 ms and 1 s. Timeouts fire late by at most that.
        """
        return interval_of(self.idle_timeout, self.write_timeout)


def check_type(name: str, value: object, expected: type) -> None:
    """Raise TypeError if an argument has the wrong type."""
    if not isinstance(value, expected):
        raise TypeError(f"expected {expected.__name__} as {name}, got {value!r:.80}")


def check_limits(limits: "DataclassInstance") -> None:
    """Raise TypeError for a limit that is not a number, and ValueError for one out of range."""
    for field in fields(limits):
        name, value = field.name, getattr(limits, field.name)
        is_whole = field.type in {"int", int}
        if value.__class__ is (int if is_whole else float) and value > 0:
            continue  # without a call: each start of the command checks dozens of limits
        check_limit(name, value, is_whole=is_whole, may_be_zero=name == "reserved_connections")


def check_limit(
    name: str, value: object, *, is_whole: bool = True, may_be_zero: bool = False
) -> None:
    """Raise TypeError unless a limit is a number, and ValueError unless it is above 0."""
    numbers = int if is_whole else (int, float)
    kind = "an integer" if is_whole else "a number"
    least = "of at least 0" if may_be_zero else "above 0"
    expected = f"expected {kind} {least} as {name}, got"
    if not isinstance(value, numbers) or isinstance(value, bool):
        raise TypeError(f"{expected} {value!r:.80}")
    if not is_whole:
        _check_float(value, expected)
    if not (value >= 0 if may_be_zero else value > 0):
        raise ValueError(f"{expected} {value!r:.80}")


def check_timeout(value: object, name: str = "timeout", *, may_be_none: bool = True) -> None:
    """Raise TypeError unless a timeout is a number, ValueError if it is NaN or too large.

    A negative timeout is allowed and has expired: callers pass the time left until a deadline.
    """
    if value is None and may_be_none:
        return
    expected = f"expected seconds {'or None ' if may_be_none else ''}as {name}, got"
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{expected} {value!r:.80}")
    _check_float(value, expected)
    if value != value:  # only NaN differs from itself
        raise ValueError(f"{expected} NaN")


def _check_float(number: float, expected: str) -> None:
    """Raise ValueError for an integer that is too large for a float, such as 10**400."""
    try:
        float(number)
    except OverflowError:
        raise ValueError(f"{expected} an integer too large for a float") from None


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def checked_uids(uids: object, name: str = "trusted_uids") -> frozenset[int] | None:
    """Return user ids as a set, or None.

    Raises:
        TypeError: They are not a collection of integers.
        ValueError: One is out of range.
    """
    if uids is None:
        return None
    is_text = isinstance(uids, (str, bytes))
    if is_text or not isinstance(uids, Collection) or not all(map(_is_integer, uids)):
        raise TypeError(f"expected user ids as {name}, got {uids!r:.80}")
    for uid in uids:
        if not 0 <= uid <= _MAX_UID:
            raise ValueError(f"expected user ids from 0 to {_MAX_UID} as {name}, got {uid!r:.80}")
    return frozenset(uids)


def interval_of(*timeouts: float) -> float:
    """Return the seconds between two checks of these timeouts."""
    return min(1.0, max(0.01, min(timeouts) / 8))


DEFAULT_SERVER_LIMITS = ServerLimits()
