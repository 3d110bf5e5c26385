"""An agent with a sidecar beside an agent that runs zones itself, in front of a fake runtime.

The runtime answers at once and runs nothing, so that the figures are Kakuri's own: milliseconds from
StartWorkload to the runtime's receipt of StartContainer, CPU time of all processes for each start
(with what follows it: states, listings, the store), and memory, threads and processes after that.

Usage: python benchmarks/bench_direct.py [STARTS]
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from kakuri_cri.testing import FakeCri
from kakuri_rpc import AgentClient
from kakuri_tcp import Endpoint
from kakuri_workload import Workload
from rich.console import Console
from rich.table import Table

BIN = Path(sys.executable).parent
RUNTIMES = ("sidecar", "cri")
BLOCKS = 3
WARM = 3
"""Starts that are not counted: codecs are compiled at their first use."""
QUIET_SECONDS = 0.15
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def daemon(stack: ExitStack, log: Path, name: str, *options: str) -> int:
    """Start a daemon that ends with the stack; return its process id once it listens."""
    process = subprocess.Popen(
        [BIN / name, *options, "--log-level", "warning"],
        stdout=subprocess.PIPE, stderr=stack.enter_context(log.open("ab")), text=True,
    )  # fmt: skip
    stack.enter_context(process)
    stack.callback(process.terminate)
    if not process.stdout.readline().startswith("listening on "):
        raise SystemExit(f"{name} does not listen: {log.read_text()}")
    return process.pid


def cpu_ms(pids: list[int]) -> float:
    """Return the CPU time that processes have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) * TICK_MS


def memory(pids: list[int]) -> dict[str, float]:
    """Return MiB resident and private, and the number of threads, of all processes together."""
    found: dict[str, float] = defaultdict(float)
    for pid in pids:
        directory = Path(f"/proc/{pid}")
        for line in (directory / "smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split()[:2]
            if name in ("Rss:", "Private_Clean:", "Private_Dirty:"):
                found["resident" if name == "Rss:" else "private"] += int(value) / 1024
        found["threads"] += len(list((directory / "task").iterdir()))
    return {**found, "processes": len(pids)}


async def measure(runtime: str, starts: int) -> tuple[list[float], float, dict[str, float]]:
    """Return milliseconds of each start, CPU milliseconds per start, and what memory() gives."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        async with FakeCri(default_image="present") as cri:
            zones = ["--cri", str(cri.endpoint), "--log-dir", str(directory / "logs")]
            options = ["--runtime", "cri", *zones]
            log = directory / "log"
            pids = []
            if runtime == "sidecar":
                at = f"unix:{directory}/sidecar.sock"
                command = ("kakuri-sidecar", "--listen", at, *zones)
                pids.append(await asyncio.to_thread(daemon, stack, log, *command))
                options = ["--runtime", "sidecar", "--sidecar", at]
            at = f"unix:{directory}/agent.sock"
            command = ("kakuri-agent", "--listen", at, "--state-dir", str(directory / "state"))
            pids.append(await asyncio.to_thread(daemon, stack, log, *command, *options))
            client = AgentClient(Endpoint.parse(at))
            taken = []
            for number in range(WARM + starts):
                if number == WARM:
                    before = cpu_ms(pids)
                began = time.perf_counter()
                await client.start_workload(Workload(f"w{number}", "app:1", "edera-zone", 10, 10))
                await cri.calls.wait_for("StartContainer", number + 1, timeout=30)
                taken.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(QUIET_SECONDS)
            used = (cpu_ms(pids) - before) / starts
            await client.close()
            return taken[WARM:], used, memory(pids)


async def main() -> None:
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    table = Table(title=f"{BLOCKS * starts} starts in turns; MiB after the last")
    for column in (
        "runtime", "ms to StartContainer", "fastest", "CPU ms per start", "processes", "threads",
        "resident", "private",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "runtime" else "right")
    taken: dict[str, list[float]] = defaultdict(list)
    used: dict[str, list[float]] = defaultdict(list)
    last: dict[str, dict[str, float]] = {}
    for block in range(BLOCKS):
        for runtime in RUNTIMES[::-1] if block % 2 else RUNTIMES:
            times, cpu, last[runtime] = await measure(runtime, starts)
            taken[runtime] += times
            used[runtime].append(cpu)
    for runtime, found in last.items():
        table.add_row(
            runtime, f"{statistics.median(taken[runtime]):.1f}", f"{min(taken[runtime]):.1f}",
            f"{statistics.median(used[runtime]):.1f}", f"{found['processes']:.0f}",
            f"{found['threads']:.0f}", f"{found['resident']:.1f}", f"{found['private']:.1f}",
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    asyncio.run(main())
