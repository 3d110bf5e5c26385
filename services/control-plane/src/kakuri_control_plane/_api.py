"""The HTTP API: workloads in JSON, carried out by the agent.

The control plane keeps no state. Every answer about a workload is the agent's, asked at that
moment, so there is nothing here that could be stale or lost.
"""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args, get_type_hints

from kakuri_http import Request, Response, Router, problem
from kakuri_json import Fault, JSONError, StructureError, convert, decode, encode
from kakuri_registry import WORKLOAD_ID, Range, Workload, WorkloadState
from kakuri_rpc import MAX_PAGE, AgentClient, RPCError, State, Status

from kakuri_control_plane._problems import agent_problem, document_problem, not_found

JSON = "application/json"

MAX_DOCUMENT = 262_144
"""Bytes of a submitted workload: far more than one needs, and it fits into a line to the agent."""

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


RUNTIME_CLASSES = get_args(get_type_hints(Submission)["runtime_class"])


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """A workload's state as the API tells it."""

    __json__: ClassVar = {"omit_defaults": True}

    id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None

    @classmethod
    def of(cls, status: Status) -> "WorkloadView":
        """Put an agent's status into the words of the API."""
        state = status.state.workload_state
        return cls(status.id, state, status.reason, status.message, status.exit_code)


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """A page of workloads; next is what `after` has to be for the following page."""

    __json__: ClassVar = {"omit_defaults": True}

    workloads: list[WorkloadView]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a request for a page may ask for."""

    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    after: str = ""
    state: WorkloadState | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of a probe."""

    status: str


OK = encode(Health("ok"))


class Api:
    """The handlers of the API, and the agent that they ask."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent

    def router(self) -> Router:
        """Give the routes of the API."""
        router = Router()
        router.add("POST", "/workloads", self.create_workload, body_limit=MAX_DOCUMENT)
        router.add("GET", "/workloads", self.list_workloads)
        router.add("GET", "/workloads/:id", self.get_workload)
        router.add("DELETE", "/workloads/:id", self.delete_workload)
        router.add("GET", "/healthz", self.healthz)
        router.add("GET", "/readyz", self.readyz)
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
            workload = _read_workload(request.body)
        except JSONError as error:
            return document_problem(error)
        try:
            status = await self._agent.start_workload(workload)
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
            status = await self._agent.get_status(workload_id)
        except RPCError as error:
            return agent_problem(error)
        return Response(200, encode(WorkloadView.of(status)), None, JSON)

    async def delete_workload(self, request: Request) -> Response:
        """Have a workload end and be forgotten: 202 while that is being done."""
        workload_id = request.params["id"]
        if not re.fullmatch(WORKLOAD_ID, workload_id):
            return not_found(workload_id)
        try:
            status = await self._agent.remove_workload(workload_id)
        except RPCError as error:
            return agent_problem(error)
        return Response(202, encode(WorkloadView.of(status)), None, JSON)

    async def list_workloads(self, request: Request) -> Response:
        """Give a page of workloads in the order of their ids."""
        try:
            query = _page_query(request)
        except JSONError as error:
            return document_problem(error)
        state = None if query.state is None else State.of(query.state)
        try:
            page = await self._agent.list_workloads(
                state=state, after=query.after, limit=query.limit
            )
        except RPCError as error:
            return agent_problem(error)
        view = WorkloadPage([WorkloadView.of(status) for status in page.workloads], page.next)
        return Response(200, encode(view), None, JSON)

    def healthz(self, request: Request) -> Response:  # noqa: ARG002 (every probe is the same)
        """Tell that this process serves."""
        return Response(200, OK, None, JSON)

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002 (every probe is the same)
        """Tell whether the agent answers."""
        try:
            await self._agent.describe_node()
        except RPCError as error:
            return agent_problem(error, status=503)
        return Response(200, OK, None, JSON)


def _read_workload(document: bytes) -> Workload:
    """Read a submitted workload. Raises JSONError with every fault of the document."""
    try:
        workload = decode(document, type=Workload)
        if workload.runtime_class in RUNTIME_CLASSES:
            return workload
    except StructureError:
        pass
    return decode(document, type=Submission)  # which knows all the faults


def _page_query(request: Request) -> PageQuery:
    """Read the query by the rules of a document, so that its faults read like a document's."""
    given: dict[str, object] = {}
    for name, text in request.query_pairs:
        if name in given:
            raise StructureError((Fault(f"$.{name}", "expected it once, got it again"),))
        is_number = name == "limit" and re.fullmatch("[0-9]{1,9}", text)
        given[name] = int(text) if is_number else text
    return convert(given, type=PageQuery)
