"""The hub: the events of the agent, for all streams of this process.

One connection waits for events, however many streams there are. Each event is encoded once, and
streams read the encoded batches from one list, each from its own position; so a stream costs no
memory of its own, and a slow one delays no other.

The hub runs while a stream or a long poll needs it. It resumes after the last index once an
unreachable agent answers again; if events were lost, or the agent has another store than before,
all streams end with a gap.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import structlog
from kakuri_daemon import KeyedEvents, retrieve_exception, set_trace, wait_until_set
from kakuri_rpc import AgentClient, AgentError, AgentWatch, ClientClosed, ErrorCode, RPCError
from kakuri_workload import CopyableError
from kakuri_workload.metrics import Counts, MetricFamily, gauge

from kakuri_control_plane._event_views import StreamEvent, encoded_event
from kakuri_control_plane._slots import Slot, Slots

_log = structlog.get_logger()

T = TypeVar("T")

WAIT_SECONDS = 25.0
"""Seconds that the agent may wait for events before the next request."""

PAUSE_SECONDS = 0.25
"""Seconds until the next request after one that failed."""

HEARTBEAT_SECONDS = 5.0
"""Time between two heartbeats of a stream."""

MAX_STREAMS = 256
"""Maximum number of concurrent streams of events."""

MAX_UNSENT = 1 << 20
"""Maximum bytes of JSON lines that the hub keeps. The same events as server-sent events can take as
many bytes again. A stream that has more than this left to send is cut off."""

BATCH_BYTES = 128
"""Bytes that each batch counts in addition to its lines, so that heartbeats are bounded, too."""

SECONDS_PER_STREAM = 0.001
"""The pause between two batches is this long for each stream, and for one if there is none: fifty
times as long as a write to a stream takes, so that streams take a small part of the process's time.
A single change is sent at once."""


class TooManyStreams(CopyableError):
    """Too many streams are open, or too many are reading pages from the agent."""


@dataclass(frozen=True)
class Batch:
    """Events that were published together; without events, a heartbeat.

    Attributes:
        index: The agent's index after these events.
        events: The events.
        lines: All of them as lines of JSON.
    """

    index: int
    events: tuple[StreamEvent, ...] = ()
    lines: bytes = b""

    @cached_property
    def server_sent(self) -> bytes:
        """All of them as server-sent events."""
        return b"".join([each.server_sent for each in self.events])


@dataclass(frozen=True, slots=True)
class Gap:
    """The end of a stream: events were lost. `oldest` is the smallest index to continue after."""

    oldest: int


class EventHub:
    """The events of one agent."""

    def __init__(self, agent: AgentClient) -> None:
        """Create a hub; nothing is sent until it is needed.

        Args:
            agent: The client of the agent.
        """
        self._agent = agent
        self._slots = Slots(MAX_STREAMS, "streams of events", TooManyStreams)
        self._polls = KeyedEvents()  # of the workloads that long polls wait for
        self._batches: deque[Batch | Gap] = deque()
        self._first_number = 0  # of the oldest batch in the list; batches are numbered in order
        self._dropped_index = 0  # events up to this index are not in the list
        self._index = 0
        self._store_id: str | None = None
        self._bytes = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._start_task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._cuts = Counts(
            "kakuri_event_streams_cut",
            "Streams of events that ended early: the client read slowly, events were lost, or "
            "another user needed the slot.",
            ("reason",),
        )

    @property
    def index(self) -> int:
        """The index of the latest events that are known."""
        return self._index

    @property
    def store_id(self) -> str | None:
        """The id of the store that issued the index; None if the agent does not report it."""
        return self._store_id

    @property
    def end(self) -> int:
        """The number that the next batch will have."""
        return self._first_number + len(self._batches)

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics of streams."""
        streams = float(len(self._slots))
        return gauge("kakuri_event_streams", "Streams of events.", streams), self._cuts.family()

    def check_slot(self, user: str) -> None:
        """Raise TooManyStreams if `take_slot` would."""
        self._slots.check(user)

    async def take_slot(self, user: str) -> Slot:
        """Return a slot for a stream once the hub runs; keep it until the stream ends.

        Args:
            user: The user, as `user_of` returns it; slots are shared among users.

        Raises:
            TooManyStreams: All slots are taken, and no user has more than this one would have.
            RPCError: The agent can't be asked for its current index.
        """
        await self.start()
        slot = self._slots.take(user)
        slot.end = self._slot_displaced
        return slot

    def position(self, index: int) -> int | None:
        """Return the number of the batch with the first event after an index; None if dropped."""
        if index < self._dropped_index:
            return None
        number = self.end
        for batch in reversed(self._batches):
            if isinstance(batch, Gap) or batch.index <= index:
                break
            number -= 1
        return number

    async def batches(self, number: int, slot: Slot) -> AsyncIterator[Batch | Gap]:
        """Yield the batches from a number on, as they are published.

        Ends when the hub is closed, after a gap, when the client reads too slowly, or when another
        stream has displaced this one.
        """
        while True:
            while number >= self.end and not slot.is_displaced:
                if self._is_closed:
                    return
                await self._changed.wait()
            if slot.is_displaced:
                return
            if number < self._first_number:
                _log.info("stream of events cut", reason="the client reads too slowly")
                self._cuts["slow",] += 1
                return
            batch = self._batches[number - self._first_number]
            yield batch
            if isinstance(batch, Gap):
                self._cuts["gap",] += 1
                return
            number += 1

    async def await_reply(
        self,
        workload_id: str,
        seconds: float,
        ask: Callable[[], Awaitable[T]],
        is_met: Callable[[T], bool],
    ) -> T:
        """Return the first reply about a workload that meets a condition, or the last reply.

        The agent is asked at once, and again after each event about the workload, so no change
        after the first reply is missed.

        Args:
            workload_id: The workload.
            seconds: The time after which the latest reply is returned.
            ask: Asks the agent.
            is_met: Whether a reply meets the condition.

        Raises:
            RPCError: The agent can't be asked, or `ask` raised it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._polls.watch(workload_id) as changed:
            await self.start()
            while True:
                reply = await ask()
                if self._is_closed or is_met(reply):
                    return reply
                if not await wait_until_set(changed, deadline - loop.time()):
                    return reply

    async def close(self) -> None:
        """End all streams and long polls. May be called again."""
        self._end_all()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def start(self) -> None:
        """Start the hub unless it runs.

        Callers that need it at the same time share one request: with a request for each, they would
        wait for an agent that hangs one after the other.

        Raises:
            RPCError: The agent can't be asked for its current index.
        """
        if self._task is not None or self._is_closed:
            return
        if self._start_task is None:
            self._start_task = asyncio.create_task(self._connect())
            self._start_task.add_done_callback(self._start_ended)
        await asyncio.shield(self._start_task)

    def _start_ended(self, starting: asyncio.Task[None]) -> None:
        self._start_task = None
        retrieve_exception(starting)

    async def _connect(self) -> None:
        """Ask the agent for its current index, and begin to read the events after it."""
        set_trace(None)  # the hub serves all requests, not only the one that started it
        watch = self._agent.open_watch()
        try:
            changes = await watch.read()
        except BaseException:
            await watch.close()
            raise
        if self._is_closed:
            await watch.close()
            return
        index = changes.next
        self._first_number, self._dropped_index, self._index = self.end, index, index
        self._store_id = changes.store_id
        self._batches.clear()
        self._bytes = 0
        self._task = asyncio.create_task(self._run(watch))

    async def _run(self, watch: AgentWatch) -> None:
        """Read events until no stream and no long poll is left."""
        heartbeats = asyncio.create_task(self._send_heartbeats())
        try:
            async with watch:
                while True:
                    await self._read(watch)
                    await asyncio.sleep(SECONDS_PER_STREAM * max(1, len(self._slots)))
        except ClientClosed:
            self._end_all()
        except Exception:
            self._publish(Gap(self._index))  # so that no stream continues with a gap
            raise
        finally:
            heartbeats.cancel()
            if self._task is asyncio.current_task():
                self._task = None

    async def _read(self, watch: AgentWatch) -> None:
        try:
            changes = await watch.read(self._index, wait_seconds=WAIT_SECONDS)
        except ClientClosed:
            raise
        except RPCError as error:
            if isinstance(error, AgentError) and error.code is ErrorCode.COMPACTED:
                await self._lose_events(watch, error.oldest or 0)
            else:
                await asyncio.sleep(PAUSE_SECONDS)
            return
        if changes.store_id and self._store_id and changes.store_id != self._store_id:
            await self._lose_events(watch)  # the agent has another store now
            return
        self._store_id = changes.store_id or self._store_id
        events = tuple(map(encoded_event, changes.events))
        self._index = changes.next
        if events:
            self._publish(Batch(changes.next, events, b"".join(each.line for each in events)))
            ids = {each.workload_id for each in events if each.workload_id is not None}
            for workload_id in ids:
                self._polls.set(workload_id)

    async def _lose_events(self, watch: AgentWatch, oldest: int | None = None) -> None:
        """End all streams, because the agent does not have the next events.

        Args:
            watch: Reads the events.
            oldest: The smallest index to continue after; by default the current one.
        """
        _log.warning("events lost", after=self._index, oldest=oldest)
        try:
            current = await watch.read()
        except RPCError:
            await asyncio.sleep(PAUSE_SECONDS)
            return
        self._first_number, self._bytes = self.end, 0  # a slow stream ends without a gap line
        self._batches.clear()
        index = current.next
        self._publish(Gap(index if oldest is None else oldest))
        self._dropped_index = self._index = index
        self._store_id = current.store_id
        self._polls.set_all()
        await asyncio.sleep(PAUSE_SECONDS)  # with two agents at one address, each read loses events

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if not self._slots and not self._polls and self._task is not None:
                self._task.cancel()
                self._task = None  # so that the next stream starts another one
                return
            self._publish(Batch(self._index))

    def _publish(self, batch: Batch | Gap) -> None:
        self._batches.append(batch)
        self._bytes += _size(batch)
        while self._bytes > MAX_UNSENT and len(self._batches) > 1:
            dropped = self._batches.popleft()
            self._first_number += 1
            self._bytes -= _size(dropped)
            if isinstance(dropped, Batch):
                self._dropped_index = dropped.index
        self._wake_streams()

    def _slot_displaced(self) -> None:
        """Count a stream that lost its slot, and wake all streams so that this one ends."""
        _log.info("stream of events cut", reason="all slots are taken")
        self._cuts["displaced",] += 1
        self._wake_streams()

    def _end_all(self) -> None:
        self._is_closed = True
        self._wake_streams()
        self._polls.set_all()

    def _wake_streams(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _size(batch: Batch | Gap) -> int:
    return BATCH_BYTES + (len(batch.lines) if isinstance(batch, Batch) else 0)
