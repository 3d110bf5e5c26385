"""The HTTP API: zones in JSON."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from kakuri_http import Request, Response, Router
from kakuri_json import Fault, JSONError, StructureError, decode, encode
from kakuri_registry import MAX_SPEC_BYTES, WORKLOAD_ID, ZoneSpec, ZoneStatus

from kakuri_sidecar._errors import (
    CriError,
    RuntimeUnavailable,
    SidecarError,
    StaleAgent,
    UnknownZone,
)
from kakuri_sidecar._health import Health
from kakuri_sidecar._log_errors import LogError
from kakuri_sidecar._problems import document_problem, zone_problem
from kakuri_sidecar._queries import EndQuery, ListQuery, NoQuery, read_query
from kakuri_sidecar._table import ZoneTable
from kakuri_sidecar._watchers import Watcher
from kakuri_sidecar._zones import Zones

JSON = "application/json"
LINES = "application/x-ndjson"

AGENT = "kakuri-agent"
"""The header with the name of the agent that asks."""

HEARTBEAT_SECONDS = 5.0
"""The longest silence of a stream of events."""

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers of the API, but for logs.

    health asks the runtime how it is; wake has it listed soon.
    """

    def __init__(
        self,
        zones: Zones,
        table: ZoneTable,
        health: Callable[[], Awaitable[Health]],
        wake: Callable[[], None],
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._zones = zones
        self._table = table
        self._health = health
        self._wake = wake
        self._heartbeat = heartbeat
        self._agent: str | None = None

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("POST", "/zones", answering_problems(self.start), body_limit=MAX_SPEC_BYTES)
        router.add("GET", "/zones", answering_problems(self.list))
        router.add("GET", "/zones/:id", answering_problems(self.get))
        router.add("POST", "/zones/:id/stop", answering_problems(self.stop))
        router.add("DELETE", "/zones/:id", answering_problems(self.remove))
        router.add("GET", "/healthz", answering_problems(self.healthz))

    async def start(self, request: Request) -> Response:
        """Start a zone: 201, or 200 if it was there."""
        read_query(request, NoQuery)
        spec = decode(request.body, type=ZoneSpec)
        classes = self._zones.runtime_classes
        if spec.runtime_class not in classes:
            expected = " or ".join(repr(name) for name in sorted(classes))
            words = f"expected {expected}, got {spec.runtime_class!r}"
            raise StructureError((Fault("$.runtime_class", words),))
        status, existed = await self._zones.start(spec, lambda: self._obey(request))
        headers = {"Location": f"/zones/{spec.id}"}
        return Response(200 if existed else 201, encode(status), headers, JSON)

    async def get(self, request: Request) -> Response:
        """Return a zone's status, with its spec if the runtime can be asked for it."""
        read_query(request, NoQuery)
        zone_id = request.params["id"]
        spec: ZoneSpec | None = None
        if self._table.get(zone_id) is not None:
            with suppress(CriError):
                spec = await self._zones.spec(zone_id)
        status = self._table.get(zone_id)
        if status is None:
            self._expect_listing()
            raise UnknownZone(f"no zone {zone_id!r}")
        return _json(replace(status, spec=spec))

    async def list(self, request: Request) -> Response:
        """Tell what is true of every zone, once or from now on."""
        if read_query(request, ListQuery).watch:
            self._agent = request.headers.get(AGENT, self._agent)
            return Response(200, self._events(), None, LINES)
        self._expect_listing()
        zones = b",".join(map(encode, self._table.all()))
        return Response(200, b'{"zones":[%b]}' % zones, None, JSON)

    async def stop(self, request: Request) -> Response:
        """Stop a zone and wait for its end."""
        asked = read_query(request, EndQuery)
        self._obey(request)
        return _json(await self._zones.stop(_zone_id(request), asked.grace_seconds))

    async def remove(self, request: Request) -> Response:
        """Remove a zone, if there is one."""
        asked = read_query(request, EndQuery)
        self._obey(request)
        await self._zones.remove(_zone_id(request), asked.grace_seconds)
        return Response(204)

    async def healthz(self, request: Request) -> Response:
        """Tell what the runtime is and whether it can run zones."""
        read_query(request, NoQuery)
        health = await self._health()
        return Response(200 if health.status == "ok" else 503, encode(health), None, JSON)

    def _obey(self, request: Request) -> None:
        """Refuse what an agent asks, or has asked, after another one has taken over.

        Requests arrive late: their agent may have died, and the next one have removed what they
        would start. Whoever does not say who asks is no agent.
        """
        agent = request.headers.get(AGENT)
        if agent is not None and self._agent is not None and agent != self._agent:
            raise StaleAgent("another agent has taken over")

    def _expect_listing(self) -> None:
        """Refuse to say that something is not there before the runtime was ever listed."""
        if not self._table.has_listing:
            words = self._table.health.message or "not listed yet"
            raise RuntimeUnavailable("ListPodSandbox", words)

    async def _events(self) -> AsyncIterator[bytes]:
        """Give a line for each event until the reader goes or the table is closed."""
        watcher = self._table.watch()
        self._wake()
        heart = asyncio.create_task(self._beat(watcher))
        try:
            while (event := await watcher.next()) is not None:
                yield encode(event) + b"\n"
        finally:
            heart.cancel()
            self._table.unwatch(watcher)

    async def _beat(self, watcher: Watcher) -> None:
        """Say again and again that the stream is alive, claiming no more than is known.

        It stands in the queue behind what was true before, however many other events there are.
        """
        while True:
            await asyncio.sleep(self._heartbeat)
            if watcher.has_listing and self._table.health.available:
                watcher.listed()
            else:
                watcher.health(self._table.health)


def answering_problems(handler: Handler) -> Handler:
    """Turn what a handler raises for its caller into an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except JSONError as error:
            return document_problem(error)
        except (SidecarError, LogError) as error:
            return zone_problem(error)

    return answer


def _json(status: ZoneStatus) -> Response:
    return Response(200, encode(status), None, JSON)


def _zone_id(request: Request) -> str:
    zone_id: str = request.params["id"]
    if not re.fullmatch(WORKLOAD_ID, zone_id):
        raise UnknownZone(f"no zone {zone_id!r}")
    return zone_id
