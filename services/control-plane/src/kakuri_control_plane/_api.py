"""The HTTP API: workloads in JSON.

The control plane keeps no state. Each response about a workload comes from the agent at that
moment, so nothing here can be out of date or get lost.
"""

from collections.abc import Awaitable, Iterable
from functools import partial

from kakuri_daemon.api import APIRouter, HTTPMetrics, json_response
from kakuri_daemon.metrics import process_families
from kakuri_http import Request, Response
from kakuri_rpc import AgentClient, RPCError, State, Status
from kakuri_workload import WORKLOAD_ID
from kakuri_workload.metrics import MetricFamily, gauge

from kakuri_control_plane._agent_turns import AgentTurns
from kakuri_control_plane._content import MAX_OPTIONS
from kakuri_control_plane._event_hub import EventHub
from kakuri_control_plane._event_streams import EventStreams
from kakuri_control_plane._headers import (
    VersionMismatch,
    entity_tag,
    expected_versions,
    is_unchanged,
)
from kakuri_control_plane._lifecycle import Lifecycle
from kakuri_control_plane._log_api import LogApi
from kakuri_control_plane._log_queries import LogQuery
from kakuri_control_plane._metrics import MetricsApi
from kakuri_control_plane._nodes import NODE_NAME, Nodes
from kakuri_control_plane._openapi_handler import DocumentHandler
from kakuri_control_plane._page import ASSET_NAME, get_asset, get_document, prefers_html
from kakuri_control_plane._presence import Presence
from kakuri_control_plane._problems import PROBLEMS, agent_problem, runtime_unavailable
from kakuri_control_plane._queries import (
    EventQuery,
    HistoryQuery,
    PageQuery,
    RemovalQuery,
    SubmissionQuery,
    WorkloadQuery,
)
from kakuri_control_plane._service_views import OK, Health, Index
from kakuri_control_plane._submissions import MAX_BODY, Submissions
from kakuri_control_plane._users import user_of
from kakuri_control_plane._version import __version__
from kakuri_control_plane._views import (
    HistoryView,
    WorkloadDetails,
    WorkloadPage,
    WorkloadView,
)

VARY = {"Vary": "Accept"}

IDS = {"workload": WORKLOAD_ID, "node": NODE_NAME, "file": ASSET_NAME}
"""The types of path parameters, as regular expressions."""


class Api:
    """The handlers of the API, which ask one agent."""

    def __init__(self, agent: AgentClient, name: str = "agent") -> None:
        """Create the handlers.

        Args:
            agent: The client of the agent; the caller closes it.
            name: The agent's name in the log.
        """
        self._agent = agent
        agent.metrics.on_outcome = Presence(name).observe
        self._reads = AgentTurns(agent)
        self._logs = LogApi(agent)
        self._submissions = Submissions(agent)
        self._hub = EventHub(agent)
        self._lifecycle = Lifecycle(agent, self._hub)
        self._nodes = Nodes(agent)
        self._events = EventStreams(agent, self._hub)
        self.http_metrics = HTTPMetrics()
        own = (
            self.http_metrics.families,
            self._stream_families,
            partial(process_families, "control-plane", __version__),
        )
        self.metrics = MetricsApi(agent, own)

    def router(self) -> APIRouter:
        """Return the routes of the API."""
        router = APIRouter(PROBLEMS, ids=IDS)
        self._add_workloads(router)
        add = router.add
        add("GET", "/events", self._events.get_events, query=EventQuery)
        add("GET", "/nodes", self._nodes.list_nodes)
        add("GET", "/nodes/:name<node>", self._nodes.get_node)
        add("GET", "/", self.get_index)
        add("GET", "/ui/:name<file>", get_asset)
        add("GET", "/healthz", self.healthz)
        add("GET", "/metrics", self.metrics.get_metrics)
        add("GET", "/readyz", self.readyz)
        add("GET", "/openapi.json", DocumentHandler(router).get)
        return router

    def metrics_router(self) -> APIRouter:
        """Return a router for metrics alone."""
        router = APIRouter(PROBLEMS)
        router.add("GET", "/metrics", self.metrics.get_metrics)
        return router

    def _add_workloads(self, router: APIRouter) -> None:
        add, one, lifecycle = router.add, "/workloads/:id<workload>", self._lifecycle
        create, limit = self._submissions.create, MAX_OPTIONS
        add("POST", "/workloads", create, query=SubmissionQuery, body_limit=MAX_BODY)
        add("GET", "/workloads", self.list_workloads, query=PageQuery)
        add("GET", one, self.get_workload, query=WorkloadQuery)
        add("GET", f"{one}/log", self._logs.get_log, query=LogQuery)
        add("GET", f"{one}/history", self.get_history, query=HistoryQuery)
        add("POST", f"{one}/stop", lifecycle.stop, body_limit=limit)
        add("POST", f"{one}/start", lifecycle.start, body_limit=limit)
        add("POST", f"{one}/restart", lifecycle.restart, body_limit=limit)
        add("DELETE", one, lifecycle.delete, query=RemovalQuery, body_limit=limit)

    def get_workload(self, request: Request, query: WorkloadQuery) -> Awaitable[Response]:
        """Return the state of a workload, with `spec` everything that is known about it."""
        is_usual = not request.query_string and request.headers.get("if-match") is None
        if is_usual:  # the most frequent request, which runs without a task
            call = self._agent.get_status(request.params["id"])
            return call.cached(_state_response)
        return self._get_workload(request, query)

    async def _get_workload(self, request: Request, query: WorkloadQuery) -> Response:
        workload_id = request.params["id"]
        if query.wait and not query.removed:
            status = await self._events.changed_status(workload_id, query.wait, query.after)
            if query.spec:
                status = await self._status(request, query)
            _check_version(request, status)
            tag = {"ETag": entity_tag(status.version or 0)}
            return json_response(WorkloadDetails.complete(status), headers=tag)
        if not (query.spec or query.removed or "if-match" in request.headers):
            return _state_response(await self._agent.get_status(workload_id))
        status = await self._status(request, query)
        _check_version(request, status)
        headers = None if status.version is None else {"ETag": entity_tag(status.version)}
        if status.version is not None and is_unchanged(request, status.version):
            return Response(304, headers=headers)
        return json_response(WorkloadDetails.complete(status), headers=headers)

    async def _status(self, request: Request, query: WorkloadQuery) -> Status:
        get = partial(
            self._agent.get_status,
            request.params["id"],
            detail=query.spec,
            removed=query.removed,
            with_version="if-match" in request.headers,
        )
        if query.spec:
            return await self._reads.run(user_of(request), get)
        return await get()

    async def get_history(self, request: Request, query: HistoryQuery) -> Response:
        """Return the transitions of a workload."""
        get = partial(self._agent.get_history, request.params["id"], removed=query.removed)
        return json_response(HistoryView.of(await self._reads.run(user_of(request), get)))

    def _stream_families(self) -> Iterable[MetricFamily]:
        return (
            gauge("kakuri_log_streams", "Logs that are being read.", float(self._agent.open_logs)),
            *self._hub.families(),
        )

    async def end_waiting(self) -> None:
        """End all responses that wait for something, so that the server can be drained."""
        await self._hub.close()
        await self._logs.end_followed()

    async def list_workloads(self, request: Request, query: PageQuery) -> Response:
        """Return a page of workloads in the order of their ids."""
        get = partial(
            self._agent.list_workloads,
            state=None if query.state is None else State.of(query.state),
            after=query.after,
            limit=query.limit,
            label=query.label,
            detail=query.spec,
            removed=query.removed,
        )
        page = await self._reads.run(user_of(request), get)
        view = WorkloadDetails.complete if query.spec or query.removed else WorkloadView.of
        return json_response(WorkloadPage.of(page, view))

    def get_index(self, request: Request) -> Response:
        """Return what serves this API and where to begin; the web page for a browser."""
        if prefers_html(request):
            return get_document(request)
        return json_response(Index(), headers=VARY)

    def healthz(self, _request: Request) -> Response:
        """Report that this process serves requests."""
        return json_response(OK)

    async def readyz(self, _request: Request) -> Response:
        """Report whether workloads can be run: the agent answers, and its runtime can run zones."""
        try:
            node = await self._agent.describe_node()
        except RPCError as error:
            return agent_problem(error, status=503)
        if not node.runtime_available:
            return runtime_unavailable(node.message)
        return json_response(Health("ok", simulated=node.simulated, message=node.message))


def _state_response(status: Status) -> Response:
    return json_response(WorkloadView.of(status))


def _check_version(request: Request, status: Status) -> None:
    """Check a workload's version against If-Match.

    Raises:
        HeaderError: The field is not valid.
        VersionMismatch: The workload has none of its versions.
    """
    expected = expected_versions(request)
    if expected is not None and status.version not in expected:
        raise VersionMismatch(status.id, expected, status.version)
