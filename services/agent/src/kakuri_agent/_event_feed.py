"""The events of the node, for control planes that follow them.

The registry's journal publishes an event once a crash would not undo it. A request that waits is
answered with the events that are published next.
"""

import asyncio
from collections.abc import Awaitable, Callable

from kakuri_daemon import KeyedEvents, wait_until_set
from kakuri_registry import Compacted, WorkloadRegistry, event_size
from kakuri_rpc import (
    MAX_EVENTS_BYTES,
    Changes,
    Desired,
    ErrorCode,
    ErrorReply,
    LateReply,
    Reply,
    State,
    WatchChanges,
)
from kakuri_workload import DesiredState, Event, EventType, WorkloadState

from kakuri_agent._version import __version__
from kakuri_agent.runtimes._protocol import Runtime

AVAILABILITY_SECONDS = 1.0
"""Seconds between two checks of whether the runtime is available; shorter outages are not
events."""

JSON_BYTES_PER_CHARACTER = 6
"""Largest number of bytes that one character of a runtime's text has in JSON: `\\u001b`."""

_ANY = ""
"""The key under which every request waits: all of them want the next event."""


class EventFeed:
    """Answers requests for events, and records the events of the node itself."""

    def __init__(
        self, registry: WorkloadRegistry, runtime: Runtime, *, clock: Callable[[], float]
    ) -> None:
        """Record that the agent started.

        Args:
            registry: Has the journal.
            runtime: Its availability is an event.
            clock: Wall clock, for the times of events.
        """
        self._registry = registry
        self._journal = registry.journal
        self._store_id = registry.store_id
        self._runtime = runtime
        self._clock = clock
        self._waiting = KeyedEvents()
        self._is_stopping = False
        self._was_available = True
        self._loop = asyncio.get_running_loop()
        self._check = self._loop.call_later(AVAILABILITY_SECONDS, self._check_runtime)
        self._journal.subscribe(self._waiting.set_all)
        registry.record(EventType.NODE, now=clock(), version=__version__)

    def read(self, request: WatchChanges) -> Reply | Awaitable[LateReply]:
        """Answer a request for events, at once if there are some or it does not wait."""
        reply = self._reply(request)
        if request.wait_seconds and _is_empty(reply) and not self._is_stopping:
            return self._wait(request)
        return reply

    def stop_waiting(self) -> None:
        """Answer the requests that wait, and every later one at once."""
        self._is_stopping = True
        self._waiting.set_all()

    def close(self) -> None:
        """Stop checking the runtime."""
        self._check.cancel()
        self._journal.subscribe(None)

    async def _wait(self, request: WatchChanges) -> Reply:
        deadline = self._loop.time() + request.wait_seconds
        with self._waiting.watch(_ANY) as published:
            while True:
                reply = self._reply(request)
                if not _is_empty(reply) or self._is_stopping:
                    return reply
                if not await wait_until_set(published, deadline - self._loop.time()):
                    return reply

    def _reply(self, request: WatchChanges) -> Reply:
        index = self._journal.index
        if request.after is None:
            return Changes([], index, self._store_id)
        try:
            events = self._journal.after(request.after, request.limit)
        except Compacted as error:
            return ErrorReply(
                ErrorCode.COMPACTED, str(error), oldest=error.oldest, newest=error.newest
            )
        page = _first_page(events)
        if len(page) < len(events) or len(page) == request.limit:  # more events may follow
            index = page[-1].index
        else:
            index = max(index, request.after)
        return Changes([message_of(event) for event in page], index, self._store_id)

    def _check_runtime(self) -> None:
        fault = self._runtime.fault
        is_available = fault is None
        if is_available is not self._was_available:
            self._was_available = is_available
            self._registry.record(
                EventType.RUNTIME, now=self._clock(), available=is_available, message=fault
            )
        self._check = self._loop.call_later(AVAILABILITY_SECONDS, self._check_runtime)


def message_of(event: Event[WorkloadState, DesiredState]) -> Event[State, Desired]:
    """Return an event with the states of the agent protocol in place of the registry's."""
    state, desired = event.state, event.desired
    return Event(
        event.index,
        event.at,
        event.type,
        event.id,
        None if state is None else State.of(state),
        event.reason,
        event.message,
        event.exit_code,
        event.attempt,
        None if state is None or desired is None else Desired.of(desired, state),
        dict(event.labels),  # the codec omits an empty dict, but not a frozen mapping
        event.removal,
        event.available,
        event.version,
        event.trace,
    )


def _is_empty(reply: Reply) -> bool:
    """Return whether a reply has no events, for which a request can wait."""
    return isinstance(reply, Changes) and not reply.events


def _first_page(
    events: list[Event[WorkloadState, DesiredState]],
) -> list[Event[WorkloadState, DesiredState]]:
    """Return as many events as fit into one reply, and at least the first."""
    size = 0
    for count, event in enumerate(events):
        size += _encoded_size(event)
        if count and size > MAX_EVENTS_BYTES:
            return events[:count]
    return events


def _encoded_size(event: Event[WorkloadState, DesiredState]) -> int:
    """Return a bound on the bytes of an event's encoding."""
    texts = [event.reason, event.message]  # the others are written without escapes
    if (removal := event.removal) is not None:
        texts += (removal.zone, removal.container, removal.verified_by)
    characters = sum(len(text) for text in texts if text is not None)
    return event_size(event) + JSON_BYTES_PER_CHARACTER * characters
