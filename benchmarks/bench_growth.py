"""The 99th percentile of POST and GET beside a few workloads, and beside nearly as many as fit.

Two stacks run side by side, one with 10,000 workloads and one with 150,000, and are measured one
after the other; new workloads bring the large one close to the limit of 200,000. Both are started
again for each round. Each figure is the median of the rounds.

Usage: bench_growth.py [ROUNDS] [SECONDS] [--json FILE]
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_flow import POST, Result, free_port, kakuri, processes, submit_one, wait_for, wrk
from kakuri_rpc import AgentClient
from kakuri_workload import Workload
from rich.console import Console
from rich.table import Table

SMALL, LARGE = 10_000, 150_000
CONNECTIONS = 32
TOGETHER = 500
"""Workloads that are submitted at the same time to fill an agent."""

GET = """
request = function()
  return wrk.format("GET", string.format("/workloads/known-%d", math.random(0, {last})))
end
"""
STORES = ("memory", "sqlite")


async def fill(agent_port: str, number: int) -> None:
    async with AgentClient(f"127.0.0.1:{agent_port}", timeout=60) as agent:
        for start in range(0, number, TOGETHER):
            ids = [f"known-{place}" for place in range(start, start + TOGETHER)]
            new = [Workload(each, "nginx:latest", "edera-zone", 1, 1) for each in ids]
            await asyncio.gather(*map(agent.start_workload, new))


class Stack:
    """A control plane and its agent, which has a number of workloads."""

    def __init__(self, port: str, pids: list[int], workloads: int) -> None:
        self.url = f"http://127.0.0.1:{port}/workloads"
        self.pids = pids
        self.workloads = workloads

    def measure(self, number: int, seconds: int) -> dict[str, Result]:
        post = POST.format(prefix=f"round-{number}", cycle="")
        get = GET.format(last=self.workloads - 1)
        return {
            work: wrk(self.url, script, self.pids, seconds, CONNECTIONS)
            for work, script in (("POST", post), ("GET", get))
        }


@contextmanager
def filled(store: str, workloads: int) -> Iterator[Stack]:
    port, agent_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(dir=Path.home()) as state:  # on a disk, not a tmpfs
        commands = kakuri("--store", store)(port, agent_port, state)
        with processes(*commands, log=Path(state) / "log") as pids:
            stack = Stack(port, pids, workloads)
            wait_for(f"{stack.url}/none")
            submit_one(stack.url)
            asyncio.run(fill(agent_port, workloads))
            yield stack


def measure(store: str, rounds: int, seconds: int) -> dict[str, dict[int, list[Result]]]:
    results: dict[str, dict[int, list[Result]]] = {}
    for number in range(rounds):
        with filled(store, LARGE) as large, filled(store, SMALL) as small:
            for stack in (small, large):
                for work, result in stack.measure(number, seconds).items():
                    results.setdefault(work, {}).setdefault(stack.workloads, []).append(result)
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("seconds", nargs="?", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console()
    console.print(f"Python {sys.version}")
    figures = []
    for store in STORES:
        table = Table(title=f"p99 in ms, store {store}")
        for column in ("work", f"{SMALL:,}", f"{LARGE:,} and more", "ratio", "requests/s", ""):
            table.add_column(column, justify="right")
        for work, results in measure(store, arguments.rounds, arguments.seconds).items():
            small, large = (
                statistics.median(one.p99 for one in results[number]) for number in (SMALL, LARGE)
            )
            rates = [
                statistics.median(one.rate for one in results[number]) for number in (SMALL, LARGE)
            ]
            ratio = statistics.median(
                after.p99 / before.p99
                for before, after in zip(results[SMALL], results[LARGE], strict=True)
            )
            table.add_row(
                work, f"{small:.1f}", f"{large:.1f}", f"{ratio:.2f} ×",
                *(f"{rate:,.0f}" for rate in rates),
            )  # fmt: skip
            figures.append(
                {
                    "store": store,
                    "work": work,
                    "small": small,
                    "large": large,
                    "ratio": round(ratio, 2),
                }
            )
        console.print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"python": sys.version, "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
