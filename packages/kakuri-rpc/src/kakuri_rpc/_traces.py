"""Traces of requests for an agent that may be of an earlier version.

Requests are decoded strictly, so an agent of the previous release refuses one with a trace. It is
then sent again without, and so are all requests of the next minute.
"""

import time
from dataclasses import replace
from typing import get_args

from kakuri_rpc._errors import AgentError
from kakuri_rpc._fields import ErrorCode
from kakuri_rpc._requests import Request, TracedRequest

REFUSED_SECONDS = 60.0
"""Seconds after a refusal in which no trace is sent; the agent may be another one afterwards."""

_REFUSAL = "$.trace: "
"""Begins the fault of a field `trace` in a message."""

_TRACED = get_args(TracedRequest)


class AgentTraces:
    """Whether an agent accepts traces."""

    def __init__(self) -> None:
        self._refused_until = 0.0

    def prepared(self, request: Request) -> Request:
        """Return a request as the agent accepts it: without its trace if it refused one lately."""
        if self._refused_until and time.monotonic() < self._refused_until:
            return _without_trace(request)
        return request

    def refused(self, request: Request, error: AgentError) -> Request | None:
        """Return the request to send instead if the agent refused the trace of one, else None."""
        if error.code is not ErrorCode.BAD_REQUEST or _REFUSAL not in str(error):
            return None
        self._refused_until = time.monotonic() + REFUSED_SECONDS
        bare = _without_trace(request)
        return None if bare is request else bare


def _without_trace(request: Request) -> Request:
    if isinstance(request, _TRACED) and request.trace is not None:
        bare: Request = replace(request, trace=None)
        return bare
    return request
