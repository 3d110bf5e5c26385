"""Workloads in every state, for pictures and accessibility checks."""

from .stack import Stack

ACCESS = (
    b'10.88.7.1 - - "GET / HTTP/1.1" 200 615',
    b'10.88.7.1 - - "GET /style.css HTTP/1.1" 200 4102',
    b'10.88.7.1 - - "GET /favicon.ico HTTP/1.1" 404 153',
    b'10.88.7.9 - - "GET /api/orders?page=2 HTTP/1.1" 200 18223',
)
ERRORS = (
    b"[warn] 29#29: *7 an upstream response is buffered to a temporary file",
    b'[error] 29#29: *9 open() "/usr/share/nginx/html/favicon.ico" failed (2: No such file)',
)


def prepare(stack: Stack) -> None:
    """Submit the workloads, and wait until each has its state."""
    stack.submit("seed", "acme/seed:2026-11", restart_policy="never", labels={"team": "data"})
    stack.await_state("seed", "succeeded")
    stack.submit("web", "nginx:1.27", memory_mb=512, cpu_millicores=500, labels={"team": "shop"})
    stack.await_state("web", "running")
    for _ in range(3):
        stack.write_log("web", *ACCESS)
        stack.write_log("web", *ERRORS, stream="stderr")
    stack.submit("cache", "redis:7", memory_mb=1024, labels={"team": "shop"})
    stack.await_state("cache", "running")
    stack.submit("batch-nightly", "acme/nightly:4", restart_policy="never", labels={"team": "data"})
    stack.await_state("batch-nightly", "failed")
    stack.set_message("reports", "docker.io/acme/reports:9: not found")
    stack.submit("reports", "acme/reports:9", restart_policy="never", labels={"team": "data"})
    stack.await_state("reports", "failed")
    stack.submit("mailer", "acme/mailer:3", memory_mb=256, labels={"team": "shop"})
    stack.await_reason("mailer", "Pulling")
    stack.submit("sync", "acme/sync:1", restart_policy="always", labels={"team": "shop"})
    stack.await_reason("sync", "BackOff")
    stack.submit("old", "nginx:1.25", labels={"team": "shop"})
    stack.await_state("old", "running")
    stack.request("POST", "/workloads/old/stop")
    stack.await_reason("old", "Stopped")
