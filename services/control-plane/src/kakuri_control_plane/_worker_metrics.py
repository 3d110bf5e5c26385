"""The metrics of all workers, although a scrape reaches only one of them.

Each worker serves its own families to the others, over a Unix socket that only they inherit.
The one that is scraped asks them, and each series gets the label `worker`: a sum over it is the
whole control plane, and a worker that was replaced begins at 0, as any process does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog
from kakuri_daemon import WorkerPeers
from kakuri_daemon.api import json_response
from kakuri_http import HTTPError, Request, Response, Router, serve
from kakuri_json import JSONError, decode
from kakuri_tcp import Endpoint
from kakuri_workload.metrics import MetricFamily, merged

PATH = "/families"

ASK_SECONDS = 2.0
"""Seconds that another worker may take; without its answer, its series are missing."""

log = structlog.get_logger()


class WorkerMetrics:
    """The families of this worker and of the others."""

    def __init__(self, peers: WorkerPeers, own: Callable[[], Iterable[MetricFamily]]) -> None:
        """Create the metrics.

        Args:
            peers: The workers.
            own: Returns the families of this worker.
        """
        self._peers = peers
        self._own = own

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve the families of this worker to the others while the context is entered."""
        router = Router()
        router.add("GET", PATH, self._get_families)
        async with await serve(self._peers.listening, router):
            yield

    async def families(self) -> list[MetricFamily]:
        """Return the families of all workers that answer."""
        others = self._peers.others
        answers = await asyncio.gather(*map(self._ask, others.values()))
        found = {self._peers.name: list(self._own()), **dict(zip(others, answers, strict=True))}
        return merged(
            family.with_labels({"worker": worker})
            for worker, families in found.items()
            for family in families
        )

    def _get_families(self, _request: Request) -> Response:
        return json_response(list(self._own()))

    async def _ask(self, worker: Endpoint) -> list[MetricFamily]:
        from kakuri_http import Client  # noqa: PLC0415 (only control planes with workers need it)

        try:
            async with asyncio.timeout(ASK_SECONDS), Client(worker) as client:
                response = await client.get(PATH)
            families: list[MetricFamily] = decode(response.body, type=list[MetricFamily])
        except (HTTPError, JSONError, OSError, TimeoutError) as error:
            # It is being replaced, most likely.
            log.debug("metrics of a worker are missing", worker=str(worker), error=str(error))
            return []
        return families
