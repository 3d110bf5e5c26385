"""The HTTP API for zones, in JSON."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing

from kakuri_daemon.api import APIRouter, json_response
from kakuri_daemon.metrics import process_families
from kakuri_http import Request, Response
from kakuri_json import Fault, ValidationError, convert, decode, encode
from kakuri_workload import MAX_SPEC_BYTES, ZoneSpec, present_spelling
from kakuri_workload.metrics import MetricFamily, pages
from kakuri_zones import UnknownRuntimeClass, ZoneNode

from kakuri_sidecar._problems import StaleAgent
from kakuri_sidecar._queries import ImageQuery, ListQuery, RemoveQuery, StopQuery
from kakuri_sidecar._version import __version__

JSON = "application/json"
LINES = "application/x-ndjson"

LINE_SAMPLES, LINE_BYTES = 1000, 524_288
"""Series and bytes of a line of metrics, which takes less than a millisecond to write."""

AGENT_FIELD = "kakuri-agent"
"""The header field with the random name of the agent that sends a request."""


class Api:
    """The handlers of the API, except for logs."""

    def __init__(self, node: ZoneNode) -> None:
        self._node = node
        self._agent: str | None = None

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add("POST", "/zones", self.start, body_limit=MAX_SPEC_BYTES)
        router.add("GET", "/zones", self.list, query=ListQuery)
        router.add("GET", "/zones/:id<zone>", self.get)
        router.add("POST", "/zones/:id<zone>/stop", self.stop, query=StopQuery)
        router.add("DELETE", "/zones/:id<zone>", self.remove, query=RemoveQuery)
        router.add("GET", "/image", self.check_image, query=ImageQuery)
        router.add("GET", "/healthz", self.healthz)
        router.add("GET", "/metrics", self.metrics)

    async def start(self, request: Request) -> Response:
        """Start a zone: 201, or 200 if it already exists."""
        spec = convert(present_spelling(decode(request.body)), type=ZoneSpec)
        try:
            status, existed = await self._node.start(spec, lambda: self._check_agent(request))
        except UnknownRuntimeClass as error:
            raise ValidationError((Fault("$.workload.runtime_class", str(error)),)) from None
        headers = {"Location": f"/zones/{spec.id}"}
        return json_response(status, 200 if existed else 201, headers)

    async def get(self, request: Request) -> Response:
        """Return a zone's status, with its spec if the runtime answers."""
        return json_response(await self._node.zone(request.params["id"]))

    async def list(self, request: Request, query: ListQuery) -> Response:
        """Return the status of every zone, once or as a stream of events."""
        if query.watch:
            self._agent = request.headers.get(AGENT_FIELD, self._agent)
            return Response(200, event_lines(self._node.events()), content_type=LINES)
        zones = b",".join(map(encode, self._node.zones()))
        return Response(200, b'{"zones":[%b]}' % zones, content_type=JSON)

    async def stop(self, request: Request, query: StopQuery) -> Response:
        """Stop a zone and wait until it has ended."""
        self._check_agent(request)
        return json_response(await self._node.stop(request.params["id"], query.grace_seconds))

    async def remove(self, request: Request, query: RemoveQuery) -> Response:
        """Remove a zone, if there is one: 204, or 200 with a receipt."""
        self._check_agent(request)
        removal = await self._node.remove(request.params["id"], query.grace_seconds)
        return json_response(removal) if query.receipt else Response(204)

    async def check_image(self, _request: Request, query: ImageQuery) -> Response:
        """Return whether an image is on the node or a start would pull it."""
        return json_response(await self._node.check_image(query.reference, query.pull))

    async def healthz(self, _request: Request) -> Response:
        """Return the runtime's name and version, and whether it can run zones."""
        health = await self._node.health()
        return json_response(health, 200 if health.status == "ok" else 503)

    async def metrics(self, _request: Request) -> Response:
        """Return the metrics of this process and its zones, with a line for each family.

        A large family has several lines. The agent reads them, and the control plane shows them in
        the format of Prometheus.
        """
        families = [*process_families("sidecar", __version__), *await self._node.metrics()]
        return Response(200, _lines(families), content_type=LINES)

    def _check_agent(self, request: Request) -> None:
        """Raise StaleAgent for a request from an agent that another one has replaced.

        A request may arrive after its agent has died and the next agent has removed the zone that
        it would start. Requests without the header are from other clients, and pass.
        """
        agent = request.headers.get(AGENT_FIELD)
        if agent is not None and self._agent is not None and agent != self._agent:
            raise StaleAgent("another agent has taken over")


async def event_lines(events: AsyncGenerator[object]) -> AsyncIterator[bytes]:
    """Yield a line for each event."""
    async with aclosing(events):
        async for event in events:
            yield encode(event) + b"\n"


async def _lines(families: Iterable[MetricFamily]) -> AsyncIterator[bytes]:
    for page in pages(families, max_samples=LINE_SAMPLES, max_bytes=LINE_BYTES):
        for family in page:
            yield encode(family) + b"\n"
