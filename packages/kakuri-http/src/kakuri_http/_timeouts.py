"""How long a client waits, in seconds; None waits for ever."""

from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many connections a client keeps."""

    connections: int = 100
    """In all, used and idle."""
    per_host: int = 10
    """To one endpoint; requests beyond wait for `Timeouts.pool`."""
    idle: float = 30.0
    """Seconds that an unused connection is kept: less than servers keep theirs."""


DEFAULT_TIMEOUTS = Timeouts()
DEFAULT_POOL_LIMITS = PoolLimits()
