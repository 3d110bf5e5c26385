"""What the trace of a request costs the control plane, in processor time.

Usage: bench_traces.py
"""

import contextvars
import time
import timeit
from collections.abc import Callable

from kakuri_daemon import set_trace
from kakuri_daemon._fast_lines import TEXT
from kakuri_daemon.api._trace import accept_trace
from kakuri_http import AccessEntry, Response
from kakuri_http.core import Request, ServerConnection

ROUNDS, CALLS = 15, 20_000
HEAD = (
    b"GET /workloads/a HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n%b\r\n"
)
FIELD = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"


def microseconds(call: Callable[[], object]) -> float:
    """Return the processor time of one call, in the fastest of some rounds."""
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS, timer=time.process_time)) / (
        CALLS / 1e6
    )


def exchange(head: bytes, *, is_traced: bool) -> Callable[[], bytes]:
    """Return a function that reads a request and composes its response."""
    connection = ServerConnection()

    def exchange_once() -> bytes:
        request = connection.receive_request(head)
        assert isinstance(request, Request)
        if is_traced:
            accept_trace(request)
        return connection.send(Response(200, b"{}"))

    return exchange_once


def main() -> None:
    """Print each cost with and without a trace."""
    entry = AccessEntry("127.0.0.1:5", "GET", "/x", 200, 3, 0.0015, complete=True)
    traced = contextvars.Context()
    traced.run(set_trace, "4bf92f3577b34da6a3ce929d0e0e4736")
    rows = [
        ("a request without traceparent, and its response", HEAD % b""),
        ("a request with traceparent, and its response", HEAD % FIELD),
    ]
    for name, head in rows:
        before, after = (
            microseconds(exchange(head, is_traced=is_traced)) for is_traced in (False, True)
        )
        print(f"{name:<50} {before:5.2f} → {after:5.2f} µs")
    before = microseconds(lambda: TEXT.request(entry))
    after = traced.run(microseconds, lambda: TEXT.request(entry))
    print(f"{'its line in the log':<50} {before:5.2f} → {after:5.2f} µs")


if __name__ == "__main__":
    main()
