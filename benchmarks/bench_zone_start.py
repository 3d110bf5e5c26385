"""What Kakuri adds to starting a container, with a sidecar and without, beside the bare CRI calls.

In each round a container is started in both ways, in turns: with `POST /workloads` through control
plane, agent and perhaps a sidecar, and with RunPodSandbox, CreateContainer and StartContainer
alone, over kakuri-cri, with the same configuration. Both are timed until the moment at which the
runtime says that the process was started (ContainerStatus.started_at; both clocks are this
machine's). Rounds alternate between blocks with a sidecar and blocks without.

The runtime's own part moves by more than what is looked for, so the figure that counts is taken
within each start of Kakuri: from POST to the answer of StartContainer, less the time that the same
three calls took there, by the log of the process that made them.

At the end of each block the memory of agent and sidecar is read: resident, and what no other
process shares.

Usage, as root on Debian: python -m tests.cri_node -- python benchmarks/bench_zone_start.py [ROUNDS]
"""

import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kakuri_cri import Runtime
from kakuri_workload.testing import zone_spec
from kakuri_zones._images import NodeImage
from kakuri_zones._labels import spec_hash
from kakuri_zones._zone_config import zone_config
from kakuri_zones.logs import LogLocation
from rich.console import Console
from rich.table import Table

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # for tools/, which is not a package

from tests.cri_node.node import CriNode

BIN = Path(sys.executable).parent
HANDLER = "edera"
IMAGE = "busybox:latest"
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done")
"""It ends as soon as it is asked: no round waits for the one before."""
CALL = re.compile(r"(\w+) took ([0-9.]+) ms")
"""What kakuri-cri logs of each call."""
CALLS = ("RunPodSandbox", "CreateContainer", "StartContainer")
RUNTIMES = ("sidecar", "cri")
BLOCKS = 2
"""Of each runtime; only one process at a time may manage a container runtime's zones."""
QUIET_SECONDS = 0.5
"""Before a start, for what the one before has left to do; and after it, so that looking for its end
does not take the processor from it: the time of its start is reported afterwards."""
WAIT_SECONDS = 60.0

_TOOK = re.compile(rf"({'|'.join(CALLS)}) took ([0-9.]+) ms")


@dataclass(frozen=True)
class Daemon:
    process: subprocess.Popen[str]
    address: str


@contextmanager
def daemon(log: Path, name: str, *options: str) -> Iterator[Daemon]:
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [BIN / name, *options],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    with process:
        try:
            first = process.stdout.readline()
            if not first.startswith("listening on "):
                raise SystemExit(f"{name} does not listen: {log.read_text()}")
            yield Daemon(process, first.removeprefix("listening on ").strip())
        finally:
            process.terminate()


class Kakuri:
    """Starts containers with POST."""

    def __init__(self, address: str, log: Path) -> None:
        self._url = f"http://{address}/workloads"
        self._log = log

    def run(self, name: str) -> dict[str, float]:
        """Return milliseconds: until the answer, until the process was started, and what of it was
        spent outside the three calls that make and start it."""
        document = {
            "id": name, "image": IMAGE, "runtime_class": "edera-zone",
            "memory_mb": 64, "cpu_millicores": 500, "command": COMMAND,
        }  # fmt: skip
        body = json.dumps(document).encode()
        logged = self._log.stat().st_size
        began_wall, began = time.time(), time.perf_counter()
        self._ask("POST", self._url, body)
        answered = time.perf_counter() - began
        time.sleep(QUIET_SECONDS)
        told = wait(lambda: self._running(name))
        started = datetime.fromisoformat(told["started_at"]).timestamp() - began_wall
        self._ask("DELETE", f"{self._url}/{name}")
        wait(lambda: self._ask("GET", f"{self._url}/{name}") is None)
        own = self._own_share(logged, began_wall)
        return {"answer": answered * 1000, "process": started * 1000, "own": own}

    def _own_share(self, position: int, began: float) -> float:
        with self._log.open("rb") as log:
            log.seek(position)
            lines = [json.loads(line) for line in log]
        spent = {}
        for line in lines:
            if found := _TOOK.fullmatch(line["event"]):
                spent[found[1]] = float(found[2])
                if found[1] == "StartContainer":
                    ended = datetime.fromisoformat(line["timestamp"]).timestamp()
        return (ended - began) * 1000 - sum(spent.values())

    def _running(self, name: str) -> dict[str, Any] | None:
        told = self._ask("GET", f"{self._url}/{name}")
        if told is None or told["state"] in ("failed", "succeeded"):
            raise SystemExit(f"expected {name} to run, got {told}")
        return told if told["state"] == "running" else None

    def _ask(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any] | None:
        request = urllib.request.Request(url, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


class Bare:
    """Starts containers with the runtime's calls and nothing else."""

    def __init__(self, node: CriNode, logs: Path) -> None:
        self._runner = asyncio.Runner()
        self._runtime = Runtime(f"unix:{node.socket}")
        self._cgroup_parent = node.cgroup_parent
        self._logs = logs
        logs.mkdir()
        self._image = NodeImage(
            self._runner.run(self._runtime.pull_image(IMAGE, timeout=WAIT_SECONDS))
        )

    def run(self, name: str) -> dict[str, float]:
        """Return milliseconds: of each call, and until the process was started."""
        return self._runner.run(self._run(name))

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._runtime.close())
        self._runner.close()

    async def _run(self, name: str) -> dict[str, float]:
        spec = zone_spec(name, image=IMAGE, memory_mb=64, cpu_millicores=500, command=COMMAND)
        log = LogLocation(str(self._logs), f"{name}.log")
        config = zone_config(
            spec, spec_hash(spec), self._image, log, cgroup_parent=self._cgroup_parent
        )
        # Without labels of Kakuri, which would take it for one of its zones.
        sandbox, container = (
            replace(each, labels={}) for each in (config.sandbox, config.container)
        )
        began_wall, times = time.time(), [time.perf_counter()]
        sandbox_id = await self._runtime.run_pod_sandbox(sandbox, HANDLER)
        times.append(time.perf_counter())
        container_id = await self._runtime.create_container(sandbox_id, container, sandbox)
        times.append(time.perf_counter())
        await self._runtime.start_container(container_id)
        times.append(time.perf_counter())
        status = await self._runtime.container_status(container_id)
        await self._runtime.stop_pod_sandbox(sandbox_id)
        await self._runtime.remove_pod_sandbox(sandbox_id)
        spent = {
            call: (end - start) * 1000
            for call, start, end in zip(CALLS, times, times[1:], strict=False)
        }
        started = status.started_at / 1e9 - began_wall
        return {**spent, "calls": (times[-1] - times[0]) * 1000, "process": started * 1000}


def wait(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise SystemExit("what was waited for did not come")
        time.sleep(0.02)
    return result


def memory(process: subprocess.Popen[str]) -> dict[str, float]:
    """Return a process's memory in MiB, resident and private, and its threads."""
    directory = Path(f"/proc/{process.pid}")
    sums: dict[str, float] = defaultdict(float)
    for line in (directory / "smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        sums[name.rstrip(":")] += int(value) / 1024
    threads = len(list((directory / "task").iterdir()))
    private = sums["Private_Clean"] + sums["Private_Dirty"]
    return {"rss": sums["Rss"], "private": private, "threads": threads}


@contextmanager
def kakuri(node: CriNode, directory: Path, runtime: str) -> Iterator[tuple[Kakuri, list[Daemon]]]:
    """Run the daemons; yield what starts containers, and those that manage the node."""
    zones = [
        "--cri", f"unix:{node.socket}", "--handler", f"edera-zone={HANDLER}",
        "--cgroup-parent", node.cgroup_parent, "--log-dir", str(directory / "logs"),
    ]  # fmt: skip
    verbose = ["--log-level", "debug", "--log-format", "json"]
    brief = ["--log-level", "warning"]
    agent = ["--listen", f"unix:{directory}/agent.sock", "--state-dir", str(directory / "state")]
    plane = ["--listen", "127.0.0.1:0", "--agent", f"unix:{directory}/agent.sock", *brief]
    log = directory / f"{runtime}.log"
    with ExitStack() as stack:

        def start(name: str, log: Path, *options: str) -> Daemon:
            return stack.enter_context(daemon(log, f"kakuri-{name}", *options))

        if runtime == "sidecar":
            socket = f"unix:{directory}/sidecar.sock"
            managing = [start("sidecar", log, "--listen", socket, *zones, *verbose)]
            agent += ["--runtime", "sidecar", "--sidecar", socket, *brief]
            managing.append(start("agent", directory / "agent.log", *agent))
        else:
            managing = [start("agent", log, *agent, "--runtime", "cri", *zones, *verbose)]
        serving = start("control-plane", directory / "plane.log", *plane)
        yield Kakuri(serving.address, log), managing


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    node = CriNode.from_environment()
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    used: dict[str, dict[str, float]] = {}
    console = Console()
    with tempfile.TemporaryDirectory() as name, console.status("measuring") as status:
        directory = Path(name)
        bare = Bare(node, directory / "bare")
        bare.run("warm-bare")
        for block in range(BLOCKS):
            for runtime in RUNTIMES[::-1] if block % 2 else RUNTIMES:
                with kakuri(node, directory, runtime) as (ours, managing):
                    ours.run(f"warm-{block}-{runtime}")
                    for number in range(rounds):
                        status.update(f"block {block + 1}, {runtime}, round {number + 1}")
                        ways = [(runtime, ours.run), ("bare", bare.run)]
                        for way, run in ways if number % 2 else ways[::-1]:
                            time.sleep(QUIET_SECONDS)
                            found[way].append(run(f"{way}-{runtime}-{block}-{number}"))
                    used[runtime] = total([memory(each.process) for each in managing])
        bare.close()
    show(console, found, used, rounds * BLOCKS)


def total(parts: list[dict[str, float]]) -> dict[str, float]:
    """Add up what processes use."""
    sums = {key: sum(each[key] for each in parts) for key in parts[0]}
    return {**sums, "processes": len(parts)}


def show(
    console: Console,
    found: dict[str, list[dict[str, float]]],
    used: dict[str, dict[str, float]],
    rounds: int,
) -> None:
    table = Table(title=f"starting a container, milliseconds, {rounds} rounds in turns")
    for column in ("what", "median", "fastest", "slowest"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, values: list[float]) -> None:
        median = statistics.median(values)
        table.add_row(what, f"{median:.1f}", f"{min(values):.1f}", f"{max(values):.1f}")

    for call in CALLS:
        row(f"bare: {call}", [each[call] for each in found["bare"]])
    row("bare: all three answered", [each["calls"] for each in found["bare"]])
    row("bare: the process is there", [each["process"] for each in found["bare"]])
    for runtime in RUNTIMES:
        row(f"{runtime}: POST answered with 201", [each["answer"] for each in found[runtime]])
        row(f"{runtime}: the process is there", [each["process"] for each in found[runtime]])
        row(f"{runtime}: … outside the three calls", [each["own"] for each in found[runtime]])
    console.print(table)
    table = Table(title="agent, and sidecar if there is one, after that: MiB")
    for column in ("runtime", "processes", "threads", "resident", "private"):
        table.add_column(column, justify="left" if column == "runtime" else "right")
    for runtime, sums in used.items():
        table.add_row(
            runtime, f"{sums['processes']:.0f}", f"{sums['threads']:.0f}",
            f"{sums['rss']:.1f}", f"{sums['private']:.1f}",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
