"""What Kakuri adds to starting a container: from POST to its process, beside the bare CRI calls.

In each round a container is started in both ways, in turns: with `POST /workloads` through control
plane, agent and sidecar, and with RunPodSandbox, CreateContainer and StartContainer alone, over
grpcio, with the same configuration. Both are timed until the moment at which the runtime says that
the process was started (ContainerStatus.started_at; both clocks are this machine's).

The runtime's own part moves by more than what is looked for, so the figure that counts is taken
within each start of Kakuri: from POST to the answer of StartContainer, less the time that the same
three calls took there, by the sidecar's log.

Usage, as root on Debian: python -m tools.cri_node -- python benchmarks/bench_zone_start.py [ROUNDS]
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
from kakuri_cri import api
from kakuri_protobuf import Method, decode, encode
from kakuri_registry import ZoneSpec
from kakuri_zones._images import NodeImage
from kakuri_zones._zone_config import container_config, sandbox_config
from rich.console import Console
from rich.table import Table

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # for tools/, which is not a package

from tools.cri_node.node import CriNode

BIN = Path(sys.executable).parent
HANDLER = "edera"
IMAGE = "busybox:latest"
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done")
"""It ends as soon as it is asked: no round waits for the one before."""
CALL = re.compile(r"(\w+) took ([0-9.]+) ms")
"""What kakuri-cri logs of each call."""
CALLS = ("RunPodSandbox", "CreateContainer", "StartContainer")
AIM_MS = 10.0
QUIET_SECONDS = 0.5
"""Before a start, for what the one before has left to do; and after it, so that looking for its end
does not take the processor from it: the time of its start is reported afterwards."""
PATIENCE = 60.0


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
        found = [(CALL.fullmatch(line["event"]), line["timestamp"]) for line in lines]
        spent = {match[1]: (match, at) for match, at in found if match and match[1] in CALLS}
        ended = datetime.fromisoformat(spent["StartContainer"][1]).timestamp()
        return (ended - began) * 1000 - sum(float(match[2]) for match, _ in spent.values())

    def _running(self, name: str) -> dict[str, Any] | None:
        told = self._ask("GET", f"{self._url}/{name}")
        if told is None or told["state"] in ("failed", "succeeded"):
            raise SystemExit(f"expected {name} to run, got {told}")
        return told if told["state"] == "running" else None

    def _ask(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any] | None:
        request = urllib.request.Request(url, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


class Bare:
    """Starts containers with the runtime's calls and nothing else."""

    def __init__(self, node: CriNode, logs: Path) -> None:
        options = (("grpc.default_authority", "localhost"),)
        self._channel = grpc.insecure_channel(f"unix:{node.socket}", options=options)
        self._cgroup_parent = node.cgroup_parent
        self._logs = logs
        logs.mkdir()
        request = api.PullImageRequest(image=api.ImageSpec(image=IMAGE))
        self._image = NodeImage(self._call(api.ImageService.PullImage, request).image_ref)

    def run(self, name: str) -> dict[str, float]:
        """Return milliseconds: of each call, and until the process was started."""
        spec = ZoneSpec(name, IMAGE, 64, 500, command=COMMAND)
        # Not labelled as Kakuri's: a sidecar that lists the runtime would adopt it.
        sandbox = replace(
            sandbox_config(
                spec, cri_attempt=0, cgroup_parent=self._cgroup_parent,
                log_directory=str(self._logs),
            ),
            labels={},
        )  # fmt: skip
        container = replace(
            container_config(spec, cri_attempt=0, image=self._image, log_path=f"{name}.log"),
            labels={},
        )
        service = api.RuntimeService
        began_wall, times = time.time(), [time.perf_counter()]
        request = api.RunPodSandboxRequest(config=sandbox, runtime_handler=HANDLER)
        sandbox_id = self._call(service.RunPodSandbox, request).pod_sandbox_id
        times.append(time.perf_counter())
        create = api.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=container, sandbox_config=sandbox
        )
        container_id = self._call(service.CreateContainer, create).container_id
        times.append(time.perf_counter())
        self._call(service.StartContainer, api.StartContainerRequest(container_id=container_id))
        times.append(time.perf_counter())
        asked = api.ContainerStatusRequest(container_id=container_id)
        status = self._call(service.ContainerStatus, asked).status
        self._call(service.StopPodSandbox, api.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
        self._call(service.RemovePodSandbox, api.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))
        spent = {
            call: (end - start) * 1000
            for call, start, end in zip(CALLS, times, times[1:], strict=False)
        }
        started = status.started_at / 1e9 - began_wall
        return {**spent, "calls": (times[-1] - times[0]) * 1000, "process": started * 1000}

    def _call(self, method: Method[Any, Any], request: Any) -> Any:
        answer = self._channel.unary_unary(method.path)(encode(request), timeout=PATIENCE)
        return decode(answer, type=method.response)


def wait(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise SystemExit("what was waited for did not come")
        time.sleep(0.02)
    return result


@contextmanager
def kakuri(node: CriNode, folder: Path) -> Iterator[Kakuri]:
    sidecar = [
        "--listen", f"unix:{folder}/sidecar.sock", "--cri", f"unix:{node.socket}",
        "--handler", f"edera-zone={HANDLER}", "--cgroup-parent", node.cgroup_parent,
        "--log-dir", str(folder / "logs"), "--log-level", "debug", "--log-format", "json",
    ]  # fmt: skip
    agent = [
        "--listen", f"unix:{folder}/agent.sock", "--runtime", "sidecar",
        "--sidecar", f"unix:{folder}/sidecar.sock", "--state-dir", str(folder / "state"),
        "--log-level", "warning",
    ]  # fmt: skip
    plane = ["--listen", "127.0.0.1:0", "--agent", f"unix:{folder}/agent.sock"]
    plane += ["--log-level", "warning"]
    with (
        daemon(folder / "sidecar.log", "kakuri-sidecar", *sidecar),
        daemon(folder / "agent.log", "kakuri-agent", *agent),
        daemon(folder / "plane.log", "kakuri-control-plane", *plane) as serving,
    ):
        yield Kakuri(serving.address, folder / "sidecar.log")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    node = CriNode.from_environment()
    found: dict[str, list[dict[str, float]]] = {"Kakuri": [], "bare": []}
    console = Console()
    with tempfile.TemporaryDirectory() as name, kakuri(node, Path(name)) as ours:
        ways = {"Kakuri": ours.run, "bare": Bare(node, Path(name) / "bare").run}
        for way, run in ways.items():
            run(f"warm-{way.lower()}")
        with console.status("measuring") as status:
            for number in range(rounds):
                status.update(f"round {number + 1} of {rounds}")
                order = list(ways) if number % 2 else list(ways)[::-1]
                for way in order:
                    time.sleep(QUIET_SECONDS)
                    found[way].append(ways[way](f"{way.lower()}-{number}"))
    show(console, found, rounds)


def show(console: Console, found: dict[str, list[dict[str, float]]], rounds: int) -> None:
    table = Table(title=f"starting a container, milliseconds, {rounds} rounds in turns")
    for column in ("what", "median", "fastest", "slowest"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, values: list[float]) -> float:
        median = statistics.median(values)
        table.add_row(what, f"{median:.1f}", f"{min(values):.1f}", f"{max(values):.1f}")
        return median

    for call in CALLS:
        row(f"bare: {call}", [each[call] for each in found["bare"]])
    row("bare: all three answered", [each["calls"] for each in found["bare"]])
    row("bare: the process is there", [each["process"] for each in found["bare"]])
    row("POST /workloads: 201", [each["answer"] for each in found["Kakuri"]])
    row("POST /workloads: the process is there", [each["process"] for each in found["Kakuri"]])
    added = row("… of it outside the three calls", [each["own"] for each in found["Kakuri"]])
    console.print(table)
    verdict = "within" if added <= AIM_MS else "beyond"
    console.print(f"Kakuri adds {added:.1f} ms (median), {verdict} the aim of {AIM_MS:.0f} ms")


if __name__ == "__main__":
    main()
