"""Metrics of the requests to one agent."""

import time
from asyncio import CancelledError
from collections.abc import Iterable

from kakuri_workload.metrics import Counts, Histograms, MetricFamily, gauge

from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    UnexpectedReply,
)

OUTCOMES: dict[type[BaseException], str] = {
    AgentUnreachable: "unreachable",
    AgentTimeout: "timeout",
    UnexpectedReply: "unexpected_reply",
    ClientClosed: "closed",
    CancelledError: "cancelled",
}
"""The label of each error that is not a reply; that of a reply is its code."""

OK, FAILED = "ok", "failed"


class CallMetrics:
    """Counts the requests of a client: their names, durations and outcomes."""

    def __init__(self) -> None:
        """Begin to count."""
        self._in_flight = 0
        self._retries = Counts(
            "kakuri_agent_retries",
            "Requests to the agent that were sent again, because their connection broke.",
            ("request",),
        )
        self._durations = Histograms(
            "kakuri_agent_request_duration_seconds",
            "Time of requests to the agent, with the wait for events or output that they ask for.",
            ("request", "outcome"),
        )

    def begin(self) -> float:
        """Count a request in flight, and return when it began."""
        self._in_flight += 1
        return time.perf_counter()

    def retry(self, name: str) -> None:
        """Count that a request is sent again."""
        self._retries[name,] += 1

    def end(self, name: str, began: float, outcome: str) -> None:
        """Count the outcome of a request."""
        self._in_flight -= 1
        self._durations[name, outcome].observe(time.perf_counter() - began)

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics."""
        return (
            self._durations.family(),
            gauge(
                "kakuri_agent_requests_in_flight",
                "Requests to the agent without a reply.",
                float(self._in_flight),
            ),
            self._retries.family(),
        )


def outcome_of(error: BaseException) -> str:
    """Return the label of an error that a request raised."""
    if isinstance(error, AgentError):
        return error.code.value
    return OUTCOMES.get(type(error), FAILED)
