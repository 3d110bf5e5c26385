"""The trace of an HTTP request."""

from kakuri_http import Request

from kakuri_daemon._trace import TRACE, accept_traceparent


def accept_trace(request: Request) -> None:
    """Accept the trace of a request, or begin one; a check of every API, before all others.

    It is the `traceparent` of the response, and the `trace` of problem details and of log lines in
    the request's context.
    """
    trace, request.traceparent = accept_traceparent(request.headers.get("traceparent"))
    TRACE.set(trace)
