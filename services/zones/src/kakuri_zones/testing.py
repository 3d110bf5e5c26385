"""Settings and waiting for tests that run zones on a fake container runtime."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

from kakuri_cri import Timeouts
from kakuri_workload import ZoneEvent, ZonesListed, ZoneStatus

from kakuri_zones._settings import MonitorTimes, PullLimits, RetryTimes, Settings


def quick_settings(**fields: Any) -> Settings:
    """Return settings whose pauses and intervals are milliseconds, so that tests do not wait.

    Args:
        fields: Fields of `Settings`, which replace the quick ones. `cri` is required, such as
            `FakeCri.endpoint` of `kakuri_cri.testing`.
    """
    quick: dict[str, Any] = {
        "pulls": PullLimits(
            timeout=20, first_retry=0.01, retry_window=0.05, progress_interval=0.01
        ),
        "timeouts": Timeouts(usual=10, run_pod_sandbox=10),
        "monitor": MonitorTimes(
            interval=0.05, without_events=0.02, gap=0.002, provisional=0.01, resubscribe=0.01,
            retry_events=0.1,
        ),
        "retries": RetryTimes(first=0.02, longest=0.05),
        "orphan_grace": 0.15,
        "end_delay": 0.05,
        "cancel_timeout": 5.0,
        "heartbeat": 0.1,
        "rotate_interval": 0.02,
        "isolation_interval": 3600.0,  # so that tests count only their own calls
        "health_interval": None,
    }  # fmt: skip
    return Settings(**{**quick, **fields})


class ZoneWaiter(ABC):
    """Waits until a zone meets a condition, which is checked after each event."""

    @abstractmethod
    async def zone(self, zone: str = "z") -> ZoneStatus | None:
        """Return a zone's status; None if there is no such zone."""

    @abstractmethod
    def events(self) -> AsyncIterator[ZoneEvent]:
        """Yield events, without an end."""

    async def until(
        self, condition: Callable[[ZoneStatus | None], object], zone: str = "z"
    ) -> ZoneStatus | None:
        """Wait until the status of a zone meets a condition; return that status.

        Raises:
            AssertionError: The events ended.
        """
        async for _ in self.events():
            seen = await self.zone(zone)
            if condition(seen):
                return seen
        raise AssertionError("the stream of events ended")

    async def until_state(self, state: str, zone: str = "z") -> ZoneStatus | None:
        """Wait until a zone has a state; return its status."""
        return await self.until(lambda seen: seen is not None and seen.state.value == state, zone)

    async def until_gone(self, zone: str = "z") -> None:
        """Wait until there is no such zone."""
        await self.until(lambda seen: seen is None, zone)

    async def until_listed(self) -> None:
        """Wait until the runtime answers and has been listed."""
        async for event in self.events():
            if event == ZonesListed():
                return
