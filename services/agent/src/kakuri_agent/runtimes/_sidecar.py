"""The zones of a sidecar: HTTP over a Unix socket.

A request may arrive at the sidecar late, after its caller was cancelled or has died. So a removal
is complete only when earlier starts were answered. Each agent process sends a random name with
every request, and the sidecar refuses requests from an earlier process once the next one has opened
the stream of events.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import structlog
from kakuri_daemon import cancel_all, current_traceparent, retrieve_exception
from kakuri_http import (
    Client,
    ConnectFailed,
    ConnectionBroken,
    HTTPError,
    PoolLimits,
    RequestTimeout,
    Response,
    Timeouts,
)
from kakuri_json import JSONError, convert, decode, encode
from kakuri_tcp import Endpoint, LineDecoder, LineError
from kakuri_workload import (
    ImageStatus,
    LogChunk,
    LogEvent,
    LogRequest,
    LogSelection,
    PullPolicy,
    Removal,
    ZoneEvent,
    ZoneSpec,
    ZoneStatus,
    present_spelling,
)
from kakuri_workload.metrics import MetricFamily
from kakuri_zones import WhileWaiting

from kakuri_agent.runtimes._names import SIDECAR
from kakuri_agent.runtimes._protocol import (
    NoLog,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent.runtimes._sidecar_metrics import read_families
from kakuri_agent.runtimes._zone_operations import MAX_STARTS, Refused

log = structlog.get_logger()

MAX_CONNECTIONS = 128
"""Connections to the sidecar for stops and removals, beside those of starts, and as many for reads;
further requests wait."""

MAX_STREAMS = 2
"""Streams of events: of zones, and of logs."""

MAX_EVENT = 65_536
"""Bytes of one event: without a spec, most of it is a message of at most 4096 characters."""

MAX_LOG_EVENT = 4096
"""Bytes of one event about a log, which has little more than an id."""

SILENCE = 20.0
"""Seconds without an event after which a stream counts as broken; a sidecar sends one every
five."""

READ_SECONDS = 10.0
"""Seconds that the sidecar may take to answer a read. A client's read of a log has less time:
`_zone_logs.LOG_SECONDS`."""

# Operations have no timeout here: the sidecar has the deadlines.
_UNLIMITED = Timeouts(pool=None, read=None, total=None)
_BRIEF = Timeouts(read=READ_SECONDS, total=READ_SECONDS)
_STREAM = Timeouts(pool=None, read=SILENCE, total=None)

_OK, _CREATED, _NO_CONTENT = 200, 201, 204
_BAD_REQUEST, _NOT_FOUND, _CONFLICT, _UNAVAILABLE = 400, 404, 409, 503
_STALE_AGENT = "stale_agent"

_CURSOR = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""The form of a sidecar's cursors; it needs no escaping in a query."""

_COUNT = re.compile("[0-9]{1,15}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that the sidecar reports (RFC 9457)."""

    __json__: ClassVar = {"unknown": "ignore"}

    detail: str = "the sidecar does not say why"
    code: str = "StartError"


class SidecarZones:
    """The operations of a sidecar."""

    name = SIDECAR
    logs_outages = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.endpoint = endpoint.scheme
        self.handlers: Mapping[str, str] = {}
        self._headers = {"Kakuri-Agent": secrets.token_hex(8)}
        # Separate pools, so that pulls that hang and stops in their grace period delay no read.
        self._commands = _client(endpoint, MAX_STARTS + MAX_CONNECTIONS)
        self._reads = _client(endpoint, MAX_CONNECTIONS + MAX_STREAMS)
        # Not the pool: a start that is cancelled while it waits must not be sent.
        self._start_slots = asyncio.Semaphore(MAX_STARTS)
        self._sent: dict[str, set[asyncio.Task[Response]]] = {}  # unanswered starts
        self.fault: str | None = None
        """Why the sidecar refuses this agent: another one has opened the stream of events."""

    def __repr__(self) -> str:
        return f"<SidecarZones {self._endpoint}>"

    async def start(self, spec: ZoneSpec, on_begin: Callable[[], None]) -> ZoneStatus:
        """Start a zone. Cancelling does not cancel the request: the sidecar would carry it out."""
        await self._start_slots.acquire()
        on_begin()
        request = self._request(self._commands, "POST", "/zones", encode(spec))
        task = asyncio.get_running_loop().create_task(request)
        sent = self._sent.setdefault(spec.id, set())
        sent.add(task)

        def answered(task: asyncio.Task[Response]) -> None:
            self._start_slots.release()
            sent.discard(task)
            if not sent and self._sent.get(spec.id) is sent:
                del self._sent[spec.id]
            retrieve_exception(task)

        task.add_done_callback(answered)
        return _zone(_expect(await asyncio.shield(task), (_OK, _CREATED)))

    async def stop(
        self, zone_id: str, grace_seconds: int, while_waiting: WhileWaiting = nullcontext
    ) -> ZoneStatus | None:
        """Stop a zone; None if there is no such zone."""
        path = f"/zones/{zone_id}/stop?grace_seconds={grace_seconds}"
        async with while_waiting():  # the sidecar does not report when the grace period begins
            response = await self._request(self._commands, "POST", path)
        return None if response.status == _NOT_FOUND else _zone(_expect(response, (_OK,)))

    async def remove(
        self,
        zone_id: str,
        grace_seconds: int,
        while_waiting: WhileWaiting = nullcontext,  # noqa: ARG002 - see `ZoneOperations`
    ) -> Removal:
        """Remove a zone; repeat it if an earlier start may have reached the sidecar later."""
        path = f"/zones/{zone_id}?grace_seconds={grace_seconds}"
        removal = await self._remove_once(path)
        while sent := self._sent.get(zone_id):
            await asyncio.wait(set(sent))
            again = await self._remove_once(path)
            removal = (
                again
                if again.zone is not None
                else replace(again, zone=removal.zone, container=removal.container)
            )
        return removal

    async def _remove_once(self, path: str) -> Removal:
        response = await self._request(self._commands, "DELETE", f"{path}&receipt")
        if response.status == _BAD_REQUEST:  # a sidecar of an earlier release has no receipts
            response = await self._request(self._commands, "DELETE", path)
        return _removal(response)

    async def zone(self, zone_id: str) -> ZoneStatus | None:
        """Return a zone with its spec; None if there is no such zone."""
        response = await self._request(self._reads, "GET", f"/zones/{zone_id}")
        return None if response.status == _NOT_FOUND else _zone(_expect(response, (_OK,)))

    def events(self) -> AsyncGenerator[ZoneEvent]:
        """Yield the events of all zones."""
        return self._stream("/zones?watch", ZoneEvent, MAX_EVENT)  # type: ignore[arg-type]

    def log_events(self) -> AsyncGenerator[LogEvent]:
        """Yield which logs grow."""
        return self._stream("/logs?watch", LogEvent, MAX_LOG_EVENT)  # type: ignore[arg-type]

    async def read_log(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return a part of a zone's log."""
        path = f"/zones/{zone_id}/log?{_log_query(request)}"
        headers = self._traced_headers()
        try:
            response = await self._reads.request("GET", path, headers=headers, timeouts=_BRIEF)
        except HTTPError as error:
            log.warning("no log from the sidecar", id=zone_id, error=str(error))
            raise RuntimeUnavailable(f"no log: {fault_of(error)}") from error
        following = response.headers.get("kakuri-log-next")
        if response.status == _NOT_FOUND:
            raise NoLog(problem_of(response).detail)
        if response.status == _BAD_REQUEST:
            raise UnknownCursor(problem_of(response).detail)
        if response.status == _UNAVAILABLE:
            raise RuntimeUnavailable(f"no log: {problem_of(response).detail}")
        if response.status != _OK or following is None:
            raise RuntimeFault(f"no log: {problem_of(response).detail}")
        examined = response.headers.get("kakuri-log-examined") or "0"
        if not _COUNT.fullmatch(examined):
            raise RuntimeFault(f"no log: expected a number of bytes examined, got {examined!r}")
        ended = response.headers.get("kakuri-log-ended") == "true"
        gap = response.headers.get("kakuri-log-gap") == "true"
        return LogChunk(_content(response), following, ended, gap, int(examined))

    async def check_image(self, image: str, policy: PullPolicy | None) -> ImageStatus:
        """Return whether an image is on the node or a start would pull it."""
        params = {"image": image} if policy is None else {"image": image, "pull": policy.value}
        headers = self._traced_headers()
        try:
            response = await self._reads.request(
                "GET", "/image", params=params, headers=headers, timeouts=_BRIEF
            )
            return decode(_content(_expect(response, (_OK,))), type=ImageStatus)
        except HTTPError as error:
            raise RuntimeUnavailable(fault_of(error)) from error
        except JSONError as error:
            raise RuntimeUnavailable(f"the sidecar's answer: {_first_line(error)}") from error

    async def metrics(self) -> list[MetricFamily]:
        """Return the metrics of the sidecar and its zones."""
        return await read_families(self._reads)

    async def close(self) -> None:
        """Cancel every request; the sidecar continues what it has begun."""
        await cancel_all(task for sent in self._sent.values() for task in sent)
        for client in (self._commands, self._reads):
            await client.close()

    async def _request(self, client: Client, method: str, path: str, body: bytes = b"") -> Response:
        """Send a request; raise RuntimeUnavailable if it has to be repeated."""
        try:
            response = await client.request(
                method, path, headers=self._traced_headers(), body=body, timeouts=_UNLIMITED
            )
        except HTTPError as error:
            log.debug("no answer", method=method, path=path, error=str(error))
            raise RuntimeUnavailable(fault_of(error)) from error
        if response.status == _UNAVAILABLE:
            raise RuntimeUnavailable(problem_of(response).detail)
        if response.status == _CONFLICT and (found := problem_of(response)).code == _STALE_AGENT:
            if self.fault is None:
                log.error("commands refused", sidecar=str(self._endpoint), error=found.detail)
            self.fault = found.detail
            raise RuntimeUnavailable(found.detail)
        self.fault = None
        return response

    def _traced_headers(self) -> dict[str, str]:
        """Return the headers of a request, with the trace that it belongs to."""
        traceparent = current_traceparent()
        if traceparent is None:
            return self._headers
        return {**self._headers, "traceparent": traceparent}

    async def _stream(self, path: str, kind: type[T], limit: int) -> AsyncGenerator[T]:
        """Yield the events of a stream. Raises RuntimeUnavailable when it breaks."""
        decoder = LineDecoder(limit=limit)
        opened = self._reads.stream("GET", path, headers=self._headers, timeouts=_STREAM)
        try:
            async with opened as response:
                if response.status != _OK:
                    got = f"got status {response.status}"
                    raise RuntimeUnavailable(f"expected a sidecar's events, {got}")
                async for piece in response:
                    decoder.receive_data(piece)
                    while (line := decoder.next_line()) is not None:
                        event = decode(line, type=kind)
                        yield event
        except HTTPError as error:
            raise RuntimeUnavailable(fault_of(error)) from error
        except (LineError, JSONError) as error:
            raise RuntimeUnavailable(_first_line(error)) from error
        raise RuntimeUnavailable("the sidecar ended its stream of events")


def problem_of(response: Response) -> Problem:
    """Return the problem in a response; if it has none, one that names the status."""
    try:
        return decode(_content(response), type=Problem)
    except JSONError:
        return Problem(f"expected an answer of a sidecar, got status {response.status}")


def fault_of(error: HTTPError) -> str:
    """Return the message of a failed request for callers.

    The text of the error itself names the sidecar's socket, which callers must not learn.
    """
    match error:
        case ConnectFailed():
            return "the sidecar can't be reached"
        case RequestTimeout(phase="pool"):
            return "the agent has too many requests to the sidecar in progress"
        case RequestTimeout():
            return "the sidecar does not answer in time"
        case ConnectionBroken():
            return "the connection to the sidecar broke"
    return "the sidecar's answer is not valid HTTP"


async def sidecar_answers(endpoint: Endpoint, timeout: float) -> bool:
    """Return whether a sidecar answers at an endpoint within a time in seconds."""
    limits = Timeouts(connect=timeout, read=timeout, total=timeout)
    async with Client(endpoint, timeouts=limits, trusted_uids=()) as client:
        try:
            await client.request("GET", "/healthz")
        except HTTPError:
            return False
    return True


def _log_query(request: LogRequest) -> str:
    """Return the query of a request for a log; its values need no escaping.

    Raises:
        UnknownCursor: The request's cursor is not one of a sidecar.
    """
    query = f"limit={request.limit}&wait=0"
    if request.after is not None:
        if not _CURSOR.fullmatch(request.after):
            raise UnknownCursor(f"expected a cursor of this log, got {request.after!r}")
        query += f"&after={request.after}"
    elif request.tail is not None:
        query += f"&tail={request.tail}"
    if request.bounded:
        query += "&bounded"
    return query if request.records is None else query + _records_query(request.records)


def _records_query(records: LogSelection) -> str:
    """Return the parameters that select records."""
    query = "&records"
    if records.stream is not None:
        query += f"&stream={records.stream.value}"
    if records.since is not None:
        query += f"&since={records.since}"
    if records.attempt is not None:
        query += f"&attempt={records.attempt}"
    return query


def _client(endpoint: Endpoint, connections: int) -> Client:
    pool = PoolLimits(connections=connections, per_host=connections)
    return Client(endpoint, pool=pool, trusted_uids=())


def _expect(response: Response, statuses: Collection[int]) -> Response:
    """Return a response with one of the statuses. Raises Refused for any other."""
    if response.status not in statuses:
        found = problem_of(response)
        raise Refused(found.detail, found.code)
    return response


def _zone(response: Response) -> ZoneStatus:
    try:
        document = decode(_content(response))
        if isinstance(document, dict) and "spec" in document:
            document["spec"] = present_spelling(document["spec"])
        return convert(document, type=ZoneStatus)
    except JSONError as error:
        raise RuntimeUnavailable(f"the sidecar's answer: {_first_line(error)}") from error


def _removal(response: Response) -> Removal:
    """Return the receipt in an answer; a sidecar without receipts answers 204."""
    if _expect(response, (_OK, _NO_CONTENT)).status == _NO_CONTENT:
        return Removal()
    try:
        return decode(_content(response), type=Removal)
    except JSONError as error:
        raise RuntimeUnavailable(f"the sidecar's receipt: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]  # without the excerpt and its caret


def _content(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body
