"""The resource usage of running zones, read from the runtime when it is asked for.

Each entry of the runtime's lists carries the annotations of a container, and so the specification
that it was created from: a hundred large ones exceed the 16 MiB of a gRPC message. Where the
runtime refuses to send a whole list, the usage is read zone by zone. containerd also refuses a list
if one of its sandboxes ends in the meantime.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from kakuri_cri import CallRefused, CallTimeout, CriError, Runtime, Unimplemented, api
from kakuri_daemon import cancel_all, create_deferred_task

from kakuri_zones import _labels as labels
from kakuri_zones._container_list import TOO_LARGE
from kakuri_zones._observed import NANOSECONDS
from kakuri_zones._table import ZoneTable

log = structlog.get_logger()

FRESH_SECONDS = 10.0
"""Seconds from the beginning of one reading to that of the next, however often callers ask."""

STALE_SECONDS = 60.0
"""Seconds after which usage is no longer reported, because the readings since then have failed."""

WAIT_SECONDS = 1.0
"""Seconds to wait for a reading in progress before returning the previous one."""

READING_SECONDS = 30.0
"""Seconds for one reading; what was read until then is reported."""

ONE_ZONE_SECONDS = 2.0
"""Seconds for the usage of one zone: one that is stuck must not delay the others."""

WHOLE_LIST_SECONDS = 300.0
"""Seconds for which whole lists are not requested after one was too large: the runtime builds such
a list before it refuses to send it."""

MAX_CONCURRENT_CALLS = 16
"""Calls for single zones at the same time."""

T = TypeVar("T")


@dataclass(slots=True)
class ZoneUsage:
    """The usage of one zone; a value that the runtime does not report is None.

    Attributes:
        cpu_seconds: CPU time of its container, since it was started.
        memory_bytes: Memory of its container that can't be reclaimed.
        writable_bytes: Size of the container's writable layer.
        processes: Processes, as the runtime counts them.
        received_bytes: Bytes that its network interfaces received.
        sent_bytes: Bytes that they sent.
        pressure: Seconds for which tasks waited, by resource and by `some` or `full` (PSI).
    """

    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    writable_bytes: int | None = None
    processes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    pressure: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the runtime reported nothing."""
        return self == ZoneUsage()

    @property
    def needs_container_stats(self) -> bool:
        """Whether statistics of the container are still missing."""
        return None in (self.cpu_seconds, self.memory_bytes, self.writable_bytes)

    def add_sandbox(self, linux: api.LinuxPodSandboxStats) -> None:
        """Add what is known of a sandbox as a whole.

        Its CPU time and memory are left out: they include the set-up, and some runtimes report
        those of containers alone, so a series would jump from one meaning to the other.
        """
        if linux.process is not None:
            self.processes = _value(linux.process.process_count)
        if linux.network is not None:
            interfaces = [*linux.network.interfaces]
            if linux.network.default_interface is not None:
                interfaces.append(linux.network.default_interface)
            self.received_bytes = _sum(each.rx_bytes for each in interfaces)
            self.sent_bytes = _sum(each.tx_bytes for each in interfaces)

    def add_container(self, stats: api.ContainerStats) -> None:
        """Add what is known of the container."""
        if stats.cpu is not None and stats.cpu.usage_core_nano_seconds is not None:
            self.cpu_seconds = stats.cpu.usage_core_nano_seconds.value / NANOSECONDS
        if stats.memory is not None and stats.memory.working_set_bytes is not None:
            self.memory_bytes = stats.memory.working_set_bytes.value
        if stats.writable_layer is not None and stats.writable_layer.used_bytes is not None:
            self.writable_bytes = stats.writable_layer.used_bytes.value
        for resource, usage in (("cpu", stats.cpu), ("memory", stats.memory), ("io", stats.io)):
            if usage is None or usage.psi is None:
                continue
            for kind, data in (("some", usage.psi.Some), ("full", usage.psi.Full)):
                if data is not None:
                    self.pressure[resource, kind] = data.Total / NANOSECONDS


class ZoneStats:
    """Reads the usage of running zones, at most once in ten seconds and only when asked.

    Attributes:
        is_available: Whether the runtime reported the usage of any zone in the last reading, or
            had none to report; None before the first.
        cpu_seconds: CPU time that all zones have used since the first reading.
    """

    def __init__(
        self,
        cri: Runtime,
        table: ZoneTable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cri = cri
        self._table = table
        self._clock = clock
        self._begun: float | None = None
        self._read_at = 0.0
        self._whole_lists_from = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._usage: dict[str, ZoneUsage] = {}  # by the container's id
        self._has_warned = False
        self.is_available: bool | None = None
        self.cpu_seconds = 0.0

    async def read(self) -> Mapping[str, ZoneUsage]:
        """Return the usage of the zones that run now, by their ids, sorted.

        Zones without reported usage are omitted.
        """
        now = self._clock()
        if self._reading is None and (self._begun is None or now - self._begun >= FRESH_SECONDS):
            self._begun = now
            self._reading = create_deferred_task(self._read())
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=WAIT_SECONDS)
        if self._clock() - self._read_at > STALE_SECONDS:
            return {}
        usage = self._usage
        return {
            zone_id: usage[container_id]
            for container_id, (zone_id, _) in self._running().items()
            if container_id in usage
        }

    async def close(self) -> None:
        """Cancel a reading in progress."""
        await cancel_all([] if self._reading is None else [self._reading])

    def _running(self) -> dict[str, tuple[str, str]]:
        """Return the ids of each running zone and its sandbox, by the id of its container."""
        return {
            each.container_id: (each.id, each.pod_sandbox_id or "")
            for each in self._table.running()
            if each.container_id is not None
        }

    async def _read(self) -> None:
        running = self._running()
        found: dict[str, ZoneUsage] = {container_id: ZoneUsage() for container_id in running}
        problem: str | None = None
        try:
            async with asyncio.timeout(READING_SECONDS):
                await self._read_sandboxes(running, found)
                lacking = [key for key, usage in found.items() if usage.needs_container_stats]
                if lacking:
                    await self._read_containers(lacking, found)
        except TimeoutError:
            problem = f"not complete within {READING_SECONDS:g} s"
        except CriError as error:
            problem = str(error)
        finally:
            self._reading = None
        if problem is not None and not self._has_warned:
            log.warning("the usage of zones can't be read", error=problem)
        self._has_warned = problem is not None
        found = {key: usage for key, usage in found.items() if not usage.is_empty}
        if self.is_available is not None:  # the first reading is the baseline
            self._add_cpu(found)
        self._usage, self._read_at = found, self._clock()
        self.is_available = bool(found) or (not running and problem is None)

    def _add_cpu(self, found: Mapping[str, ZoneUsage]) -> None:
        """Add the CPU time since the last reading, in which new containers used nothing."""
        for key, usage in found.items():
            if usage.cpu_seconds is None:
                continue
            before = self._usage.get(key)
            known = 0.0 if before is None or before.cpu_seconds is None else before.cpu_seconds
            self.cpu_seconds += max(0.0, usage.cpu_seconds - known)

    async def _read_sandboxes(
        self, running: Mapping[str, tuple[str, str]], found: Mapping[str, ZoneUsage]
    ) -> None:
        containers = {sandbox_id: key for key, (_, sandbox_id) in running.items()}

        def add(stats: api.PodSandboxStats) -> None:
            key = containers.get("" if stats.attributes is None else stats.attributes.id)
            if key is None or stats.linux is None:
                return
            found[key].add_sandbox(stats.linux)
            for each in stats.linux.containers:
                if each.attributes is not None and each.attributes.id == key:
                    found[key].add_container(each)

        cri = self._cri
        await self._read_all(cri.visit_pod_sandbox_stats, cri.pod_sandbox_stats, containers, add)

    async def _read_containers(
        self, lacking: Iterable[str], found: Mapping[str, ZoneUsage]
    ) -> None:
        def add(stats: api.ContainerStats) -> None:
            usage = found.get("" if stats.attributes is None else stats.attributes.id)
            if usage is not None:
                usage.add_container(stats)

        cri = self._cri
        await self._read_all(cri.visit_container_stats, cri.container_stats, lacking, add)

    async def _read_all(
        self,
        visit: Callable[[Mapping[str, str], Callable[[T], None], float], Awaitable[None]],
        one: Callable[[str, float], Awaitable[T]],
        ids: Iterable[str],
        add: Callable[[T], None],
    ) -> None:
        """Add every item of a list; if it is refused, request those with these ids one by one."""
        if self._clock() >= self._whole_lists_from:
            try:
                await visit(labels.OURS, add, READING_SECONDS)
            except Unimplemented:
                return
            except CallRefused as error:
                if error.code == TOO_LARGE:
                    self._whole_lists_from = self._clock() + WHOLE_LIST_SECONDS
            else:
                return
        remaining = iter(ids)

        async def read_some() -> None:
            for each in remaining:
                try:
                    add(await one(each, ONE_ZONE_SECONDS))
                except Unimplemented:
                    return
                except (CallRefused, CallTimeout):
                    continue  # it has ended meanwhile, or is stuck

        await asyncio.gather(*(read_some() for _ in range(MAX_CONCURRENT_CALLS)))


def _value(value: api.UInt64Value | None) -> int | None:
    return None if value is None else value.value


def _sum(values: Iterable[api.UInt64Value | None]) -> int | None:
    """Return the sum of the values that are known; None if none is."""
    known = [each.value for each in values if each is not None]
    return sum(known) if known else None
