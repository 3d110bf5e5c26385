"""What counting costs a request: CPU time with metrics, and of the same code without them.

A process serves two stacks of control plane and agent, which differ only in that one counts. Both
get the same requests in turns, and the kernel reports the CPU time of the process after each turn
(schedstat in proc(5)), so other programs on the machine disturb both alike. The figure is the
median of the ratios of neighbouring turns; another one compares the quietest fifth of the turns of
each stack, which other programs disturb least.

Usage: python benchmarks/bench_metrics.py [TURNS] [REQUESTS]
"""

import asyncio
import os
import statistics
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from kakuri_agent import Agent, SimulatedRuntime
from kakuri_agent._node_metrics import RefusalMetrics
from kakuri_control_plane._api import Api
from kakuri_daemon import configure_logs
from kakuri_daemon.api import HostGuard, refuse_other_sites, serving
from kakuri_registry import MemoryStore, StoreWriter, WorkloadRegistry
from kakuri_rpc import AgentClient, serve
from kakuri_tcp import Endpoint
from rich.console import Console
from rich.table import Table

ANY_PORT = Endpoint.parse("127.0.0.1:0")
CONNECTIONS = 8
GET = "GET /workloads/known HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Uncounted:
    """Stands in for everything that counts."""

    in_flight = 0

    def ignore(self, *_arguments: object) -> None:
        pass

    succeed = fail = retry = observe = ignore


async def stack(services: AsyncExitStack, *, is_counting: bool) -> Endpoint:
    """Start a control plane and an agent; return where the control plane listens."""
    registry = WorkloadRegistry(max_workloads=10_000_000)
    writer = await services.enter_async_context(StoreWriter(registry, MemoryStore()))
    agent = Agent(registry, writer, SimulatedRuntime())
    services.callback(agent.close)
    on_error = RefusalMetrics() if is_counting else Uncounted().ignore
    server = await serve(ANY_PORT, agent.handle, on_error=on_error)
    services.push_async_callback(server.close)
    client = await services.enter_async_context(AgentClient(server.endpoint))
    if not is_counting:
        registry.observe(Uncounted().ignore)
        agent._reconciler._queue._durations = Uncounted()
        client.metrics = Uncounted()
    api = Api(client) if is_counting else _without_families(client)
    router = api.router()
    router.check(HostGuard())
    router.check(refuse_other_sites)
    metrics = api.http_metrics if is_counting else None
    endpoint = await services.enter_async_context(serving(ANY_PORT, router, metrics=metrics))
    services.push_async_callback(api.end_waiting)
    return endpoint


def _without_families(client: AgentClient) -> Api:
    client.metrics.families = list
    return Api(client)


async def run_services() -> None:
    """Serve both stacks until standard input ends."""
    configure_logs()
    async with AsyncExitStack() as services:
        for is_counting in (True, False):
            print((await stack(services, is_counting=is_counting)).port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def send(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], texts: list[str]
) -> None:
    reader, writer = connection
    for text in texts:
        writer.write(text.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))


def post(workload_id: str) -> str:
    body = f'{{"id":"{workload_id}","image":"nginx"}}'
    return (
        f"POST /workloads HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process with all of its threads, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


async def measure(
    pid: int, ports: list[int], turns: int, requests: int
) -> dict[str, list[tuple[float, float]]]:
    """Return, for each kind of request, microseconds per request with and without counting."""
    connections = {
        port: [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
        for port in ports
    }
    for port in ports:
        await send(connections[port][0], [post("known")])
    found: dict[str, list[tuple[float, float]]] = {"GET": [], "POST": []}
    for turn in range(turns):
        for kind, pairs in found.items():
            costs = {}
            for port in ports if turn % 2 else ports[::-1]:
                numbers = range(turn * requests, (turn + 1) * requests)
                texts = [GET if kind == "GET" else post(f"w-{number}") for number in numbers]
                before = cpu_ns(pid)
                await asyncio.gather(
                    *(
                        send(each, texts[place::CONNECTIONS])
                        for place, each in enumerate(connections[port])
                    )
                )
                costs[port] = (cpu_ns(pid) - before) / requests / 1000
            if turn:  # the first one compiles codecs
                pairs.append((costs[ports[0]], costs[ports[1]]))
    return found


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(run_services())
        return
    turns, requests = (int(each) for each in [*sys.argv[1:], *("61", "2000")[len(sys.argv) - 1 :]])
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env=os.environ,
    ) as server:  # fmt: skip
        ports = [int(server.stdout.readline()) for _ in range(2)]
        found = asyncio.run(measure(server.pid, ports, turns, requests))
        server.stdin.close()
    table = Table(
        "CPU of control plane and agent",
        "without",
        "with metrics",
        "quietest turns",
        "median of pairs (quartiles)",
    )
    for kind, pairs in found.items():
        counted, uncounted = zip(*pairs, strict=True)
        ratios = sorted(one / other for one, other in pairs)
        quiet = [statistics.quantiles(each, n=5)[0] for each in (counted, uncounted)]
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        table.add_row(
            f"{kind} of a workload",
            f"{statistics.median(uncounted):.1f} µs",
            f"{statistics.median(counted):.1f} µs",
            f"{100 * (quiet[0] / quiet[1] - 1):+.1f} %",
            f"{100 * (statistics.median(ratios) - 1):+.1f} % "
            f"({100 * (low - 1):+.1f} % to {100 * (high - 1):+.1f} %)",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
