"""Metrics of the requests to one agent."""

import logging
import time
from asyncio import CancelledError
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextvars import Context

from kakuri_workload.metrics import SECONDS, Counts, Histogram, Histograms, MetricFamily, gauge

from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    UnexpectedReply,
)

log = logging.getLogger("kakuri_rpc")

OUTCOMES: dict[type[BaseException], str] = {
    AgentUnreachable: "unreachable",
    AgentTimeout: "timeout",
    UnexpectedReply: "unexpected_reply",
    ClientClosed: "closed",
    CancelledError: "cancelled",
}
"""The label of each error of the client; errors that the agent replies with have their code."""

OK, FAILED = "ok", "failed"


class CallMetrics:
    """Counts the requests of a client: their names, durations and outcomes.

    Attributes:
        in_flight: The number of requests without a reply.
        last_reply: When the agent last replied, in seconds since the epoch; None before its first
            reply.
        on_outcome: Called with the error of each failed request, and with None for the first
            success and for each success after an error. Runs in the context of the request, so that
            log lines have its trace.
    """

    __slots__ = (
        "_durations", "_last_succeeded", "_retries", "_successes", "in_flight", "last_reply",
        "on_outcome",
    )  # fmt: skip

    def __init__(self) -> None:
        """Create the counters."""
        self.in_flight: int = 0
        self.last_reply: float | None = None
        self._last_succeeded = False  # the last request
        self.on_outcome: Callable[[BaseException | None], None] = _ignore
        self._successes: dict[type[object], Histogram] = {}
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

    def retry(self, request: object) -> None:
        """Count a request that is sent again."""
        self._retries[type(request).__name__,] += 1

    def succeed(self, kind: type[object], seconds: float, context: Context) -> None:
        """Count a request with the expected reply; `context` is the caller's."""
        self.in_flight -= 1
        durations = self._successes.get(kind)
        if durations is None:
            durations = self._successes[kind] = self._durations[kind.__name__, OK]
        # Inlined `Histogram.observe`, because this is on the hot path of every request.
        durations.buckets[bisect_left(SECONDS, seconds)] += 1
        durations.sum += seconds
        self.last_reply = time.time()
        if not self._last_succeeded:
            self._last_succeeded = True
            self._report(None, context)

    def fail(
        self, kind: type[object], seconds: float, context: Context, error: BaseException
    ) -> None:
        """Count a request that raised an error; `context` is the caller's."""
        self.in_flight -= 1
        self._durations[kind.__name__, _outcome(error)].observe(seconds)
        if isinstance(error, AgentError | UnexpectedReply):
            self.last_reply = time.time()
        self._last_succeeded = False
        self._report(error, context)

    def _report(self, error: BaseException | None, context: Context) -> None:
        try:
            context.copy().run(self.on_outcome, error)  # the context itself may be current
        except Exception:  # its failure must not lose the reply
            log.exception("the observer of requests failed")

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics."""
        return (
            self._durations.family(),
            gauge(
                "kakuri_agent_requests_in_flight",
                "Requests to the agent without a reply.",
                float(self.in_flight),
            ),
            self._retries.family(),
        )


def _ignore(_error: BaseException | None) -> None:
    """Do nothing; the default of `on_outcome`."""


def _outcome(error: BaseException) -> str:
    if isinstance(error, AgentError):
        return error.code.value
    return OUTCOMES.get(type(error), FAILED)
