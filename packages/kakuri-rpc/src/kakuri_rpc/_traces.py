"""Traces of requests to an agent that may be from an earlier release.

Requests are decoded strictly, so an agent of the previous release rejects a request with a trace.
The agent is only asked for its features after such a rejection, so that requests to a current agent
cost nothing extra. If the agent does not list the feature, the request is sent again without its
trace, and so are all requests of the next minute.
"""

import time
from dataclasses import replace
from typing import get_args

from kakuri_rpc._errors import AgentError
from kakuri_rpc._fields import ErrorCode
from kakuri_rpc._requests import Request, TracedRequest

UNSUPPORTED_SECONDS = 60.0
"""Seconds in which an agent gets no traces; after that, it may have been upgraded."""

_TRACED = get_args(TracedRequest)


class AgentTraces:
    """Whether an agent accepts traces."""

    def __init__(self) -> None:
        self._unsupported_until = 0.0

    def prepared(self, request: Request) -> Request:
        """Return a request that the agent accepts: without a trace if it doesn't support traces."""
        if self._unsupported_until and time.monotonic() < self._unsupported_until:
            return without_trace(request)
        return request

    def set_unsupported(self) -> None:
        """Send no traces for the next minute."""
        self._unsupported_until = time.monotonic() + UNSUPPORTED_SECONDS


def may_be_refused_trace(request: Request, error: AgentError) -> bool:
    """Return whether a request may have been rejected because of its trace.

    An agent that names the workload has decoded the request, so it accepts the trace.
    """
    is_undecoded = error.code is ErrorCode.BAD_REQUEST and error.workload_id is None
    return is_undecoded and without_trace(request) is not request


def without_trace(request: Request) -> Request:
    """Return a request without its trace; unchanged if it has none."""
    if isinstance(request, _TRACED) and request.trace is not None:
        bare: Request = replace(request, trace=None)
        return bare
    return request
