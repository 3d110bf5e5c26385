"""Log lines for the loss and the return of the agent, one each, and when it was last heard."""

import time
from collections.abc import Awaitable
from typing import TypeVar

import structlog
from kakuri_rpc import AgentTimeout, AgentUnreachable, ClientClosed, RPCError

log = structlog.get_logger()

T = TypeVar("T")


class Presence:
    """Whether the agent answers, judged by the requests to it.

    Attributes:
        last_heard: When it answered last, in seconds since the epoch; None before its first answer.
    """

    def __init__(self, agent: str) -> None:
        """Create the record of an agent.

        Args:
            agent: Its name in the log.
        """
        self._agent = agent
        self._is_lost = False
        self.last_heard: float | None = None

    async def track(self, request: Awaitable[T]) -> T:
        """Await a request to the agent, and log if the agent was lost or answers again."""
        try:
            reply = await request
        except (AgentUnreachable, AgentTimeout) as error:
            if not self._is_lost:
                self._is_lost = True
                log.warning("agent lost", agent=self._agent, error=str(error))
            raise
        except ClientClosed:
            raise  # nothing was sent
        except RPCError:
            self._answered()
            raise
        self._answered()
        return reply

    def _answered(self) -> None:
        self.last_heard = time.time()
        if self._is_lost:
            self._is_lost = False
            log.info("agent answers again", agent=self._agent)
