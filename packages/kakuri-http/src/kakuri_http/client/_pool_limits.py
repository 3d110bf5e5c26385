"""Limits of the asyncio client's pool of connections; the blocking client has no pool."""

from dataclasses import dataclass

from kakuri_http._limits import IDLE_SECONDS, check_count, check_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many connections a client keeps."""

    connections: int = 100
    """In total, in use or idle."""
    per_host: int = 10
    """To one endpoint; further requests wait for `Timeouts.pool`."""
    idle: float = IDLE_SECONDS
    """Seconds that an unused connection is kept."""

    def __post_init__(self) -> None:
        check_count(self.connections, "PoolLimits.connections", minimum=1)
        check_count(self.per_host, "PoolLimits.per_host", minimum=1)
        check_seconds(self.idle, "PoolLimits.idle")
