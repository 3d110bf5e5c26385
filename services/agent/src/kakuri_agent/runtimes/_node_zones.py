"""The zones that this process manages itself, by calls to a container runtime."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace

import structlog
from kakuri_cri import CallUnanswered, CriError, GrpcChannel, Runtime
from kakuri_workload import (
    ImageStatus,
    LogChunk,
    LogEvent,
    LogRequest,
    PullPolicy,
    Removal,
    ZoneEvent,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import MetricFamily
from kakuri_zones import (
    CallCounts,
    LogCursorError,
    LogError,
    Settings,
    UnknownLog,
    UnknownZone,
    WhileWaiting,
    ZoneError,
    ZoneNode,
    error_code,
    zone_node,
)

from kakuri_agent.runtimes._names import CRI
from kakuri_agent.runtimes._protocol import (
    NoLog,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent.runtimes._zone_operations import MAX_STARTS, Refused

log = structlog.get_logger()


class NodeZones:
    """The operations of a zone node in this process.

    No operation outlives the process. Calls that the runtime still carries out after its end create
    objects that the next process finds by their labels.
    """

    name = CRI
    endpoint = "unix"
    logs_outages = True
    fault = None

    def __init__(self, node: ZoneNode, handlers: Mapping[str, str]) -> None:
        self._node = node
        self.handlers = handlers
        self._slots = asyncio.Semaphore(MAX_STARTS)

    def __repr__(self) -> str:
        return f"<NodeZones {self._node!r}>"

    async def start(self, spec: ZoneSpec, on_begin: Callable[[], None]) -> ZoneStatus:
        """Start a zone, or join its start; return its status once it runs."""
        async with self._slots:
            on_begin()
            with _translated():
                status, _ = await self._node.start(spec)
        return status

    async def stop(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> ZoneStatus | None:
        """Stop a zone and return its last status; None if there is no such zone."""
        with _translated():
            try:
                return await self._node.stop(zone_id, grace_seconds, while_waiting)
            except UnknownZone:
                return None

    async def remove(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> Removal:
        """Remove a zone, if there is one; its start is cancelled before."""
        with _translated():
            return await self._node.remove(zone_id, grace_seconds, while_waiting)

    async def zone(self, zone_id: str) -> ZoneStatus | None:
        """Return the status of a zone with its spec; None if there is no such zone."""
        with _translated():
            try:
                return await self._node.zone(zone_id)
            except UnknownZone:
                return None

    async def events(self) -> AsyncGenerator[ZoneEvent]:
        """Yield the events of all zones."""
        async for event in self._node.events():
            yield event
        raise RuntimeUnavailable("the zones ended their stream of events")

    async def read_log(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return a part of a zone's log without waiting for one."""
        try:
            return await self._node.read_log(zone_id, replace(request, wait=0))
        except (UnknownZone, UnknownLog) as error:
            raise NoLog(str(error)) from error
        except LogCursorError as error:
            raise UnknownCursor(str(error)) from error
        except LogError as error:
            raise RuntimeFault(f"no log: {error}") from error

    async def log_events(self) -> AsyncGenerator[LogEvent]:
        """Yield which logs grow."""
        async for event in self._node.log_events():
            yield event
        raise RuntimeUnavailable("the zones ended their stream of growing logs")

    async def check_image(self, image: str, policy: PullPolicy | None) -> ImageStatus:
        """Return whether an image is on the node or a start would pull it."""
        with _translated():
            return await self._node.check_image(image, policy)

    async def metrics(self) -> list[MetricFamily]:
        """Return the metrics of the node."""
        return await self._node.metrics()

    async def close(self) -> None:
        """Do nothing: `node_zones` cancels operations in progress."""


@asynccontextmanager
async def node_zones(settings: Settings) -> AsyncIterator[NodeZones]:
    """Manage the zones of this node while the context is entered.

    Raises:
        NodeUnavailable: Another process manages them, or the directory of logs can't be used.
    """
    channel, calls = GrpcChannel(settings.cri), CallCounts()
    async with (
        Runtime(channel, timeouts=settings.timeouts, on_call=calls.count) as runtime,
        zone_node(runtime, settings, calls) as node,
    ):
        yield NodeZones(node, settings.handlers)


async def runtime_answers(settings: Settings, timeout: float) -> bool:
    """Return whether a container runtime answers at the socket within a time in seconds."""
    async with Runtime(GrpcChannel(settings.cri)) as runtime:
        try:
            await runtime.version(timeout)
        except CriError:
            return False
    return True


@contextmanager
def _translated() -> Iterator[None]:
    """Translate errors of a zone node into those of `ZoneOperations`."""
    try:
        yield
    except CallUnanswered as error:
        raise RuntimeUnavailable(str(error)) from error
    except (CriError, ZoneError) as error:
        raise Refused(str(error), error_code(error)) from error
    except Exception as error:  # as a sidecar responds, so that no workload waits forever
        log.exception("operation failed")
        raise Refused("unexpected error; see the agent's log", "internal") from error
