"""The HTTP API for zones, in JSON."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from kakuri_cri import CriError
from kakuri_http import Request, Response, Router
from kakuri_json import Fault, JSONError, ValidationError, decode, encode
from kakuri_registry import MAX_SPEC_BYTES, ZoneSpec, ZoneStatus
from kakuri_zones import UnknownRuntimeClass, ZoneError, ZoneNode

from kakuri_sidecar._problems import StaleAgent, document_problem, zone_problem
from kakuri_sidecar._queries import EndQuery, ListQuery, NoQuery, read_query

JSON = "application/json"
LINES = "application/x-ndjson"

AGENT = "kakuri-agent"
"""The header with the name of the agent that sends a request."""

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers of the API, except for logs."""

    def __init__(self, node: ZoneNode) -> None:
        self._node = node
        self._agent: str | None = None

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("POST", "/zones", with_problems(self.start), body_limit=MAX_SPEC_BYTES)
        router.add("GET", "/zones", with_problems(self.list))
        router.add("GET", "/zones/:id", with_problems(self.get))
        router.add("POST", "/zones/:id/stop", with_problems(self.stop))
        router.add("DELETE", "/zones/:id", with_problems(self.remove))
        router.add("GET", "/healthz", with_problems(self.healthz))

    async def start(self, request: Request) -> Response:
        """Start a zone: 201, or 200 if it already exists."""
        read_query(request, NoQuery)
        spec = decode(request.body, type=ZoneSpec)
        try:
            status, existed = await self._node.start(spec, lambda: self._check_agent(request))
        except UnknownRuntimeClass as error:
            raise ValidationError((Fault("$.runtime_class", str(error)),)) from None
        headers = {"Location": f"/zones/{spec.id}"}
        return Response(200 if existed else 201, encode(status), headers, JSON)

    async def get(self, request: Request) -> Response:
        """Return a zone's status, with its spec if the runtime answers."""
        read_query(request, NoQuery)
        return _json(await self._node.zone(request.params["id"]))

    async def list(self, request: Request) -> Response:
        """Return the status of every zone, once or as a stream of events."""
        if read_query(request, ListQuery).watch:
            self._agent = request.headers.get(AGENT, self._agent)
            return Response(200, self._events(), None, LINES)
        zones = b",".join(map(encode, self._node.zones()))
        return Response(200, b'{"zones":[%b]}' % zones, None, JSON)

    async def stop(self, request: Request) -> Response:
        """Stop a zone and wait until it has ended."""
        asked = read_query(request, EndQuery)
        self._check_agent(request)
        return _json(await self._node.stop(request.params["id"], asked.grace_seconds))

    async def remove(self, request: Request) -> Response:
        """Remove a zone, if there is one."""
        asked = read_query(request, EndQuery)
        self._check_agent(request)
        await self._node.remove(request.params["id"], asked.grace_seconds)
        return Response(204)

    async def healthz(self, request: Request) -> Response:
        """Return the runtime's name and version, and whether it can run zones."""
        read_query(request, NoQuery)
        health = await self._node.health()
        return Response(200 if health.status == "ok" else 503, encode(health), None, JSON)

    def _check_agent(self, request: Request) -> None:
        """Raise StaleAgent for a request of an agent that another agent has replaced.

        A request may arrive after its agent has died and the next agent has removed the zone that
        it would start. Requests without the header are from other clients, and pass.
        """
        agent = request.headers.get(AGENT)
        if agent is not None and self._agent is not None and agent != self._agent:
            raise StaleAgent("another agent has taken over")

    async def _events(self) -> AsyncIterator[bytes]:
        """Yield a line for each event."""
        async with aclosing(self._node.events()) as events:
            async for event in events:
                yield encode(event) + b"\n"


def with_problems(handler: Handler) -> Handler:
    """Return a handler that answers with problem details for errors that concern the client."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except JSONError as error:
            return document_problem(error)
        except (ZoneError, CriError, StaleAgent) as error:
            return zone_problem(error)

    return answer


def _json(status: ZoneStatus) -> Response:
    return Response(200, encode(status), None, JSON)
