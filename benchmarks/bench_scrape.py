"""What a scrape of many zones costs: the time for which it holds each event loop, and in all.

A fake container runtime has the zones, in a process of its own; the agent adopts them, reads their
usage and reports it to the control plane, through a sidecar or without one. In each daemon, the
processor time of each turn of the event loop is measured, so that waiting for others on a busy
machine does not count.

Usage: bench_scrape.py [ZONES] [SCRAPES] [--sidecar] [--json FILE]
"""

import argparse
import asyncio
import gc
import json
import signal
import subprocess
import sys
import tempfile
import time
from asyncio import events
from pathlib import Path
from typing import Any

import structlog
from kakuri_agent._cli import Settings as AgentSettings
from kakuri_agent._cli import agent_service
from kakuri_cri import api
from kakuri_cri.testing import FakeCri
from kakuri_cri.testing._objects import FakeContainer, FakeImage, FakeSandbox
from kakuri_daemon import run
from kakuri_http import Limits, Timeouts
from kakuri_http.blocking import BlockingClient
from kakuri_sidecar import sidecar_service
from kakuri_tcp import Endpoint
from kakuri_workload import Workload, ZoneSpec
from kakuri_zones import MonitorTimes, Settings
from kakuri_zones import _labels as labels

SELDOM = MonitorTimes(interval=3600, without_events=3600)
"""Without the lists of zones each second, which are no part of a scrape."""

FRESH = 10.5
"""Seconds after which a scrape reads the usage of zones from the runtime again."""

START = 300.0
"""Seconds for the agent to adopt the zones and to read their usage once."""


class Turns:
    """Measures each turn of this process's event loop; SIGUSR1 writes them and begins anew."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._seconds: list[float] = []
        self._cpu = time.process_time()
        turn, seconds = events.Handle._run, self._seconds

        def timed(handle: events.Handle) -> None:
            began = time.thread_time()
            turn(handle)
            seconds.append(time.thread_time() - began)

        events.Handle._run = timed  # type: ignore[method-assign]
        signal.signal(signal.SIGUSR1, self._write)

    def _write(self, *_: object) -> None:
        now = time.process_time()
        found = {
            "longest": max(self._seconds, default=0.0),
            "loop": sum(self._seconds),
            "process": now - self._cpu,
        }
        part = self._report.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.rename(self._report)
        self._seconds.clear()
        self._cpu = now


def fill(runtime: FakeCri, number: int) -> None:
    """Add running zones, as a zone node would have started them."""
    state, now = runtime._runtime, time.time_ns()
    of_sandbox: dict[str, list[FakeContainer]] = {}
    state.containers_of = lambda sandbox: of_sandbox[sandbox.id]  # it visits all otherwise
    for index in range(number):
        workload_id = f"workload-{index:05}"
        workload = Workload(workload_id, "registry.example.com/team/app:1.4", "edera-zone", 64, 1)
        spec = ZoneSpec(workload)
        spec_hash = labels.spec_hash(spec)
        metadata = api.PodSandboxMetadata(
            name=workload_id, uid=workload_id, namespace=labels.NAMESPACE
        )
        sandbox_config = api.PodSandboxConfig(
            metadata=metadata, labels=labels.sandbox_labels(spec, spec_hash)
        )
        sandbox = FakeSandbox(
            f"{index:064}", sandbox_config, metadata, "edera", now, "10.0.0.1",
            received_bytes=index, sent_bytes=index, processes=3,
        )  # fmt: skip
        container_config = api.ContainerConfig(
            metadata=api.ContainerMetadata(name=workload_id),
            image=api.ImageSpec(image=workload.image),
            labels=labels.container_labels(spec, spec_hash),
            annotations=labels.container_annotations(spec),
        )
        container = FakeContainer(
            f"{index + number:064}", sandbox, container_config, container_config.metadata,
            FakeImage(), "sha256:0", now,
            state=api.ContainerState.CONTAINER_RUNNING, started_at=now,
            cpu_nanoseconds=index * 1_000_003, memory_bytes=index * 4096, writable_bytes=index,
        )  # fmt: skip
        state.sandboxes[sandbox.id] = sandbox
        state.containers[container.id] = container
        of_sandbox[sandbox.id] = [container]


async def serve_runtime(path: Path, number: int) -> None:
    async with FakeCri(path) as runtime:
        fill(runtime, number)
        gc.freeze()
        print("listening on", path, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def zones_of(directory: Path) -> Settings:
    return Settings(
        cri=Endpoint.unix(str(directory / "cri.sock")),
        log_dir=directory / "logs",
        monitor=SELDOM,
        isolation_interval=3600,
        rotate_interval=3600,
    )


def run_role(role: str, directory: Path, number: int, sidecar: bool, agent: str) -> None:
    """Run one of the processes."""
    if role == "runtime":
        asyncio.run(serve_runtime(directory / "cri.sock", number))
        return
    Turns(directory / f"{role}.json")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # its turns can't be measured
    any_port = Endpoint.parse("127.0.0.1:0")
    socket = Endpoint.unix(str(directory / "sidecar.sock"))
    zones = zones_of(directory)
    if role == "sidecar":
        run(lambda: sidecar_service(socket, zones))
    elif role == "agent":
        settings = AgentSettings(
            any_port,
            zones,
            runtime="sidecar" if sidecar else "cri",
            sidecar=socket,
            state_dir=directory / "state",
            store="memory",
            memory_mb=10**9,
            cpu_millicores=10**9,
            name="node1",
        )
        run(lambda: agent_service(settings))
    else:
        from kakuri_control_plane._cli import main  # noqa: PLC0415

        main(["--listen", "127.0.0.1:0", "--agent", agent])


class Process:
    """One of the processes, which ends with its standard input."""

    def __init__(self, role: str, directory: Path, number: int, *options: str) -> None:
        command = [sys.executable, __file__, str(number), "--role", role, "--directory"]
        self.report = directory / f"{role}.json"
        self.process = subprocess.Popen(
            [*command, str(directory), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=(directory / f"{role}.log").open("wb"),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().removeprefix("listening on ").strip()
        assert self.address, (directory / f"{role}.log").read_text()

    def measure(self) -> dict[str, float]:
        """Return what was measured since the last call."""
        self.report.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        while not self.report.exists():
            time.sleep(0.01)
        return json.loads(self.report.read_text())

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def measure(number: int, scrapes: int, *, sidecar: bool) -> dict[str, Any]:
    """Return the figures of each daemon for the scrapes, each with a fresh reading."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        how = ["--sidecar"] if sidecar else []
        running = [Process("runtime", directory, number)]
        if sidecar:
            running.append(Process("sidecar", directory, number))
        running.append(Process("agent", directory, number, *how))
        running.append(Process("plane", directory, number, "--agent", running[-1].address))
        try:
            return _scrape(running, number, scrapes)
        finally:
            for each in reversed(running):
                each.end()


def _scrape(running: list[Process], number: int, scrapes: int) -> dict[str, Any]:
    url, nodes = (f"http://{running[-1].address}/{path}" for path in ("metrics", "nodes"))
    measured = {each.report.stem: each for each in running[1:]}
    found: dict[str, Any] = {name: {"longest": [], "loop": [], "process": []} for name in measured}
    found |= {"seconds": [], "bytes": 0, "series": 0}
    with BlockingClient(limits=Limits(body=1 << 28), timeouts=Timeouts(read=60, total=60)) as http:
        deadline = time.monotonic() + START
        while json.loads(http.request("GET", nodes).body)["nodes"][0].get("workloads") != number:
            assert time.monotonic() < deadline, "the agent did not adopt the zones"
            time.sleep(1)
        while http.request("GET", url).body.count(b"\nkakuri_zone_cpu_usage_") < number:
            assert time.monotonic() < deadline, "the agent has no usage of the zones"
            time.sleep(FRESH)
        for _ in range(scrapes):
            time.sleep(FRESH)
            for each in measured.values():
                each.measure()
            began = time.monotonic()
            body = http.request("GET", url).body
            found["seconds"].append(time.monotonic() - began)
            for name, each in measured.items():
                for key, value in each.measure().items():
                    found[name][key].append(value)
            assert b'kakuri_agent_up{node="node1"} 1.0' in body, "the scrape was not complete"
            found["bytes"] = len(body)
            found["series"] = sum(1 for line in body.splitlines() if not line.startswith(b"#"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zones", nargs="?", type=int, default=5000)
    parser.add_argument("scrapes", nargs="?", type=int, default=3)
    parser.add_argument("--sidecar", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--role")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--agent", default="")
    options = parser.parse_args()
    if options.role:
        run_role(options.role, options.directory, options.zones, options.sidecar, options.agent)
        return
    found = measure(options.zones, options.scrapes, sidecar=options.sidecar)
    for name, figures in found.items():
        print(name, json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
