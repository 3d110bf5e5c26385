"""The runtime behind a sidecar: HTTP over a Unix socket, a CRI runtime behind it.

A stream of events is the only source of what exists; the answer to a command tells at most why a
zone did not come to be. Each zone has at most one command under way, repeated until the sidecar
has carried it out: there, every command is idempotent.

What has once been sent may arrive late, though nobody waits for it any more. So a removal is over
only when the starts before it are, and what an agent that has died has sent is refused once the
next one has opened the stream: each tells its name with whatever it asks for.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

import structlog
from kakuri_http import Client, HttpError, PoolLimits, Response, Timeouts
from kakuri_json import JSONError, decode, encode
from kakuri_registry import ZoneSpec, ZoneStatus
from kakuri_tcp import Endpoint

from kakuri_agent._runtime import (
    LogPart,
    LogRequest,
    Observer,
)
from kakuri_agent._sidecar_answers import content, fault_of, problem_of
from kakuri_agent._zone_logs import ZoneLogs
from kakuri_agent._zone_specs import ZoneSpecs
from kakuri_agent._zone_view import ZoneView, follow_events

log = structlog.get_logger()

MAX_CONNECTIONS = 128
"""To the sidecar at once, for ends and for reads each: what is beyond waits for its turn."""

MAX_STARTS = 1024
"""At once: one that waits for its turn does so in its own time, and pulls may hang."""

FIRST_RETRY, LAST_RETRY = 0.1, 3.0
"""Seconds between attempts to reach a sidecar that does not answer; doubled each time."""

START_TIMEOUT = 600.0
"""Seconds after which a zone counts as failed that could not be asked for, or not be made."""

# A command lasts as long as the sidecar needs: it has the deadlines.
_PATIENT = Timeouts(pool=None, read=None, total=None)

_CREATED, _OK, _NO_CONTENT = 201, 200, 204
_BAD_REQUEST, _NOT_FOUND, _CONFLICT, _UNAVAILABLE = 400, 404, 409, 503
_STALE_AGENT = "stale_agent"

_Run = Callable[[], Coroutine[Any, Any, None]]


class _Rank(IntEnum):
    """A command replaces one with a lower rank, or with the same rank and a longer grace time."""

    START = 0
    STOP = 1
    REMOVE = 2


@dataclass(slots=True)
class _Command:
    rank: _Rank
    grace_seconds: int
    task: asyncio.Task[None]


class _NotAnswered(Exception):
    """The sidecar could not be reached, or could not reach its runtime: ask again."""


class _Stale(_NotAnswered):
    """Another agent has taken over; it may be gone later."""


class SidecarRuntime:
    """Runs zones through a sidecar."""

    name = "sidecar"
    is_simulated = False

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        start_timeout: float = START_TIMEOUT,
        retry: tuple[float, float] = (FIRST_RETRY, LAST_RETRY),
    ) -> None:
        """Take where the sidecar listens. Times in seconds; `retry`: the first pause, the last."""
        self._endpoint = endpoint
        self._headers = {"Kakuri-Agent": secrets.token_hex(8)}
        self._usurped: str | None = None
        # A pool each: starts may hang, ends take their grace time, and neither holds up the others.
        self._starts = _client(endpoint, MAX_STARTS)
        self._ends = _client(endpoint, MAX_CONNECTIONS)
        self._reads = _client(endpoint, MAX_CONNECTIONS)
        self._events = _client(endpoint, 1)
        self._log_events = _client(endpoint, 1)
        self._start_timeout = start_timeout
        self._retry = retry
        self._logs = ZoneLogs(self._reads, self._log_events, self._headers, retry)
        self._view = ZoneView(self._logs.zone_changed)
        self._specs = ZoneSpecs(self._fetch, self._view.changed)
        self._commands: dict[str, _Command] = {}
        self._slots = asyncio.Semaphore(MAX_STARTS)
        self._sent: dict[str, set[asyncio.Task[Response]]] = {}  # starts that are not answered
        self._observer: Observer | None = None
        self._following: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<SidecarRuntime {self._endpoint} {self._view!r} {len(self._commands)} commands>"

    @property
    def is_listed(self) -> bool:
        """Whether the stream of events has told every zone."""
        return self._view.is_listed

    @property
    def fault(self) -> str | None:
        """Why zones can't be started or ended at the moment."""
        return self._usurped or self._view.fault

    def attach(self, observer: Observer) -> None:
        """Follow the sidecar's events, and tell this observer."""
        self._observer = observer
        self._view.observer = observer
        following = follow_events(self._events, self._view, self._retry, self._headers)
        self._following = asyncio.get_running_loop().create_task(following)

    def start(self, spec: ZoneSpec) -> None:
        """Begin to run a zone."""
        self._begin(spec.id, _Rank.START, lambda: self._start(spec))

    def stop(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to end a zone."""
        self._begin(zone_id, _Rank.STOP, partial(self._stop, zone_id, grace_seconds), grace_seconds)

    def remove(self, zone_id: str, grace_seconds: int) -> None:
        """Begin to end and remove a zone."""
        self._begin(
            zone_id, _Rank.REMOVE, lambda: self._remove(zone_id, grace_seconds), grace_seconds
        )

    def status(self, zone_id: str) -> ZoneStatus | None:
        """Give what is known of a zone."""
        return self._view.get(zone_id)

    def list(self) -> Collection[ZoneStatus]:
        """Give what is known of all zones."""
        return self._view.all()

    def spec(self, zone_id: str) -> ZoneSpec | None:
        """Return what a zone was made from; None until the sidecar has said so."""
        zone = self._view.get(zone_id)
        return None if zone is None else self._specs.take(zone)

    async def read_log(self, zone_id: str, request: LogRequest) -> LogPart:
        """Give a part of a zone's log."""
        return await self._logs.read(zone_id, request)

    async def close(self) -> None:
        """Tell nothing more; what the sidecar does it goes on doing."""
        self._view.observer = None
        tasks: list[asyncio.Task[Any]] = [command.task for command in self._commands.values()]
        if self._following is not None:
            tasks.append(self._following)
        tasks += [task for sent in self._sent.values() for task in sent]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._specs.close()
        await self._logs.close()
        for client in (
            self._starts, self._ends, self._reads, self._events, self._log_events
        ):  # fmt: skip
            await client.close()

    def _begin(self, zone_id: str, rank: _Rank, run: _Run, grace_seconds: int = 0) -> None:
        """Run a command, unless one that does as much is under way for the zone."""
        present = self._commands.get(zone_id)
        if present is not None:
            if (present.rank, -present.grace_seconds) >= (rank, -grace_seconds):
                return
            present.task.cancel()
        task = asyncio.get_running_loop().create_task(run())
        self._commands[zone_id] = _Command(rank, grace_seconds, task)
        task.add_done_callback(lambda task: self._ended(zone_id, task))

    def _ended(self, zone_id: str, task: asyncio.Task[None]) -> None:
        command = self._commands.get(zone_id)
        if command is not None and command.task is task:
            del self._commands[zone_id]
        if not task.cancelled() and task.exception() is not None:
            log.error("command failed", id=zone_id, exc_info=task.exception())

    async def _fetch(self, zone_id: str) -> ZoneStatus | None:
        """Ask the sidecar about one zone, for its spec; None if there is no such zone."""

        def ask() -> Coroutine[Any, Any, Response]:
            return _ask_once(self._reads, "GET", f"/zones/{zone_id}", b"", self._headers)

        response = await self._ask(ask)
        if response.status != _OK:
            return None
        try:
            return decode(content(response), type=ZoneStatus)
        except JSONError:
            return None

    async def _start(self, spec: ZoneSpec) -> None:
        body = encode(spec)
        try:
            async with asyncio.timeout(self._start_timeout):
                response = await self._ask(lambda: self._send_start(spec.id, body), pending=spec)
        except TimeoutError:
            for task in self._sent.get(spec.id, ()):
                task.cancel()
            fault = self.fault or "the runtime did not start the zone in time"
            self._view.fail(spec, "RuntimeUnavailable", fault)
            return
        if response.status in (_OK, _CREATED):
            with suppress(JSONError):
                self._view.started(decode(content(response), type=ZoneStatus))
        else:
            problem = problem_of(response)
            log.warning("zone not started", id=spec.id, code=problem.code, detail=problem.detail)
            reason = problem.code if problem.code in START_FAILURES else "StartError"
            self._view.fail(spec, reason, problem.detail)

    async def _stop(self, zone_id: str, grace_seconds: int) -> None:
        path = f"/zones/{zone_id}/stop?grace_seconds={grace_seconds}"
        response = await self._insist("POST", path, (_OK, _NOT_FOUND))
        ran: int | None = None
        if response.status == _OK:
            try:
                zone = decode(content(response), type=ZoneStatus)
            except JSONError:
                return
            ran = None if zone.container_id is None else zone.attempt
        self._view.stopped(zone_id, ran)

    async def _remove(self, zone_id: str, grace_seconds: int) -> None:
        path = f"/zones/{zone_id}?grace_seconds={grace_seconds}"
        await self._insist("DELETE", path, (_NO_CONTENT,))
        while sent := self._sent.get(zone_id):  # which the sidecar may have had after the removal
            await asyncio.wait(set(sent))
            await self._insist("DELETE", path, (_NO_CONTENT,))
        self._view.removed(zone_id)

    async def _send_start(self, zone_id: str, body: bytes) -> Response:
        """Ask for a start; when this is cancelled the request goes on, as the sidecar would."""
        await self._slots.acquire()
        request = _ask_once(self._starts, "POST", "/zones", body, self._headers)
        task = asyncio.get_running_loop().create_task(request)
        sent = self._sent.setdefault(zone_id, set())
        sent.add(task)

        def answered(task: asyncio.Task[Response]) -> None:
            self._slots.release()
            sent.discard(task)
            if not sent and self._sent.get(zone_id) is sent:
                del self._sent[zone_id]
            if not task.cancelled():
                task.exception()  # which nobody may wait for

        task.add_done_callback(answered)
        return await asyncio.shield(task)

    async def _insist(self, method: str, path: str, done: tuple[int, ...]) -> Response:
        """Ask until it is done: what the runtime refuses to end now it may end later."""
        pause, longest = self._retry

        def ask() -> Coroutine[Any, Any, Response]:
            return _ask_once(self._ends, method, path, b"", self._headers)

        while (response := await self._ask(ask)).status not in done:
            log.warning("not ended", path=path, detail=problem_of(response).detail)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        return response

    async def _ask(
        self,
        ask: Callable[[], Coroutine[Any, Any, Response]],
        *,
        pending: ZoneSpec | None = None,
    ) -> Response:
        """Ask until there is an answer. `pending`: the zone that waits meanwhile."""
        pause, longest = self._retry
        if not self._view.opened.is_set():  # before that, this agent has not taken over
            if pending is not None:
                self._view.wait(pending, "RuntimeUnavailable", self.fault or "")
            await self._view.opened.wait()
        while True:
            try:
                response = await ask()
            except _NotAnswered as error:
                if isinstance(error, _Stale):
                    self._note_usurped(str(error))
                if pending is not None:
                    self._view.wait(pending, "RuntimeUnavailable", str(error))
            else:
                self._usurped = None
                return response
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _note_usurped(self, words: str) -> None:
        if self._usurped is None:
            log.error("commands refused", sidecar=str(self._endpoint), error=words)
        self._usurped = words


START_FAILURES = frozenset({"ImagePullFailed", "StartError", "RuntimeUnavailable", "Stopped"})
"""The reasons of a failed start that the sidecar tells."""


def _client(endpoint: Endpoint, connections: int) -> Client:
    return Client(endpoint, pool=PoolLimits(connections=connections, per_host=connections))


async def _ask_once(
    client: Client, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> Response:
    try:
        response = await client.request(method, path, headers=headers, body=body, timeouts=_PATIENT)
    except HttpError as error:
        log.debug("no answer", method=method, path=path, error=str(error))
        raise _NotAnswered(fault_of(error)) from error
    if response.status == _UNAVAILABLE:
        raise _NotAnswered(problem_of(response).detail)
    if response.status == _CONFLICT and problem_of(response).code == _STALE_AGENT:
        raise _Stale(problem_of(response).detail)
    return response
