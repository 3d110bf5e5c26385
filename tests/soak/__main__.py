"""Load every limit of the daemons at once: `python -m tests.soak [SECONDS]`.

The three daemons run as processes in front of a fake container runtime. Every kind of client that a
node has to survive loads them for the whole time (see load.py), while each daemon's health is
probed. At the end, a table is printed. The exit status is 1 if

- a daemon took longer than MAX_ANSWER_SECONDS to answer a probe, or did not answer. A run of more
  than LONG_SECONDS needs a quiet machine. A shorter one may share its machine: it allows
  SHORT_ANSWER_SECONDS plus the delay that the machine imposes on an idle process, and one longer
  answer in a hundred,
- a daemon's minimum memory grew between the first and the last third of the run by more than
  MAX_GROWTH and LONG_GROWTH_MB. (Clients that read nothing fill up to 160 MB of buffers; every few
  seconds, all of them disconnect for a moment. A leak raises the minimum between these waves.)
  A third of a short run has one such moment, and fragments of freed buffers may keep 100 MB in it:
  there, both the minimum and the maximum must have grown by more than SHORT_GROWTH_MB,
- a daemon exited early, logged a traceback, or did not exit with status 0 on SIGTERM,
- no ordinary job succeeded.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.processes import Daemon, clean_environment

from .load import Load, prepare
from .probe import ask

SHORT_SECONDS = 30
MAX_ANSWER_SECONDS = 0.25
SHORT_ANSWER_SECONDS = 1.0
MAX_GROWTH = 0.10
LONG_SECONDS = 120
LONG_GROWTH_MB = 16
"""Allowed growth in a long run, in which clients have filled their shared budgets, such as the
64 MiB of unfinished input, before the comparison begins."""
SHORT_GROWTH_MB = 96
"""Allowed growth in a short run, about 6 MB per second. From one third to the next, fragments moved
the minimum of a control plane without leaks by up to 100 MB, and its maximum by up to 60 MB."""
SHORT_ENDED_BUDGET_MB = 32
"""The agent's budget of ended workloads in a short run; the prepared jobs fill it."""

WARM_UP = 0.25
"""Fraction of the run to ignore when memory is compared: clients connect and caches fill."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Runtime:
    """The fake container runtime."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "cri.sock"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.cri", self.socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(),
        )  # fmt: skip
        if not self.process.stdout.readline():
            raise SystemExit("the fake container runtime did not start")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@dataclass
class MonitoredDaemon:
    """A daemon with the results of its probes, and its memory over time."""

    daemon: Daemon
    kinds: tuple[str, ...]
    answers: dict[str, list[float]] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    megabytes: list[tuple[float, float]] = field(default_factory=list)
    cpu_seconds: float = 0
    status: int | None = None

    @property
    def name(self) -> str:
        return self.daemon.name.removeprefix("kakuri-")

    async def probe(self, kind: str) -> None:
        """Record the response times of a probe until cancelled."""
        answers = self.answers[kind] = []
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.soak.probe", kind, self.daemon.address,
            stdout=subprocess.PIPE, env=clean_environment(),
        )  # fmt: skip
        try:
            while line := (await process.stdout.readline()).decode():
                late, result = line.rstrip("\n").split(" ", 1)
                self.late.append(float(late))
                if result.startswith("-"):
                    self.failures.append(result)
                else:
                    answers.append(float(result))
        finally:
            process.kill()
            await process.wait()

    async def record_memory(self) -> None:
        """Record the resident memory ten times a second, until cancelled or until the process ends."""
        before = cpu_seconds(self.daemon.process.pid)
        status = Path(f"/proc/{self.daemon.process.pid}/status")
        while match := re.search(r"VmRSS:\s+(\d+) kB", status.read_text()):
            self.cpu_seconds = cpu_seconds(self.daemon.process.pid) - before
            self.megabytes.append((time.monotonic(), int(match[1]) / 1024))
            await asyncio.sleep(0.1)

    def memory_ranges(self, start: float, end: float) -> tuple[tuple[float, float], ...]:
        """Return the minimum and the maximum memory in the first and in the last third of a period."""
        third = (end - start) / 3
        first = [mb for at, mb in self.megabytes if start <= at < start + third]
        last = [mb for at, mb in self.megabytes if end - third <= at <= end]
        return (min(first), max(first)), (min(last), max(last))

    def faults(self, start: float, end: float, late: float) -> list[str]:
        """Return the daemon's faults, with figures; `late` is the delay of an idle process."""
        found = [f"did not answer: {answer}" for answer in self.failures[:3]]
        is_long = end - start > LONG_SECONDS
        most = MAX_ANSWER_SECONDS if is_long else SHORT_ANSWER_SECONDS + late
        for kind, answers in self.answers.items():
            slow = sum(seconds > most for seconds in answers)
            if slow > (0 if is_long else len(answers) // 100):
                found.append(
                    f"took up to {max(answers) * 1000:.0f} ms to answer {kind}; {slow} of "
                    f"{len(answers)} answers took more than {most * 1000:.0f} ms"
                )
            if not answers:
                found.append(f"never answered {kind}")
        (least, most), (last_least, last_most) = self.memory_ranges(start, end)
        if is_long:
            has_grown = last_least - least > max(MAX_GROWTH * least, LONG_GROWTH_MB)
        else:
            has_grown = min(last_least - least, last_most - most) > SHORT_GROWTH_MB
        if has_grown:
            found.append(f"grew from {least:.0f}–{most:.0f} to {last_least:.0f}–{last_most:.0f} MB")
        if self.status != 0:
            found.append(f"ended with {self.status}")
        log = self.daemon.log.read_text(errors="replace")
        if traces := re.findall(r"^.*Traceback.*$", log, re.MULTILINE):
            found.append(f"logged {len(traces)} tracebacks, the first: {traces[0][-400:]}")
        return [f"{self.name} {fault}" for fault in found]


def start_node(directory: Path, seconds: float) -> tuple[Runtime, list[MonitoredDaemon]]:
    """Start the runtime and the daemons: sidecar, agent and control plane, in this order."""
    runtime = Runtime(directory)
    common = ["--log-level", "warning"]
    budget = [] if seconds > LONG_SECONDS else ["--ended-budget-mb", str(SHORT_ENDED_BUDGET_MB)]
    sidecar = Daemon(
        "kakuri-sidecar", "--listen", f"unix:{directory}/sidecar.sock", "--cri",
        f"unix:{runtime.socket}", "--log-dir", f"{directory}/logs", *common,
        log=directory / "sidecar.log",
    )  # fmt: skip
    agent = Daemon(
        "kakuri-agent", "--listen", "127.0.0.1:0", "--runtime", "sidecar", "--sidecar",
        sidecar.address, "--state-dir", f"{directory}/state", "--memory-mb", "1000000",
        "--cpu-millicores", "1000000", "--memory-floor-mb", "0", *common, *budget,
        log=directory / "agent.log",
    )  # fmt: skip
    plane = Daemon(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address, *common,
        log=directory / "control-plane.log",
    )  # fmt: skip
    # Two probes for the sidecar: its health check waits for the runtime, an unknown zone does not.
    kinds = (("http", "zones"), ("lines",), ("http",))
    daemons = zip((sidecar, agent, plane), kinds, strict=True)
    return runtime, [MonitoredDaemon(*each) for each in daemons]


async def run_clients(
    node: list[MonitoredDaemon], seconds: float, jobs: int, large_jobs: int, kinds: Collection[str]
) -> Load:
    """Run clients against the node for a while; return the load with their counts."""
    _, agent, plane = (watched.daemon for watched in node)
    began = time.monotonic()
    await prepare(plane.address, jobs, large_jobs)
    for watched in node:  # the first health check waits for the container runtime
        await asyncio.to_thread(ask, watched.kinds[0], watched.daemon.address)
    print(f"prepared in {time.monotonic() - began:.0f} s; now for {seconds:.0f} s", flush=True)
    load = Load(plane.address, agent.address)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(load.run(kinds))
            for watched in node:
                for kind in watched.kinds:
                    group.create_task(watched.probe(kind))
                group.create_task(watched.record_memory())
    return load


def percentiles(seconds: list[float]) -> str:
    """Return the median, the 99th percentile and the maximum of some times, as text."""
    ordered = sorted(seconds) or [float("nan")]
    chosen = statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))], ordered[-1]
    return "".join(f"{each * 1000:>6.0f} ms" for each in chosen)


def table(node: list[MonitoredDaemon], start: float, end: float) -> str:
    """Return the measurements of each daemon as a table."""
    lines = [
        f"{'':16}{'answers':>8}{'median':>9}{'99 %':>9}{'longest':>9}{'CPU':>7}{'memory, MB':>32}"
    ]
    for watched in node:
        (least, most), (last_least, last_most) = watched.memory_ranges(start, end)
        memory = f"{least:.0f}–{most:.0f}, then {last_least:.0f}–{last_most:.0f}"
        rest = f"{watched.cpu_seconds / (end - start) * (1 - WARM_UP) * 100:>5.0f} %{memory:>32}"
        for kind, answers in watched.answers.items():
            name = f"{watched.name} {'' if kind != 'zones' else 'zone'}"
            lines.append(f"{name:16}{len(answers):>8}{percentiles(answers)}{rest}")
            rest = ""
    late = [seconds for watched in node for seconds in watched.late]
    lines.append(f"{'machine late':16}{len(late):>8}{percentiles(late)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="nox -s soak --")
    parser.add_argument("seconds", type=float, nargs="?", default=SHORT_SECONDS)
    parser.add_argument("--jobs", type=int, default=1000, help="small jobs that have ended")
    parser.add_argument("--large-jobs", type=int, default=100, help="jobs of 240 kB that have")
    parser.add_argument(
        "--only", nargs="+", default=(), choices=Load("", "").clients(), help="some clients alone"
    )
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each peer that cut us off
    with tempfile.TemporaryDirectory(prefix="kakuri-soak-") as name:
        runtime, node = start_node(Path(name), options.seconds)
        try:
            load = asyncio.run(
                run_clients(node, options.seconds, options.jobs, options.large_jobs, options.only)
            )
            end = time.monotonic()
            start = end - options.seconds * (1 - WARM_UP)
        finally:
            for watched in reversed(node):
                watched.status = watched.daemon.end()
            runtime.close()
        print(table(node, start, end))
        for what, count in sorted(load.counts.items()):
            print(f"{count:>14,} {what}")
        late = max(seconds for watched in node for seconds in watched.late)
        faults = [fault for watched in node for fault in watched.faults(start, end, late)]
    if not load.counts["job done"] and (not options.only or "jobs" in options.only):
        faults.append("no ordinary job succeeded")
    if faults:
        raise SystemExit("\n".join(faults))
    print("every daemon answered in time, and its memory is flat")


if __name__ == "__main__":
    main()
