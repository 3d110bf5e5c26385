"""The HTTP API of metrics: `GET /metrics`, for this process, its node and all zones.

The node's metrics are requested page by page and written as they come, in a thread: a node with
5,000 zones has 50,000 series, and other requests are served meanwhile.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kakuri_http import Request, Response
from kakuri_rpc import AgentClient, AgentError, Metrics, RPCError
from kakuri_workload import CopyableError
from kakuri_workload.metrics import MetricFamily, gauge

from kakuri_control_plane._exposition import CONTENT_TYPES, Exposition, media_type_of
from kakuri_control_plane._slots import Slot, Slots
from kakuri_control_plane._users import user_of

if TYPE_CHECKING:  # imported with the first scrape, or by workers
    from concurrent.futures import ThreadPoolExecutor

    from kakuri_control_plane._worker_metrics import WorkerMetrics

SCRAPE_SECONDS = 8.0
"""Seconds for all pages of the node, below the usual limit of Prometheus, 10 s. After that the
exposition ends without the other series of the node."""

MAX_SCRAPES = 4
"""Scrapes at a time: Prometheus, a second one, and a person. Each may have a page in memory. They
are shared among users, because every user of the machine may read the metrics port."""

READING_SECONDS = 30.0
"""Seconds within which a client has to read a whole scrape. Without this limit, MAX_SCRAPES clients
that read a byte now and then would lock out all others."""

MAX_PAGES = 500
"""Pages of one scrape: ten times what the largest node has."""

AGENT_PREFIX = "kakuri_agent_"
"""Prefix of the families of this process that are about the node, and have its name, too."""

HEADERS = {"Cache-Control": "no-store"}

T = TypeVar("T")

Collector = Callable[[], Iterable[MetricFamily]]
"""Returns the current metrics of a part of the process."""


class TooManyScrapes(CopyableError):
    """Too many requests for metrics are being answered."""


class MetricsApi:
    """The handler of `GET /metrics`.

    Attributes:
        workers: The metrics of all workers, in a control plane with several.
    """

    def __init__(self, agent: AgentClient, own_collectors: Sequence[Collector]) -> None:
        """Create the handler.

        Args:
            agent: The client of the agent, which counts its requests.
            own_collectors: Return the metrics of this process.
        """
        self._agent = agent
        self._own_collectors = (*own_collectors, agent.metrics.families)
        self._node_name: str | None = None
        self._slots = Slots(MAX_SCRAPES, "requests for metrics", TooManyScrapes)
        self.workers: WorkerMetrics | None = None
        self._thread: ThreadPoolExecutor | None = None

    def get_metrics(self, request: Request) -> Response:
        """Return all metrics, in the format that the client prefers."""
        media_type = media_type_of(request)
        user = user_of(request)
        if request.method == "HEAD":
            self._slots.check(user)
            content_type = CONTENT_TYPES[media_type]
            return Response(200, iter(()), headers=HEADERS, content_type=content_type)
        slot = self._slots.take(user)
        exposition = Exposition(media_type)
        pieces = self._bounded_pieces(exposition, slot)
        return Response(200, pieces, headers=HEADERS, content_type=exposition.content_type)

    def own_families(self) -> list[MetricFamily]:
        """Return the families of this process."""
        return [family for collect in self._own_collectors for family in collect()]

    def close(self) -> None:
        """Stop the thread. May be called again."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _bounded_pieces(
        self, exposition: Exposition, slot: Slot
    ) -> AsyncGenerator[bytes, None]:
        """Yield the text; cancel the task that sends it if that takes too long or the slot is lost.

        The server then resets the connection, so that the client can't mistake a part for the
        whole.
        """
        sending = asyncio.current_task()
        assert sending is not None
        slot.end = sending.cancel
        timer = asyncio.get_running_loop().call_later(
            0 if slot.is_displaced else READING_SECONDS, sending.cancel
        )
        try:
            async with aclosing(self._pieces(exposition)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            timer.cancel()
            slot.end = None
            self._slots.free(slot)

    async def _pieces(self, exposition: Exposition) -> AsyncGenerator[bytes, None]:
        """Yield the text: the node's pages, then the families that only this process has.

        If the agent does not answer in time, `kakuri_agent_up` is 0.
        """
        own = {family.name: family for family in await self._process_families()}
        deadline = asyncio.get_running_loop().time() + SCRAPE_SECONDS
        is_up = False
        after: str | None = None
        try:
            node = await self._ask(self._agent.describe_node(), deadline)
            self._node_name = node.name or self._node_name
            for _ in range(MAX_PAGES):
                page = await self._ask(self._agent.read_metrics(after), deadline)
                yield await self._in_thread(
                    partial(exposition.write, self._page_families(page, own))
                )
                after = page.next
                if after is None:
                    is_up = True
                    break
        except AgentError:  # it is of an earlier version, or has dropped the pages
            is_up = True
        except (RPCError, TimeoutError):  # `Presence` has logged that the agent does not answer
            pass
        help_ = "Whether the agent answered during this scrape: 1 or 0."
        own["kakuri_agent_up"] = gauge("kakuri_agent_up", help_, float(is_up))
        remaining = [
            self._with_node(family) if family.name.startswith(AGENT_PREFIX) else family
            for family in own.values()
        ]
        yield await self._in_thread(partial(exposition.write, remaining)) + exposition.end()

    async def _process_families(self) -> list[MetricFamily]:
        """Return the families of this process, or of all workers."""
        if self.workers is not None:
            return await self.workers.families()
        return self.own_families()

    async def _ask(self, request: Awaitable[T], deadline: float) -> T:
        async with asyncio.timeout_at(deadline):
            return await request

    def _page_families(self, page: Metrics, own: dict[str, MetricFamily]) -> list[MetricFamily]:
        """Return the families of a page, each after the one of this process with its name."""
        families: list[MetricFamily] = []
        for family in page.families:
            if (ours := own.pop(family.name, None)) is not None:
                families.append(ours)
            families.append(self._with_node(family))
        return families

    def _with_node(self, family: MetricFamily) -> MetricFamily:
        """Return a family with the node's name, once it is known."""
        return family.with_labels({"node": self._node_name}) if self._node_name else family

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._thread = ThreadPoolExecutor(1, "metrics")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
