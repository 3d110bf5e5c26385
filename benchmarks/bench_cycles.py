"""Measure what started and removed workloads leave behind: descriptors, threads and memory.

Starts and removes workloads on a durable store and reads /proc in between: with the simulated
runtime, or with containers of a real one. Usage:

    bench_cycles.py [CYCLES] [TIMES]
    python -m tests.cri_node -- python benchmarks/bench_cycles.py CYCLES TIMES zones
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from kakuri_http.blocking import BlockingClient
from rich.console import Console
from rich.table import Table

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # for tools/, which is not a package

from tests.cri_node.node import CriNode

BIN = Path(sys.executable).parent
AT_ONCE = 50
ZONES_AT_ONCE = 8
BODY = (
    b'{"id":"%s","image":"busybox:latest","runtime_class":"edera-zone","memory_mb":32,'
    b'"cpu_millicores":100,"command":["sh","-c","trap \'exit 0\' TERM; sleep 600 & wait"]}'
)


def start(stack: ExitStack, name: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    process = stack.enter_context(
        subprocess.Popen(
            [BIN / name, "--log-level", "error", *options], stdout=subprocess.PIPE, text=True
        )
    )
    stack.callback(process.terminate)
    return process, process.stdout.readline().removeprefix("listening on ").strip()


def start_sidecar(stack: ExitStack, directory: str, socket: str) -> subprocess.Popen[str]:
    node = CriNode.from_environment()
    process, _ = start(
        stack, "kakuri-sidecar", "--listen", socket, "--cri", f"unix:{node.socket}",
        "--handler", "edera-zone=edera", "--cgroup-parent", node.cgroup_parent,
        "--log-dir", f"{directory}/logs",
    )  # fmt: skip
    return process


def usage_of(process: subprocess.Popen[str]) -> tuple[int, int, float]:
    """Return the number of descriptors and of threads, and resident MiB."""
    directory = Path(f"/proc/{process.pid}")
    status = dict(
        line.split(":", 1)
        for line in (directory / "status").read_text().splitlines()
        if ":" in line
    )
    resident = int(status["VmRSS"].split()[0]) / 1024
    return len(list((directory / "fd").iterdir())), int(status["Threads"]), resident


def cycle(client: BlockingClient, url: str, names: list[str]) -> None:
    for name in names:
        answer = client.request("POST", url, body=BODY % name.encode())
        assert answer.status == 201, answer
    for name in names:
        while json.loads(client.request("GET", f"{url}/{name}").body)["state"] == "pending":
            time.sleep(0.01)
    for name in names:
        answer = client.request("DELETE", f"{url}/{name}")
        assert answer.status in (202, 404), answer
    for name in names:
        while client.request("GET", f"{url}/{name}").status != 404:
            time.sleep(0.01)


def main() -> None:
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    has_zones = sys.argv[3:] == ["zones"]
    at_once = ZONES_AT_ONCE if has_zones else AT_ONCE
    table = Table(title=f"{cycles:,} workloads started and removed, {times} times")
    with ExitStack() as stack, Console().status("measuring"):
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        runtime, daemons = ["--runtime", "simulated"], []
        if has_zones:
            socket = f"unix:{directory}/sidecar.sock"
            daemons = [start_sidecar(stack, directory, socket)]
            runtime = ["--runtime", "sidecar", "--sidecar", socket, "--cpu-millicores", "64000"]
        agent, at = start(
            stack, "kakuri-agent", "--listen", "127.0.0.1:0", "--state-dir", directory, *runtime
        )
        plane, address = start(
            stack, "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", at
        )
        daemons += [agent, plane]
        table.add_column("after", justify="right")
        for name in ("sidecar", "agent", "plane")[-len(daemons) :]:
            for column in (f"{name}: fds", "threads", "MiB"):
                table.add_column(column, justify="right")
        client = stack.enter_context(BlockingClient())
        for number in range(times + 1):
            if number:
                for first in range(0, cycles, at_once):
                    names = [f"w-{number}-{first + index}" for index in range(at_once)]
                    cycle(client, f"http://{address}/workloads", names)
            else:
                cycle(client, f"http://{address}/workloads", ["warm"])
            figures = [f"{each:.1f}" if isinstance(each, float) else str(each)
                       for process in daemons for each in usage_of(process)]  # fmt: skip
            table.add_row(f"{number * cycles:,}", *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
