"""Load every limit of the daemons at once: `python soak.py [SECONDS]`.

The three daemons run as processes in front of a fake container runtime. Clients of every kind that a
node has to survive load them all the time (see soak_load.py), while each daemon's health is probed
again and again. At the end a table is printed; the exit status is 1 if

- a daemon took longer than MAX_ANSWER_SECONDS to answer a probe, or did not answer. The delay that
  the machine itself causes to an idle process is measured as well, and added to the limit,
- its memory grew beyond MAX_GROWTH between the first and the last third of the time,
- it ended by itself, logged a trace, or did not exit with status 0 on SIGTERM,
- ordinary jobs failed meanwhile.
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

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from e2e_processes import Daemon, clean_environment  # noqa: E402
from soak_load import Load, prepare  # noqa: E402

SHORT_SECONDS = 30
MAX_ANSWER_SECONDS = 0.25
MAX_GROWTH = 0.10
LONG_SECONDS = 120
SHORT_GROWTH_MB, LONG_GROWTH_MB = 128, 16
"""Growth that is never too much. In a short run clients still fill the budgets that they share, such
as the 64 MiB of unfinished input, and the agent that of ended workloads: only what grows by several
megabytes a second is noticed. In a long run all that has happened when the comparison begins."""

WARM_UP = 0.25
"""The part of the time after which memory is compared: clients arrive, caches fill."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Runtime:
    """The fake container runtime."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "cri.sock"
        self.process = subprocess.Popen(
            [sys.executable, HERE / "soak_cri.py", self.socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(),
        )  # fmt: skip
        if not self.process.stdout.readline():
            raise SystemExit("the fake container runtime did not start")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@dataclass
class Watched:
    """A daemon, what it answered to its probe, and its memory over time."""

    daemon: Daemon
    kind: str
    answers: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    megabytes: list[tuple[float, float]] = field(default_factory=list)
    cpu_seconds: float = 0
    status: int | None = None

    @property
    def name(self) -> str:
        return self.daemon.name.removeprefix("kakuri-")

    async def probe(self) -> None:
        """Record a probe's answers until cancelled."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, HERE / "soak_probe.py", self.kind, self.daemon.address,
            stdout=subprocess.PIPE, env=clean_environment(),
        )  # fmt: skip
        try:
            while line := (await process.stdout.readline()).decode():
                late, said = line.rstrip("\n").split(" ", 1)
                self.late.append(float(late))
                if said.startswith("-"):
                    self.wrong.append(said)
                else:
                    self.answers.append(float(said))
        finally:
            process.kill()
            await process.wait()

    async def weigh(self) -> None:
        """Record the resident memory each half second, until cancelled or until the process ends."""
        before = cpu_seconds(self.daemon.process.pid)
        status = Path(f"/proc/{self.daemon.process.pid}/status")
        while match := re.search(r"VmRSS:\s+(\d+) kB", status.read_text()):
            self.cpu_seconds = cpu_seconds(self.daemon.process.pid) - before
            self.megabytes.append((time.monotonic(), int(match[1]) / 1024))
            await asyncio.sleep(0.5)

    def thirds(self, start: float, end: float) -> tuple[float, float]:
        """Return the median of memory in the first and in the last third of a time."""
        third = (end - start) / 3
        first = [mb for at, mb in self.megabytes if start <= at < start + third]
        last = [mb for at, mb in self.megabytes if end - third <= at <= end]
        return statistics.median(first), statistics.median(last)

    def faults(self, start: float, end: float, late: float) -> list[str]:
        """Return what was wrong with it, with figures; `late` is the machine's own lateness."""
        found = [f"did not answer: {words}" for words in self.wrong[:3]]
        most = MAX_ANSWER_SECONDS + late
        if max(self.answers, default=0) > most:
            slow = sum(seconds > most for seconds in self.answers)
            found.append(
                f"took up to {max(self.answers) * 1000:.0f} ms to answer; {slow} of "
                f"{len(self.answers)} answers took more than {most * 1000:.0f} ms"
            )
        if not self.answers:
            found.append("never answered")
        if self.megabytes:
            first, last = self.thirds(start, end)
            allowed = LONG_GROWTH_MB if end - start > LONG_SECONDS else SHORT_GROWTH_MB
            if last - first > max(MAX_GROWTH * first, allowed):
                found.append(f"grew from {first:.0f} to {last:.0f} MB")
        if self.status != 0:
            found.append(f"ended with {self.status}")
        log = self.daemon.log.read_text(errors="replace")
        if traces := re.findall(r"^.*Traceback.*$", log, re.MULTILINE):
            found.append(f"logged {len(traces)} traces, the first: {traces[0][-400:]}")
        return [f"{self.name} {fault}" for fault in found]


def start_node(folder: Path) -> tuple[Runtime, list[Watched]]:
    """Start everything; the sidecar is the first of the daemons, the control plane the last."""
    runtime = Runtime(folder)
    common = ["--log-level", "warning"]
    sidecar = Daemon(
        "kakuri-sidecar", "--listen", f"unix:{folder}/sidecar.sock", "--cri",
        f"unix:{runtime.socket}", "--log-dir", f"{folder}/logs", *common,
        log=folder / "sidecar.log",
    )  # fmt: skip
    agent = Daemon(
        "kakuri-agent", "--listen", "127.0.0.1:0", "--runtime", "sidecar", "--sidecar",
        sidecar.address, "--state-dir", f"{folder}/state", "--memory-mb", "1000000",
        "--cpu-millicores", "1000000", "--memory-floor-mb", "0", *common,
        log=folder / "agent.log",
    )  # fmt: skip
    plane = Daemon(
        "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address, *common,
        log=folder / "control-plane.log",
    )  # fmt: skip
    kinds = ("zones", "lines", "http")
    return runtime, [Watched(*pair) for pair in zip((sidecar, agent, plane), kinds, strict=True)]


async def at_its_limits(
    node: list[Watched], seconds: float, jobs: int, large_jobs: int, kinds: Collection[str]
) -> Load:
    """Run clients against the node for a while; return what they did."""
    _, agent, plane = (watched.daemon for watched in node)
    began = time.monotonic()
    await prepare(plane.address, jobs, large_jobs)
    print(f"prepared in {time.monotonic() - began:.0f} s; now for {seconds:.0f} s", flush=True)
    load = Load(plane.address, agent.address)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(load.run(kinds))
            for watched in node:
                group.create_task(watched.probe())
                group.create_task(watched.weigh())
    return load


def figures(seconds: list[float]) -> str:
    """Return the median, the 99th percentile and the longest of some times."""
    ordered = sorted(seconds) or [float("nan")]
    chosen = statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))], ordered[-1]
    return "".join(f"{each * 1000:>6.0f} ms" for each in chosen)


def table(node: list[Watched], start: float, end: float) -> str:
    """Return what was measured of each daemon."""
    lines = [
        f"{'':14}{'answers':>8}{'median':>9}{'99 %':>9}{'longest':>9}{'CPU':>7}{'memory, MB':>26}"
    ]
    for watched in node:
        times = figures(watched.answers)
        first, last = watched.thirds(start, end)
        most = max(mb for _, mb in watched.megabytes)
        memory = f"{first:.0f} to {last:.0f}, most {most:.0f}"
        cpu = f"{watched.cpu_seconds / (end - start) * (1 - WARM_UP) * 100:>5.0f} %"
        lines.append(f"{watched.name:14}{len(watched.answers):>8}{times}{cpu}{memory:>26}")
    late = [seconds for watched in node for seconds in watched.late]
    lines.append(f"{'machine late':14}{len(late):>8}{figures(late)}")
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
        runtime, node = start_node(Path(name))
        try:
            load = asyncio.run(
                at_its_limits(node, options.seconds, options.jobs, options.large_jobs, options.only)
            )
            end = time.monotonic()
            start = end - options.seconds * (1 - WARM_UP)
        finally:
            for watched in reversed(node):
                watched.status = watched.daemon.end()
            runtime.close()
        print(table(node, start, end))
        for what, count in sorted(load.did.items()):
            print(f"{count:>14,} {what}")
        late = max(seconds for watched in node for seconds in watched.late)
        faults = [fault for watched in node for fault in watched.faults(start, end, late)]
    if not load.did["job done"] and (not options.only or "jobs" in options.only):
        faults.append("no ordinary job was done meanwhile")
    if faults:
        raise SystemExit("\n".join(faults))
    print("every daemon answered in time, and its memory is flat")


if __name__ == "__main__":
    main()
