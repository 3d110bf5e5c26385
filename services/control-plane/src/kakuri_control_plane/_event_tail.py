"""The latest events before an index, as many as a client asks for.

The agent returns the events after an index, but not every index has an event, and a filter rejects
some. So the search begins close to the end and goes further back until it has found enough, or has
read every event that is kept, each of them once.
"""

from collections import deque
from collections.abc import Awaitable, Callable

from kakuri_rpc import AgentError, Changes, ErrorCode

from kakuri_control_plane._event_views import EventFilter, StreamEvent, encoded_event

DISTANCE_GROWTH = 4
"""Factor by which a search goes further back each time that it has found too few events."""

MAX_COMPACTIONS = 8
"""Number of times that a search finds its first events compacted before it fails."""


async def latest_events(
    read: Callable[[int], Awaitable[Changes]], index: int, count: int, event_filter: EventFilter
) -> list[StreamEvent]:
    """Return the latest events up to an index, oldest first.

    Args:
        read: Returns the events of the agent after an index.
        index: The index of the last event that may be returned.
        count: How many events to return at most.
        event_filter: Admits the events that count.

    Raises:
        AgentError: The code is `compacted` if events are dropped faster than they are read.
        RPCError: The agent can't be asked.
    """
    found: list[StreamEvent] = []
    end, oldest, distance, compactions = index, 0, count, 0
    while True:
        begin = max(oldest, index - distance)
        try:
            earlier = await _last_between(read, begin, end, count - len(found), event_filter)
        except AgentError as error:
            compactions += 1
            if error.code is not ErrorCode.COMPACTED or compactions == MAX_COMPACTIONS:
                raise
            oldest = error.oldest or 0
            continue
        found, end = earlier + found, begin
        if len(found) == count or begin <= oldest:
            return found
        distance *= DISTANCE_GROWTH


async def _last_between(
    read: Callable[[int], Awaitable[Changes]],
    begin: int,
    end: int,
    count: int,
    event_filter: EventFilter,
) -> list[StreamEvent]:
    found: deque[StreamEvent] = deque(maxlen=count)
    while begin < end:
        changes = await read(begin)
        events = [event for event in changes.events if event.index <= end]
        encoded = map(encoded_event, events if event_filter else events[-count:])
        found.extend(filter(event_filter.admits, encoded))
        if not changes.events:  # a page without events ends at the agent's current index
            break
        begin = changes.next
    return list(found)
