"""Many workloads, and changes of them at a steady rate."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from .stack import Client, Stack

CONNECTIONS = 16
"""Connections on which workloads are submitted at once, so that they share transactions."""


def fill(stack: Stack, count: int) -> list[str]:
    """Submit workloads, and return their ids."""
    ids = [f"load-{number:04}" for number in range(count)]
    parts = [ids[begin::CONNECTIONS] for begin in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(partial(_submit, stack.plane.port), parts))
    return ids


def _submit(port: int, ids: list[str]) -> None:
    with Client(port) as client:
        for workload_id in ids:
            document = {
                "id": workload_id,
                "image": "registry.example/team/service:1.27",
                "memory_mb": 1,
                "cpu_millicores": 1,
                "labels": {"team": f"t{workload_id[-1]}"},
            }
            status, answer = client.request("POST", "/workloads", document)
            assert status == 201, answer


@contextmanager
def changing(stack: Stack, ids: list[str], events_per_second: float) -> Iterator[None]:
    """Stop and start workloads in turn while the context is entered; each causes two events."""
    ended = threading.Event()
    thread = threading.Thread(target=_change, args=(stack, ids, 2 / events_per_second, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _change(stack: Stack, ids: list[str], period: float, ended: threading.Event) -> None:
    start, sent = time.monotonic(), 0
    with Client(stack.plane.port) as client:
        while not ended.wait(max(start + sent * period - time.monotonic(), 0)):
            rounds, place = divmod(sent, len(ids))
            verb = "start" if rounds % 2 else "stop"
            status, answer = client.request("POST", f"/workloads/{ids[place]}/{verb}")
            assert status in (200, 202), answer
            sent += 1
