"""Turns of expensive requests to the agent.

The agent answers the requests of a connection in order. A list or a specification of 256 KiB takes
as long as dozens of ordinary requests, so a crowd of them would delay all requests that follow.
Therefore only a few are sent at a time, and the others wait here. The users who wait take turns, so
that the requests of one do not delay those of another.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy
from typing import TypeVar

from kakuri_rpc import AgentClient, AgentError, AgentTimeout, AgentUnreachable
from kakuri_workload import CopyableError

TURN_SECONDS = 5.0
"""Seconds that a request waits for its turn, in addition to the agent's timeout for one request. If
the request that holds the slot times out, and the agent has answered no other since, the waiting
requests get the same error."""

MAX_READS = 4
"""Requests for lists, specifications and histories that are sent to the agent at a time: enough to
keep the control plane and the agent busy."""

T = TypeVar("T")


class TooManyReads(CopyableError):
    """A request for a list, specification or history did not get its turn in time."""


class AgentTurns:
    """Sends a bounded number of requests to one agent at a time."""

    def __init__(
        self,
        agent: AgentClient,
        limit: int = MAX_READS,
        kind: str = "expensive requests",
        timeout_error: Callable[[str], Exception] = TooManyReads,
    ) -> None:
        """Create the turns; nothing is sent yet.

        Args:
            agent: The client of the agent.
            limit: Number of requests at a time.
            kind: What waits for a turn, in the plural, for the error.
            timeout_error: Returns the error of a request that has no turn in time, from its
                message.
        """
        self._agent = agent
        self._slots = FairSemaphore(limit)
        self._kind = kind
        self._timeout_error = timeout_error
        self._replies = 0
        self._failures = 0  # timeouts of requests during which the agent answered no other request
        self._failure: AgentTimeout | AgentUnreachable | None = None

    async def run(self, user: str, send: Callable[[], Awaitable[T]]) -> T:
        """Call `send` when it is the user's turn, and return its result.

        Args:
            user: The user, as `user_of` returns it.
            send: Sends a request to the agent, and returns the reply.

        Raises:
            Exception: From `timeout_error`: there was no turn in time.
            RPCError: The agent can't be asked, or `send` raised it.
        """
        failures, seconds = self._failures, self._agent.timeout + TURN_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire(user)
        except TimeoutError:
            message = (
                f"the request did not get a turn within {seconds:g} s: "
                f"too many {self._kind} are waiting"
            )
            raise self._timeout_error(message) from None
        try:
            if self._failure is not None and self._failures > failures:
                raise copy(self._failure)  # another request would most likely time out as well
            return await self._send(send)
        finally:
            self._slots.release()

    async def _send(self, send: Callable[[], Awaitable[T]]) -> T:
        replies = self._replies
        try:
            reply = await send()
        except (AgentTimeout, AgentUnreachable) as error:
            if self._replies == replies:  # otherwise the agent answers other requests
                self._failures += 1
                self._failure = copy(error)
            raise
        except AgentError:
            self._replies += 1
            raise
        self._replies += 1
        return reply


class FairSemaphore:
    """A semaphore that users acquire in turn, and each user's callers in their order."""

    def __init__(self, value: int) -> None:
        """Create a semaphore that `value` callers can hold at a time."""
        self._free = value
        # By user, in the order of their turns. Callers that were cancelled are skipped later.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def acquire(self, user: str) -> None:
        """Wait until a slot is free and it is this caller's turn."""
        if self._free:  # then no caller waits
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was this caller's turn already
                self.release()
            raise

    def release(self) -> None:
        """Free a slot for the next caller: the first of the next user."""
        while self._waiting:
            user = next(iter(self._waiting))
            turns = self._waiting.pop(user)
            while turns:
                turn = turns.popleft()
                if not turn.done():
                    if turns:
                        self._waiting[user] = turns  # after the other users
                    turn.set_result(None)
                    return
        self._free += 1
