"""Streams of events, `GET /events`, and long polls for changes of one workload.

A stream begins after an index, now, or with the state of each workload. The last two may be
preceded by the latest events; later events are then sent even if a state already includes them.
Events that the hub has dropped are read from the agent page by page, at the pace of the client.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import partial
from itertools import chain, repeat

import structlog
from kakuri_daemon import retrieve_exception
from kakuri_daemon.api import QueryError
from kakuri_http import Request, Response, ResponseAborted
from kakuri_json import Fault
from kakuri_rpc import AgentClient, AgentError, Changes, ErrorCode, RPCError, Status
from kakuri_workload import CopyableError

from kakuri_control_plane._agent_pages import AgentPages
from kakuri_control_plane._agent_turns import AgentTurns
from kakuri_control_plane._event_hub import Batch, EventHub, Gap, TooManyStreams
from kakuri_control_plane._event_tail import latest_events
from kakuri_control_plane._event_views import (
    HEARTBEAT_COMMENT,
    RETRY,
    EventFilter,
    StreamEvent,
    encoded_event,
    encoded_state,
    gap_line,
    heartbeat_line,
    synced_line,
)
from kakuri_control_plane._headers import MAX_VERSION
from kakuri_control_plane._queries import EventQuery
from kakuri_control_plane._slots import Slot
from kakuri_control_plane._users import user_of

_log = structlog.get_logger()

NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-store"}
INDEX = re.compile(r"[0-9]{1,16}")


class StoreReplaced(CopyableError):
    """A client named an index of a store that the agent no longer has.

    Attributes:
        store_id: The id of the current store.
        oldest: The smallest index after which that store has all events.
        newest: That store's current index.
    """

    def __init__(self, store_id: str, oldest: int, newest: int) -> None:
        super().__init__("another store issued the index")
        self.store_id = store_id
        self.oldest = oldest
        self.newest = newest


class EventStreams:
    """The handler of `GET /events`, and long polls on the same hub."""

    def __init__(self, agent: AgentClient, hub: EventHub) -> None:
        self._agent = agent
        self._hub = hub
        self._turns = AgentTurns(agent, 1, "reads of streams", TooManyStreams)
        # Requests in progress, by workload id and the hub's index when they were sent.
        self._status_requests: dict[tuple[str, int], asyncio.Task[Status]] = {}

    async def get_events(self, request: Request, query: EventQuery) -> Response:
        """Stream events until the client disconnects or the control plane stops.

        A slot is taken last, so that a refused request displaces no other stream. HEAD takes none.
        """
        after, is_snapshot = _beginning(request, query)
        event_filter = EventFilter(query.workload, query.label_pair, query.kinds)
        is_server_sent = EVENT_STREAM in (request.headers.get("accept") or "").lower()
        media_type = EVENT_STREAM if is_server_sent else NDJSON
        await self._hub.start()
        user = user_of(request)
        self._hub.check_slot(user)  # before pages are read from the agent
        pages = AgentPages(self._agent, self._turns, user)
        stream = _Stream(self._hub, pages, event_filter, is_server_sent=is_server_sent)
        beginning = await stream.read_beginning(
            after, is_snapshot=is_snapshot, tail=query.tail, store_id=query.store_id
        )
        if request.method == "HEAD":
            return Response(200, iter(()), headers=HEADERS, content_type=media_type)
        slot = await self._hub.take_slot(user)
        pieces = stream.pieces(slot, *beginning, is_snapshot=is_snapshot)
        return Response(200, pieces, headers=HEADERS, content_type=media_type)

    async def changed_status(self, workload_id: str, seconds: float, after: int | None) -> Status:
        """Return the status of a workload once its version is greater than `after`.

        After `seconds`, return it in any case. Without `after`, wait for the next change. The
        status has no details, because thousands of requests may wait, each with its latest reply.
        """
        known = (await self._status(workload_id)).version or 0 if after is None else after
        # The first request is not shared: one in progress may be older than the client's `after`.
        requests = chain((self._status,), repeat(self._shared_status))
        return await self._hub.await_reply(
            workload_id,
            seconds,
            lambda: next(requests)(workload_id),
            lambda status: (status.version or 0) > known,
        )

    async def _status(self, workload_id: str) -> Status:
        return await self._agent.get_status(workload_id, with_version=True)

    async def _shared_status(self, workload_id: str) -> Status:
        """Return a status that includes every event the hub has read.

        One event may wake thousands of long polls, which share one request to the agent.
        """
        key = workload_id, self._hub.index
        if (task := self._status_requests.get(key)) is None:
            task = self._status_requests[key] = asyncio.create_task(self._status(workload_id))
            task.add_done_callback(partial(self._status_ended, key))
        return await asyncio.shield(task)

    def _status_ended(self, key: tuple[str, int], task: asyncio.Task[Status]) -> None:
        del self._status_requests[key]
        retrieve_exception(task)


class _Stream:
    """The content of one response to `GET /events`.

    It goes through up to four parts: the latest events (`tail`), the states of all workloads, the
    events that only the agent still has, and then what the hub publishes.
    """

    def __init__(
        self,
        hub: EventHub,
        pages: AgentPages,
        event_filter: EventFilter,
        *,
        is_server_sent: bool,
    ) -> None:
        self._hub = hub
        self._pages = pages
        self._filter = event_filter
        self._index = hub.index
        self._store_id = hub.store_id  # that issued the index; None if unknown
        self._versions: dict[str, int] = {}  # of states later than the index, by workload
        self._is_server_sent = is_server_sent

    async def read_beginning(
        self, after: int | None, *, is_snapshot: bool, tail: int, store_id: str | None
    ) -> tuple[bytes | None, Changes | None]:
        """Return what the stream begins with: the latest events, and those after its index.

        Args:
            after: The index to continue after; None for the current one.
            is_snapshot: Whether to begin with the current states.
            tail: The number of latest events to begin with; ignored with `after`.
            store_id: The id of the store that issued the index; None if the client sent none.

        Returns:
            The encoded latest events, None without a tail; and the first page of the events that
            the hub has dropped, None if it has all after the index.

        Raises:
            AgentError: The code is `compacted` if the events after the index are not kept.
            StoreReplaced: Another store issued the index.
            RPCError: The agent can't be asked.
            TooManyStreams: Too many streams read pages from the agent.
        """
        first: Changes | None = None
        latest: bytes | None = None
        if tail and after is None:
            events = await latest_events(self._pages.events_after, self._index, tail, self._filter)
            if is_snapshot:  # without an id, so that a client that reconnects gets the states
                pieces = [self._line(each.kind.encode(), None, each.line) for each in events]
                latest = b"".join(pieces)
            else:
                latest = self._joined(events)
        if after is not None:
            self._index, self._store_id = after, store_id
            await self._check_store(self._hub.store_id)
            if self._hub.position(after) is None or after > self._hub.index:
                first = await self._read_after(after)
        return latest, first

    async def _read_after(self, index: int) -> Changes:
        changes = await self._pages.events_after(index)
        await self._check_store(changes.store_id)
        return changes

    async def _check_store(self, current: str | None) -> None:
        """Check that the current store issued this stream's index, if both stores are known.

        Raises:
            StoreReplaced: Another store issued it.
            RPCError: The agent can't be asked for the oldest index.
        """
        if current is None or self._store_id in (None, current):
            return
        oldest = 0
        try:
            await self._pages.events_after(0)  # only its error names the oldest index
        except AgentError as error:
            if error.code is not ErrorCode.COMPACTED:
                raise
            oldest = error.oldest or 0
        raise StoreReplaced(current, oldest, self._hub.index)

    async def pieces(
        self,
        slot: Slot,
        latest: bytes | None,
        changes: Changes | None,
        *,
        is_snapshot: bool,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the stream, until it is cut off or the slot is displaced.

        Args:
            slot: Its slot.
            latest: The encoded latest events, or None.
            changes: The first page of dropped events, or None.
            is_snapshot: Whether to begin with the current states.
        """
        if self._is_server_sent:
            yield RETRY
        if latest is not None:
            # Without states, a heartbeat marks the end of the latest events.
            yield latest if is_snapshot else latest + self._heartbeat(self._index)
        try:
            if is_snapshot:
                async with aclosing(self._states(slot, has_tail=latest is not None)) as states:
                    async for piece in states:
                        yield piece
            async with aclosing(self._missed_events(slot, changes)) as pieces:
                async for piece in pieces:
                    yield piece
            await self._check_store(self._hub.store_id)  # the agent may have another store by now
        except StoreReplaced as error:
            yield self._gap(error.oldest)
            return
        except (RPCError, TooManyStreams) as error:
            if not isinstance(error, AgentError) or error.code is not ErrorCode.COMPACTED:
                _log.warning("stream of events cut off", error=str(error))
                raise ResponseAborted(f"no more events from the agent: {error}") from error
            yield self._gap(error.oldest or 0)
            return
        position = self._hub.position(self._index)
        position = self._hub.end if position is None else position
        async for batch in self._hub.batches(position, slot):
            if isinstance(batch, Gap):
                yield self._gap(batch.oldest)
            elif piece := self._batch(batch):
                yield piece

    async def _missed_events(
        self, slot: Slot, changes: Changes | None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events that the hub has dropped, up to the first that it has.

        Args:
            slot: Ends this if it is displaced.
            changes: The first page of them, if it has been read already.
        """
        while changes is not None or self._hub.position(self._index) is None:
            if slot.is_displaced:
                return
            if changes is None:
                changes = await self._read_after(self._index)
            piece = self._encoded(map(encoded_event, changes.events))
            if not changes.events and self._hub.position(changes.next) is None:
                message = f"expected events after {self._index} from the agent, got none"
                _log.warning("stream of events cut off", error=message)
                raise ResponseAborted(message)
            self._index, changes = changes.next, None
            if piece:
                yield piece

    async def _states(self, slot: Slot, *, has_tail: bool) -> AsyncGenerator[bytes, None]:
        """Yield the current state of each workload, and the index after which changes follow.

        A state may be later than the index. Without a tail, the changes that it includes are left
        out; after a tail they follow, because the client asked for a history without gaps.
        """
        index = self._index
        async with aclosing(self._state_pages()) as pages:
            async for statuses in pages:
                for status in statuses:
                    if not has_tail and (status.version or 0) > index:
                        self._versions[status.id] = status.version or 0
                piece = self._encoded(map(encoded_state, statuses))
                if piece:
                    yield piece
                if slot.is_displaced:
                    return
        yield self._line(b"synced", index, synced_line(index, self._store_id or self._hub.store_id))

    async def _state_pages(self) -> AsyncGenerator[list[Status], None]:
        if self._filter.workload_id is not None:
            try:
                status = await self._pages.state_of(self._filter.workload_id)
            except AgentError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
                return
            yield [status]
            return
        label = self._filter.label and "=".join(self._filter.label)
        after: str | None = ""
        while after is not None:
            page = await self._pages.states_after(after, label)
            yield page.workloads
            after = page.next

    def _batch(self, batch: Batch) -> bytes:
        if not batch.events:
            return self._heartbeat(max(batch.index, self._index))
        begins_before = batch.events[0].index <= self._index
        if begins_before or self._filter or self._versions:
            piece = self._encoded(batch.events)
        else:
            piece = batch.server_sent if self._is_server_sent else batch.lines
        self._index = max(batch.index, self._index)
        return piece

    def _encoded(self, events: Iterable[StreamEvent]) -> bytes:
        """Return those of the events that the filter admits and the client does not have yet."""
        admitted = []
        for event in events:
            if event.kind != "state":
                if event.index <= self._index:
                    continue
                if self._versions and event.index <= self._versions.get(event.workload_id or "", 0):
                    continue  # the client has a later state already
            if self._filter.admits(event):
                admitted.append(event)
        return self._joined(admitted)

    def _joined(self, events: Iterable[StreamEvent]) -> bytes:
        if self._is_server_sent:
            return b"".join([event.server_sent for event in events])
        return b"".join([event.line for event in events])

    def _heartbeat(self, index: int) -> bytes:
        return (
            HEARTBEAT_COMMENT
            if self._is_server_sent
            else heartbeat_line(index, self._store_id or self._hub.store_id)
        )

    def _gap(self, oldest: int) -> bytes:
        return self._line(b"gap", None, gap_line(oldest))

    def _line(self, kind: bytes, index: int | None, line: bytes) -> bytes:
        if not self._is_server_sent:
            return line
        number = b"" if index is None else b"id: %d\n" % index
        return b"%bevent: %b\ndata: %b\n" % (number, kind, line)


def _beginning(request: Request, query: EventQuery) -> tuple[int | None, bool]:
    """Return where a stream begins: the index, and whether the current states come first.

    The index is None for the current one.

    Raises:
        QueryError: The Last-Event-ID is neither an index nor `now`.
    """
    after = query.after
    last = request.headers.get("last-event-id")
    if last is not None:
        after = "now" if last == "now" else _index(last)
    if after is None or after == "now":
        return None, after is None
    return after, False


def _index(text: str) -> int:
    """Return the index of a Last-Event-ID.

    Raises:
        QueryError: It is not an index.
    """
    if INDEX.fullmatch(text) and (index := int(text)) <= MAX_VERSION:
        return index
    message = f"expected an index or 'now', got {text!r:.80}"
    raise QueryError([Fault("header.Last-Event-ID", message)])
