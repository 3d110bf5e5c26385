"""Logs the loss of the agent and its return, once each."""

import structlog
from kakuri_rpc import AgentError, AgentTimeout, AgentUnreachable, UnexpectedReply

log = structlog.get_logger()


class Presence:
    """Whether the agent answers, judged by the requests to it."""

    def __init__(self, agent: str) -> None:
        """Create the record of an agent.

        Args:
            agent: Its name in the log.
        """
        self._agent = agent
        self._is_lost = False

    def observe(self, error: BaseException | None) -> None:
        """Record the outcome of a request: an error, or None for the expected reply."""
        if error is None or isinstance(error, AgentError | UnexpectedReply):
            if self._is_lost:
                self._is_lost = False
                log.info("agent answers again", agent=self._agent)
        elif isinstance(error, AgentUnreachable | AgentTimeout) and not self._is_lost:
            self._is_lost = True
            log.warning("agent lost", agent=self._agent, error=str(error))
