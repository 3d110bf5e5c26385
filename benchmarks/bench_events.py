"""What followers of events cost: POST per second with 100 of them, and CPU per event with 1,000.

The followers are sockets of one process, which reads what they get and drops it. It shares the
machine's cores with the stack and with wrk, so its time counts against the throughput, too.

Usage: bench_events.py [ROUNDS] [SECONDS] [CONNECTIONS]
"""

import argparse
import multiprocessing
import selectors
import socket
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench_flow import (
    WORKS,
    cpu_seconds,
    free_port,
    kakuri,
    processes,
    submit_one,
    wait_for,
    wrk,
)
from rich.console import Console
from rich.table import Table

FOLLOWERS = 100
MANY_FOLLOWERS = 1000
WORKERS = 5
"""Processes for many followers: each serves 256 streams, and the kernel spreads them unevenly."""

CHANGES = 200
"""Workloads that are submitted while many follow."""


def drain(port: int, number: int, report: Connection) -> None:
    """Open streams, report how many were accepted, then read and drop what they get."""
    selector = selectors.DefaultSelector()
    accepted = received = 0
    for _ in range(number):
        peer = socket.create_connection(("127.0.0.1", port))
        peer.sendall(b"GET /events?after=now HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if peer.recv(65_536).startswith(b"HTTP/1.1 200"):
            accepted += 1
            selector.register(peer, selectors.EVENT_READ, peer)
    report.send(accepted)
    while not report.poll():
        for key, _events in selector.select(timeout=0.1):
            data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
            received += len(data)
            if not data:  # the stream has ended, because the agent had dropped events
                selector.unregister(key.fileobj)
    report.send(received)


@contextmanager
def followers(port: int, number: int) -> Iterator[tuple[int, list[int]]]:
    """Follow while the context is entered; yield the number of streams and a list for the bytes."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=drain, args=(port, number, theirs))
    process.start()
    received: list[int] = []
    try:
        yield ours.recv(), received
    finally:
        ours.send(None)
        received.append(ours.recv())
        process.join()


def throughput(store: str, number: int, seconds: int, connections: int) -> tuple[float, float, int]:
    """Return POST per second, CPU µs of the control plane per POST, and bytes that followers got."""
    port, agent_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/workloads"
    with tempfile.TemporaryDirectory(dir=Path.home()) as state:
        commands = kakuri("--store", store)(port, agent_port, state)
        with processes(*commands, log=Path(state) / "log") as pids:
            wait_for(f"{url}/none")
            submit_one(url)
            with followers(int(port), number) as (accepted, received):
                assert accepted == number
                result = wrk(url, WORKS["POST, fresh ids"], pids, seconds, connections)
    return result.rate, result.cpu[0], received[0]


def cost_per_event() -> tuple[int, float, float]:
    """Return the number of followers, and CPU of the control plane and the agent per event in µs."""
    port, agent_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/workloads"
    with tempfile.TemporaryDirectory(dir=Path.home()) as state:
        commands = kakuri("--store", "memory", workers=WORKERS)(port, agent_port, state)
        with processes(*commands, log=Path(state) / "log") as pids:
            wait_for(f"{url}/none")
            submit_one(url)
            with followers(int(port), MANY_FOLLOWERS) as (accepted, _):
                before = [cpu_seconds(pid) for pid in pids]
                time.sleep(2.0)
                idle = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
                before = [cpu_seconds(pid) for pid in pids]
                for number in range(CHANGES):
                    submit(url, f"many-{number}")
                    time.sleep(2.0 / CHANGES)
                used = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
            events = 2 * CHANGES  # registered, and running
    plane, agent = (1e6 * (each - rest) / events for each, rest in zip(used, idle, strict=True))
    return accepted, plane, agent


def submit(url: str, workload_id: str) -> None:
    body = (
        f'{{"id":"{workload_id}","image":"nginx","runtime_class":"edera-zone","memory_mb":1,'
        '"cpu_millicores":1}'
    ).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("seconds", nargs="?", type=int, default=5)
    parser.add_argument("connections", nargs="?", type=int, default=32)
    arguments = parser.parse_args()
    table = Table(title=f"POST, fresh ids, with {FOLLOWERS} followers and without")
    for column in ("store", "without/s", "with/s", "with : without", "CPU µs", "followed MB"):
        table.add_column(column, justify="left" if column == "store" else "right")
    for store in ("memory", "sqlite"):
        without, with_, megabytes, cpu = [], [], [], []
        for _ in range(arguments.rounds):
            plain = throughput(store, 0, arguments.seconds, arguments.connections)
            followed = throughput(store, FOLLOWERS, arguments.seconds, arguments.connections)
            without.append(plain[0])
            with_.append(followed[0])
            cpu.append((plain[1], followed[1]))
            megabytes.append(followed[2] / 1e6)
        ratio = statistics.median(b / a for a, b in zip(without, with_, strict=True))
        table.add_row(
            store,
            f"{statistics.median(without):,.0f}",
            f"{statistics.median(with_):,.0f}",
            f"{ratio:.2f} ×",
            " → ".join(f"{statistics.median(each):.0f}" for each in zip(*cpu, strict=True)),
            f"{statistics.median(megabytes):.1f}",
        )
    Console().print(table)
    number, plane, agent = cost_per_event()
    print(
        f"{number} followers: {plane:,.0f} µs of the control plane's CPU per event, its POST "
        f"included, {plane / number:.1f} µs per follower; agent {agent:.0f} µs"
    )


if __name__ == "__main__":
    main()
