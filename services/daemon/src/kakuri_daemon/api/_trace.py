"""The trace of an HTTP request."""

from kakuri_http import Request

from kakuri_daemon._trace import TRACE, accept_traceparent


def accept_trace(request: Request) -> None:
    """Accept the trace of a request, or begin one; a check of every API, before all others.

    The response has it as `traceparent`, problem details as `trace`, and so have the log lines of
    the request's context.
    """
    trace, request.traceparent = accept_traceparent(request.headers.get("traceparent"))
    TRACE.set(trace)
