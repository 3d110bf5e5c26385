"""Submitted workloads: reading their documents, adding defaults, and starting them."""

from collections.abc import Awaitable
from dataclasses import dataclass, fields
from functools import partial

from kakuri_daemon import current_trace
from kakuri_daemon.api import json_response
from kakuri_http import Request, Response
from kakuri_json import ValidationError, decode, encode
from kakuri_rpc import (
    LIMITS,
    AgentClient,
    AgentError,
    Call,
    ErrorCode,
    Node,
    RPCError,
    Status,
    check_document,
    check_received,
)
from kakuri_tcp import RepeatCache
from kakuri_workload import (
    DEFAULT_CPU_MILLICORES,
    DEFAULT_MEMORY_MB,
    MAX_DOCUMENT_BYTES,
    Quantity,
    RuntimeClass,
    Workload,
    WorkloadId,
)

from kakuri_control_plane._admission import Admission
from kakuri_control_plane._classes import RuntimeClasses
from kakuri_control_plane._content import JSON, check_content_type
from kakuri_control_plane._headers import id_of_key, idempotency_key
from kakuri_control_plane._problems import never_fits_problem
from kakuri_control_plane._queries import SubmissionQuery
from kakuri_control_plane._users import user_of
from kakuri_control_plane._views import DryRun, with_state

MAX_BODY = 2 * MAX_DOCUMENT_BYTES
"""Bytes of a submitted workload as it is sent: whitespace and escapes may double its size. The
agent gets it in its compact encoding, which fits into a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Workload):
    """A workload as submitted; its class and limits are optional, and with a key also its id.

    An empty string stands for a class or an id that was left out: no document can have one.

    Attributes:
        id: An RFC 1123 label; by default, made from the header `Idempotency-Key`.
        runtime_class: By default the node's only class, or `edera-zone`.
    """

    id: WorkloadId = ""
    runtime_class: RuntimeClass = ""
    memory_mb: Quantity = DEFAULT_MEMORY_MB
    cpu_millicores: Quantity = DEFAULT_CPU_MILLICORES

    def completed(self, workload_id: str, runtime_class: str) -> Workload:
        """Return the workload with an id and a runtime class."""
        values = {field.name: getattr(self, field.name) for field in fields(Workload)}
        return Workload(**{**values, "id": workload_id, "runtime_class": runtime_class})


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedSubmission(Submission):
    """A submission without an Idempotency-Key, which needs an id."""

    id: WorkloadId


class Submissions:
    """Reads submitted workloads, and has the agent start them."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._admission = Admission()
        self._classes = RuntimeClasses(agent)
        self._repeated: RepeatCache[_PreparedStart] = RepeatCache()

    def create(self, request: Request, query: SubmissionQuery) -> Awaitable[Response]:
        """Submit a workload: 201, or 200 if it exists already or for a dry run."""
        check_content_type(request)
        document = request.body
        prepared = self._repeated.find(document)
        is_repeated = prepared is not None
        if prepared is None and self._admission.admits_at_once(len(document)):
            workload = _read(request)
            if not isinstance(workload, Submission):
                prepared = _PreparedStart(workload)
                if self._repeated.mark_seen(document):
                    self._repeated.add(document, prepared)
        if prepared is not None and self._classes.knows(prepared.workload.runtime_class):
            # The usual request runs without a task, which saves a tenth of its time.
            call = self._start(prepared, query, is_repeated=is_repeated)
            return call.recovered(partial(self._recover, prepared, request, query))
        return self._create(request, query)

    async def _create(self, request: Request, query: SubmissionQuery) -> Response:
        async with self._admission.admitted(len(request.body), user_of(request)):
            submitted = _read(request)
            prepared = _PreparedStart(await self._complete(submitted, request))
            recover = partial(self._recover, prepared, request, query, submitted=submitted)
            return await self._start(prepared, query).recovered(recover)

    def _start(
        self, prepared: "_PreparedStart", query: SubmissionQuery, *, is_repeated: bool = False
    ) -> Call[Response]:
        """Ask the agent to start a workload, and return the response that follows."""
        workload, is_dry_run = prepared.workload, query.dry_run
        call = self._agent.start_workload(
            workload, dry_run=is_dry_run, trace=current_trace(), encoded=prepared.encoded
        )
        if is_dry_run:
            return call.converted(partial(_dry_run_response, workload))
        return call.cached(prepared.respond) if is_repeated else call.converted(prepared.respond)

    async def _recover(
        self,
        prepared: "_PreparedStart",
        request: Request,
        query: SubmissionQuery,
        error: AgentError,
        submitted: Workload | None = None,
    ) -> Response:
        """Return the response to a workload that the agent refused, or raise the error.

        If the node's classes have changed, and with them the class that the workload gets by
        default, the workload is started again.

        Args:
            prepared: The workload.
            request: The request that submitted it.
            query: Its query.
            error: What the agent answered.
            submitted: The workload without its defaults; None if it left nothing out.
        """
        if error.code is ErrorCode.NEVER_FITS:
            return never_fits_problem(error, prepared.workload, await self._node(error))
        if error.code is not ErrorCode.BAD_REQUEST:
            raise error
        self._classes.forget()
        workload = await self._complete(submitted or prepared.workload, request)
        if workload == prepared.workload:
            raise error
        return await self._start(_PreparedStart(workload), query)

    async def _node(self, error: AgentError) -> Node:
        """Return the node that refused a workload; raise the error if that is not possible."""
        try:
            return await self._agent.describe_node()
        except RPCError:
            raise error from None

    async def _complete(self, submitted: Workload, request: Request) -> Workload:
        """Return a submitted workload with what it left out.

        Raises:
            HeaderError: It has no id, and its Idempotency-Key is not valid.
            ValidationError: The node does not have its class, or has no default one.
            RPCError: The agent can't be asked for its classes.
        """
        if not isinstance(submitted, Submission):
            await self._classes.check(submitted.runtime_class)
            return submitted
        workload_id = submitted.id or id_of_key(idempotency_key(request), submitted.image)
        runtime_class = submitted.runtime_class or await self._classes.default()
        await self._classes.check(runtime_class)
        return submitted.completed(workload_id, runtime_class)


class _PreparedStart:
    """A complete workload and what it takes to start it; submissions of the same document share it.

    Attributes:
        workload: The workload.
        encoded: The workload as JSON.
    """

    __slots__ = ("encoded", "workload")

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.encoded = encode(workload)

    def respond(self, status: Status) -> Response:
        """Return the response to the submission, from the agent's reply."""
        headers = {"Location": f"/workloads/{self.workload.id}"}
        encoded = self.encoded
        if status.existing:
            existing = with_state(encoded, status)
            return Response(200, existing, headers=headers, content_type=JSON)
        return Response(201, encoded, headers=headers, content_type=JSON)


def _dry_run_response(workload: Workload, status: Status) -> Response:
    return json_response(DryRun.of(workload, status))


def _read(request: Request) -> Workload:
    """Return a submitted workload: a Submission if it left something out.

    Raises:
        JSONError: The document is invalid; it has every fault.
        DocumentTooLarge: Its compact encoding is too large.
    """
    document = request.body
    check_received(document)
    workload: Workload | None = None
    # Most documents are complete, and decoding a Workload takes a third of the time of a
    # Submission. Most incomplete ones lack `runtime_class`.
    if document.find(b'"runtime_class"') >= 0:  # faster than `in`, which first tries an integer
        try:
            workload = decode(document, type=Workload, limits=LIMITS)
        except ValidationError as error:
            if not any(fault.message.endswith("got nothing") for fault in error.faults):
                raise
            # Something else is missing, or `runtime_class` is the name of a variable or label.
    if workload is None:
        is_keyed = "idempotency-key" in request.headers
        kind = Submission if is_keyed else IdentifiedSubmission
        workload = decode(document, type=kind, limits=LIMITS)
    check_document(workload, len(document))
    return workload
