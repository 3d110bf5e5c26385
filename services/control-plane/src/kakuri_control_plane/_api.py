"""The HTTP API: workloads in JSON.

The control plane keeps no state. Each response about a workload comes from the agent at that
moment, so nothing here can be out of date or get lost.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar

from kakuri_daemon.api import APIRouter, json_response
from kakuri_http import Headers, Request, Response, problem
from kakuri_json import decode
from kakuri_rpc import (
    LIMITS,
    AgentClient,
    AgentError,
    AgentLog,
    ErrorCode,
    RPCError,
    State,
    check_document,
    check_received,
)
from kakuri_workload import MAX_DOCUMENT_BYTES, WORKLOAD_ID, Workload

from kakuri_control_plane._admission import Admission
from kakuri_control_plane._classes import RuntimeClasses
from kakuri_control_plane._logs import Logs, reader_of
from kakuri_control_plane._presence import Presence
from kakuri_control_plane._problems import PROBLEMS, agent_problem, runtime_unavailable
from kakuri_control_plane._queries import LogQuery, PageQuery
from kakuri_control_plane._views import HistoryView, WorkloadPage, WorkloadView

JSON = "application/json"

LOG_TYPE = "text/plain; charset=utf-8"
LOG_HEADERS = {"X-Content-Type-Options": "nosniff"}
"""A workload writes any bytes: a browser must show them as text and never run them."""

LOG_GAP = Headers({"Kakuri-Log-Gap": "true"})
"""The trailer of a log of which some was removed before it could be read."""

MAX_BODY = 2 * MAX_DOCUMENT_BYTES
"""Bytes of a submitted workload as it is sent: whitespace and escapes may double its size. The
agent gets it in its compact encoding, which fits into a line."""

MAYBE_JSON = re.compile(
    r"(?:application/(?:[a-z0-9.+-]+\+)?json|text/json|text/plain|application/octet-stream"
    r"|application/x-www-form-urlencoded)\s*(?:;.*)?",
    re.IGNORECASE,
)
"""Media types whose content is or may be JSON; curl -d labels every body as a form."""


@dataclass(frozen=True, slots=True)
class Health:
    """The response to a probe; `message` is for operators, and may be set when the status is ok."""

    __json__: ClassVar = {"omit_defaults": True}

    status: str
    simulated: bool = False
    message: str | None = None


OK = Health("ok")


class Api:
    """The handlers of the API, which ask one agent."""

    def __init__(self, agent: AgentClient, name: str = "agent") -> None:
        """Create the handlers.

        Args:
            agent: The client of the agent; the caller closes it.
            name: The agent's name in the log.
        """
        self._agent = agent
        self._logs = Logs(agent)
        self._admission = Admission()
        self._presence = Presence(name)
        self._classes = RuntimeClasses(agent, self._presence)

    def router(self) -> APIRouter:
        """Return the routes of the API."""
        router = APIRouter(PROBLEMS, ids={"workload": WORKLOAD_ID})
        router.add("POST", "/workloads", self.create_workload, body_limit=MAX_BODY)
        router.add("GET", "/workloads", self.list_workloads, query=PageQuery)
        router.add("GET", "/workloads/:id<workload>", self.get_workload)
        router.add("GET", "/workloads/:id<workload>/log", self.get_log, query=LogQuery)
        router.add("GET", "/workloads/:id<workload>/history", self.get_history)
        router.add("DELETE", "/workloads/:id<workload>", self.delete_workload)
        router.add("GET", "/healthz", self.healthz)
        router.add("GET", "/readyz", self.readyz)
        return router

    async def create_workload(self, request: Request) -> Response:
        """Submit a workload: 201, or 200 if it exists already."""
        content_type = request.headers.get("content-type")
        if content_type not in (None, JSON) and not MAYBE_JSON.fullmatch(content_type):
            detail = f"expected {JSON}, got {content_type!r}"
            return problem(415, code="unsupported_media_type", detail=detail)
        coding = request.headers.get("content-encoding")
        if coding is not None and coding.lower() != "identity":
            detail = f"expected content without a coding, got {coding!r}"
            return problem(415, code="unsupported_media_type", detail=detail)
        async with self._admission.admitted(len(request.body)):
            workload = _read_workload(request.body)
            await self._classes.check(workload.runtime_class)
            try:
                status = await self._presence.track(self._agent.start_workload(workload))
            except AgentError as error:
                if error.code is ErrorCode.BAD_REQUEST:  # the node may have other classes by now
                    self._classes.forget()
                    await self._classes.check(workload.runtime_class)
                raise
        headers = {"Location": f"/workloads/{workload.id}"}
        return json_response(workload, 200 if status.existing else 201, headers)

    async def get_workload(self, request: Request) -> Response:
        """Return the state of a workload."""
        status = await self._presence.track(self._agent.get_status(request.params["id"]))
        return json_response(WorkloadView.of(status))

    async def get_log(self, request: Request, query: LogQuery) -> Response:
        """Return the output of a workload, and with `follow` also what it writes from now on."""
        workload_id = request.params["id"]
        if request.method == "HEAD":
            await self._presence.track(self._logs.check(workload_id))
            return Response(200, iter(()), headers=LOG_HEADERS, content_type=LOG_TYPE)
        log, pieces = await self._logs.open(workload_id, query, reader_of(request.peer))
        headers = {**LOG_HEADERS, "Trailer": "Kakuri-Log-Gap"}
        response = Response(200, (), headers=headers, content_type=LOG_TYPE)
        response.body = _report_gap(response, log, pieces)
        return response

    async def get_history(self, request: Request) -> Response:
        """Return the transitions of a workload."""
        history = await self._presence.track(self._agent.get_history(request.params["id"]))
        return json_response(HistoryView.of(history))

    async def end_followed_logs(self) -> None:
        """End all responses that follow a log, so that the server can be drained."""
        await self._logs.end_followed()

    async def delete_workload(self, request: Request) -> Response:
        """Stop and remove a workload: 202 while the agent is doing so."""
        status = await self._presence.track(self._agent.remove_workload(request.params["id"]))
        return json_response(WorkloadView.of(status), 202)

    async def list_workloads(self, _request: Request, query: PageQuery) -> Response:
        """Return a page of workloads in the order of their ids."""
        state = None if query.state is None else State.of(query.state)
        page = await self._presence.track(
            self._agent.list_workloads(
                state=state, after=query.after, limit=query.limit, label=query.label
            )
        )
        return json_response(WorkloadPage.of(page))

    def healthz(self, _request: Request) -> Response:
        """Report that this process serves requests."""
        return json_response(OK)

    async def readyz(self, _request: Request) -> Response:
        """Report whether workloads can be run: the agent and its runtime answer."""
        try:
            node = await self._presence.track(self._agent.describe_node())
        except RPCError as error:
            return agent_problem(error, status=503)
        if not node.runtime_available:
            return runtime_unavailable(node.message)
        return json_response(Health("ok", simulated=node.simulated, message=node.message))


async def _report_gap(
    response: Response, log: AgentLog, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield a log's pieces, then set the response's trailer if some of the log was removed."""
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece
    if log.has_gap:
        response.trailers = LOG_GAP


def _read_workload(document: bytes) -> Workload:
    """Return a submitted workload.

    Raises:
        JSONError: The document is invalid; it has every fault.
        DocumentTooLarge: Its compact encoding is too large.
    """
    check_received(document)
    workload: Workload = decode(document, type=Workload, limits=LIMITS)
    check_document(workload, len(document))
    return workload
