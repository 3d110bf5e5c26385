"""Events that the agent keeps, for streams that begin or continue before those of the hub.

A filter that admits few events lets one request read all that are kept: 10,000 events in ten pages
or more, each as expensive as dozens of ordinary requests. So one page is read at a time, for all
streams of this process in turn, and other requests are answered between two pages.
"""

import asyncio

from kakuri_rpc import AgentClient, Changes

from kakuri_control_plane._event_hub import TooManyStreams

TURN_SECONDS = 5.0
"""Seconds that a stream waits for its turn; a hundred pages can be read meanwhile."""


class KeptEvents:
    """Reads the events of one agent, a page at a time."""

    def __init__(self, agent: AgentClient) -> None:
        """Create a reader; nothing is sent yet.

        Args:
            agent: The client of the agent.
        """
        self._agent = agent
        self._turn = asyncio.Lock()

    async def after(self, index: int) -> Changes:
        """Return the events after an index, as many as the agent sends at once.

        Raises:
            TooManyStreams: So many streams read events that this one had no turn in time.
            AgentError: The code is `compacted` if the events after the index are not kept.
            RPCError: The agent can't be asked.
        """
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise TooManyStreams(
                f"{TURN_SECONDS:.0f} s were not enough for the streams that read earlier events"
            ) from None
        try:
            return await self._agent.get_changes(index)
        finally:
            self._turn.release()
