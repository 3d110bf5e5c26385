"""How long a client waits, in seconds; None waits for ever."""

from dataclasses import dataclass, fields

from kakuri_http._types import check_count, check_seconds


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
