"""Probe a daemon's health again and again: `python -m tests.soak.probe KIND ADDRESS`, until killed.

A separate process, so that it does not measure the work of its neighbours. Each line it prints has
the seconds by which the machine woke it too late, and the seconds until the answer, or `-` and what
came instead.
"""

import socket
import sys
import time

INTERVAL_SECONDS = 0.05
TIMEOUT_SECONDS = 30

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
QUESTIONS = {
    "http": (GET % b"/healthz", b"HTTP/1.1 200 "),
    # The sidecar's /healthz asks the container runtime as well; this shows its own event loop.
    "zones": (GET % b"/zones/unknown", b"HTTP/1.1 404 "),
    "lines": (b'{"type":"DescribeNode"}\n', b'{"type":"Node"'),
}


def connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(address.removeprefix("unix:"))
        return connection
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


def ask(kind: str, address: str) -> str:
    """Probe once, over a new connection; return the seconds, or what was wrong."""
    question, expected = QUESTIONS[kind]
    started = time.monotonic()
    try:
        with connect(address) as connection:
            connection.sendall(question)
            answer = b""
            while len(answer) < len(expected) and (more := connection.recv(4096)):
                answer += more
    except OSError as error:
        return f"- {error!r} after {time.monotonic() - started:.1f} s"
    if not answer.startswith(expected):
        return f"- {answer[:100]!r}"
    return f"{time.monotonic() - started:.6f}"


if __name__ == "__main__":
    while True:
        slept = time.monotonic()
        time.sleep(INTERVAL_SECONDS)
        late = time.monotonic() - slept - INTERVAL_SECONDS
        print(f"{late:.6f}", ask(*sys.argv[1:3]), flush=True)
