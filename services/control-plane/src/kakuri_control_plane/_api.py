"""The HTTP API: workloads in JSON, carried out by the agent.

The control plane keeps no state. Every answer about a workload is the agent's, asked at that
moment, so there is nothing here that could be stale or lost.
"""

import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import ClassVar, Literal

from kakuri_http import Handler, Headers, Request, Response, Router, problem
from kakuri_json import JSONError, decode, encode
from kakuri_registry import MAX_DOCUMENT_BYTES, WORKLOAD_ID, Workload
from kakuri_rpc import (
    LIMITS,
    AgentClient,
    AgentLog,
    DocumentTooLarge,
    RPCError,
    State,
    check_document,
    check_received,
)

from kakuri_control_plane._admission import Admission, TooManyLargeDocuments
from kakuri_control_plane._logs import Logs, reader_of
from kakuri_control_plane._paths import Paths
from kakuri_control_plane._presence import Presence
from kakuri_control_plane._problems import (
    agent_problem,
    busy,
    document_problem,
    not_found,
    query_problem,
    runtime_unavailable,
    too_large,
)
from kakuri_control_plane._queries import LogQuery, NoQuery, PageQuery, QueryError, read_query
from kakuri_control_plane._views import HistoryView, WorkloadPage, WorkloadView

JSON = "application/json"

LOG_TYPE = "text/plain; charset=utf-8"
LOG_HEADERS = {"X-Content-Type-Options": "nosniff"}
"""A workload writes what it likes: a browser is to show it, and never to run it."""

LOG_GAP = Headers({"Kakuri-Log-Gap": "true"})
"""The trailer of a log some of which was removed before it could be read."""

MAX_BODY = 2 * MAX_DOCUMENT_BYTES
"""Bytes of a submitted workload as it is sent: whitespace and escapes may double its size. The
agent gets it in its compact encoding, which fits into a line."""

MAYBE_JSON = re.compile(
    r"(?:application/(?:[a-z0-9.+-]+\+)?json|text/json|text/plain|application/octet-stream"
    r"|application/x-www-form-urlencoded)\s*(?:;.*)?",
    re.IGNORECASE,
)
"""Media types whose content is or may be JSON; curl -d calls everything a form."""


@dataclass(frozen=True, slots=True)
class Submission(Workload):
    """A workload as a submitter may ask for it: in one of the runtime classes that there are."""

    runtime_class: Literal["edera-zone"]


# Encoding is faster for a workload of the exact type that the messages declare.
_fields_of = attrgetter(*(field.name for field in fields(Workload)))


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of a probe; `message` is what an operator should know although all is well."""

    __json__: ClassVar = {"omit_defaults": True}

    status: str
    simulated: bool = False
    message: str | None = None


OK = encode(Health("ok"))


class Api:
    """The handlers of the API, and the agent that they ask."""

    def __init__(self, agent: AgentClient, name: str = "agent") -> None:
        """Create the handlers of an agent's API.

        Args:
            agent: the client of the agent.
            name: the agent's name in the log.

        """
        self._agent = agent
        self._logs = Logs(agent)
        self._admission = Admission()
        self._presence = Presence(name)

    def router(self) -> Router:
        """Give the routes of the API."""
        router = Paths()
        create = without_query(self.create_workload)
        router.add("POST", "/workloads", create, body_limit=MAX_BODY)
        router.add("GET", "/workloads", self.list_workloads)
        router.add("GET", "/workloads/:id", without_query(self.get_workload))
        router.add("GET", "/workloads/:id/log", self.get_log)
        router.add("GET", "/workloads/:id/history", without_query(self.get_history))
        router.add("DELETE", "/workloads/:id", without_query(self.delete_workload))
        router.add("GET", "/healthz", without_query(self.healthz))
        router.add("GET", "/readyz", without_query(self.readyz))
        return router

    async def create_workload(self, request: Request) -> Response:
        """Have a workload run: 201, or 200 if it is there already."""
        content_type = request.headers.get("content-type")
        if content_type is not None and not MAYBE_JSON.fullmatch(content_type):
            detail = f"expected {JSON}, got {content_type!r}"
            return problem(415, code="unsupported_media_type", detail=detail)
        coding = request.headers.get("content-encoding")
        if coding is not None and coding.lower() != "identity":
            detail = f"expected content without a coding, got {coding!r}"
            return problem(415, code="unsupported_media_type", detail=detail)
        try:
            async with self._admission.admitted(len(request.body)):
                workload = _read_workload(request.body)
                status = await self._presence.of(self._agent.start_workload(workload))
        except JSONError as error:
            return document_problem(error)
        except DocumentTooLarge as error:
            return too_large(error)
        except TooManyLargeDocuments as error:
            return busy(error)
        except RPCError as error:
            return agent_problem(error)
        headers = {"Location": f"/workloads/{workload.id}"}
        return Response(200 if status.existing else 201, encode(workload), headers, JSON)

    async def get_workload(self, request: Request) -> Response:
        """Tell how far a workload has come."""
        workload_id = request.params["id"]
        if not re.fullmatch(WORKLOAD_ID, workload_id):
            return not_found(workload_id)
        try:
            status = await self._presence.of(self._agent.get_status(workload_id))
        except RPCError as error:
            return agent_problem(error)
        return Response(200, encode(WorkloadView.of(status)), None, JSON)

    async def get_log(self, request: Request) -> Response:
        """Give what a workload has written, and with `follow` what it is yet to write."""
        workload_id = request.params["id"]
        if not re.fullmatch(WORKLOAD_ID, workload_id):
            return not_found(workload_id)
        try:
            query = read_query(request, LogQuery)
        except QueryError as error:
            return query_problem(error)
        try:
            if request.method == "HEAD":
                await self._presence.of(self._logs.check(workload_id))
                return Response(200, iter(()), LOG_HEADERS, LOG_TYPE)
            log, pieces = await self._logs.open(workload_id, query, reader_of(request.peer))
        except RPCError as error:
            return agent_problem(error)
        headers = {**LOG_HEADERS, "Trailer": "Kakuri-Log-Gap"}
        response = Response(200, (), headers, LOG_TYPE)
        response.body = _report_gap(response, log, pieces)
        return response

    async def get_history(self, request: Request) -> Response:
        """Tell what has happened to a workload."""
        workload_id = request.params["id"]
        if not re.fullmatch(WORKLOAD_ID, workload_id):
            return not_found(workload_id)
        try:
            history = await self._presence.of(self._agent.get_history(workload_id))
        except RPCError as error:
            return agent_problem(error)
        return Response(200, encode(HistoryView.of(history)), None, JSON)

    async def end_followed_logs(self) -> None:
        """Cut off those who follow a log, so that the server can be drained."""
        await self._logs.end_followed()

    async def delete_workload(self, request: Request) -> Response:
        """Have a workload end and be forgotten: 202 while that is being done."""
        workload_id = request.params["id"]
        if not re.fullmatch(WORKLOAD_ID, workload_id):
            return not_found(workload_id)
        try:
            status = await self._presence.of(self._agent.remove_workload(workload_id))
        except RPCError as error:
            return agent_problem(error)
        return Response(202, encode(WorkloadView.of(status)), None, JSON)

    async def list_workloads(self, request: Request) -> Response:
        """Give a page of workloads in the order of their ids."""
        try:
            query = read_query(request, PageQuery)
        except QueryError as error:
            return query_problem(error)
        state = None if query.state is None else State.of(query.state)
        try:
            page = await self._presence.of(
                self._agent.list_workloads(
                    state=state, after=query.after, limit=query.limit, label=query.label
                )
            )
        except RPCError as error:
            return agent_problem(error)
        return Response(200, encode(WorkloadPage.of(page)), None, JSON)

    def healthz(self, request: Request) -> Response:  # noqa: ARG002 (every probe is the same)
        """Tell that this process serves."""
        return Response(200, OK, None, JSON)

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002 (every probe is the same)
        """Report whether workloads can be run: the agent and its runtime answer."""
        try:
            node = await self._presence.of(self._agent.describe_node())
        except RPCError as error:
            return agent_problem(error, status=503)
        if not node.runtime_available:
            return runtime_unavailable(node.message)
        health = Health("ok", simulated=node.simulated, message=node.message)
        return Response(200, encode(health), None, JSON)


async def _report_gap(
    response: Response, log: AgentLog, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield a log's pieces, then set the response's trailer if some of the log was removed."""
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece
    if log.has_gap:
        response.trailers = LOG_GAP


def without_query(handler: Handler) -> Handler:
    """Return a handler that refuses every query instead of ignoring it."""

    def handle(request: Request) -> Response | Awaitable[Response]:
        try:
            read_query(request, NoQuery)
        except QueryError as error:
            return query_problem(error)
        return handler(request)

    return handle


def _read_workload(document: bytes) -> Workload:
    """Read a submitted workload, decoding the document once, whether it is good or not.

    Raises JSONError with every fault of the document, and DocumentTooLarge.
    """
    check_received(document)
    submission = decode(document, type=Submission, limits=LIMITS)
    workload = Workload(*_fields_of(submission))
    check_document(workload, len(document))
    return workload
