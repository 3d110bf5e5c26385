"""Pages that streams read from the agent: events that the hub no longer has, and first states.

With a filter that admits few events, one stream may read all 10,000 that the agent keeps, in ten
pages or more, each as expensive as dozens of ordinary requests. The states of 100,000 workloads
take a hundred such pages. So all streams of this process take turns, one page at a time, and other
requests are answered between two pages.
"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial
from typing import TypeVar

from kakuri_rpc import AgentClient, AgentError, Changes, RPCError, WorkloadList

from kakuri_control_plane._event_slots import TooManyStreams

TURN_SECONDS = 5.0
"""Seconds that a stream waits for its turn, in addition to the agent's timeout for one page. A
stream that waits for a page that times out gets the error of the agent, not TooManyStreams."""

T = TypeVar("T")


class AgentPages:
    """Reads the events of one agent and the states of its workloads, a page at a time."""

    def __init__(self, agent: AgentClient) -> None:
        """Create a reader; nothing is sent yet.

        Args:
            agent: The client of the agent.
        """
        self._agent = agent
        self._turn = asyncio.Lock()
        self._failures = 0
        self._failure: RPCError | None = None

    async def events_after(self, index: int) -> Changes:
        """Return the events after an index, as many as the agent sends at once.

        Raises:
            TooManyStreams: So many streams read pages that this one had no turn in time.
            AgentError: The code is `compacted` if the events after the index are not kept.
            RPCError: The agent can't be asked.
        """
        return await self._in_turn(partial(self._agent.get_changes, index))

    async def states_after(self, workload_id: str, label: str | None) -> WorkloadList:
        """Return the states of the workloads after an id, as many as the agent sends at once.

        Args:
            workload_id: The id; empty for the first page.
            label: Only of workloads with this label, as `key=value`.

        Raises:
            TooManyStreams: So many streams read pages that this one had no turn in time.
            RPCError: The agent can't be asked.
        """
        listing = partial(self._agent.list_workloads, after=workload_id, label=label, detail=True)
        return await self._in_turn(listing)

    async def _in_turn(self, ask: Callable[[], Awaitable[T]]) -> T:
        failures, seconds = self._failures, self._agent.timeout + TURN_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise TooManyStreams(
                f"no turn within {seconds:g} s: too many streams read from the agent"
            ) from None
        try:
            if self._failure is not None and self._failures > failures:
                raise copy(self._failure)  # another request would most likely time out as well
            return await self._ask(ask)
        finally:
            self._turn.release()

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except AgentError:
            raise
        except RPCError as error:
            self._failures += 1
            self._failure = copy(error)
            raise
