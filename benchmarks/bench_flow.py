"""POST and GET per second through control plane and agent, beside Go and FastAPI.

Kakuri runs with its default options, access log included, in a store in memory and a durable one,
and besides with a quiet log and with two workers, to show what these change. Go's services
(`go_stack.go`) take part if Go 1.21 or later is installed: without a log, and with the lines that
Kakuri writes by default. The stacks run in turn on the same machine under the same wrk; each figure
is the median of the rounds.

Usage: bench_flow.py [ROUNDS] [SECONDS] [CONNECTIONS] [--json FILE]
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
TICKS = os.sysconf("SC_CLK_TCK")

POST = """
local number = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  number = (number + 1) {cycle}
  local body = string.format(
    '{{"id":"{prefix}-%d","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}}',
    number)
  return wrk.format(nil, "/workloads", nil, body)
end
"""
WORKS = {
    "POST, fresh ids": POST.format(prefix="fresh", cycle=""),
    "POST, known ids": POST.format(prefix="known", cycle="% 1000"),
    "GET": None,
}
"""What is asked for, and wrk's script for it."""


@dataclass(frozen=True)
class Result:
    """What one run of wrk measured."""

    rate: float
    """Requests a second."""

    p99: float
    """The 99th percentile of the latency, in milliseconds."""

    cpu: tuple[float, float]
    """CPU of control plane and agent, in microseconds per request."""


Stack = Callable[[str, str, str], tuple[list[str], list[str]]]
"""Takes ports of control plane and agent and a directory; returns their commands."""


def kakuri(*agent_options: str, log_level: str = "info", workers: int = 1) -> Stack:
    def commands(port: str, agent_port: str, state: str) -> tuple[list[str], list[str]]:
        log = ["--log-level", log_level]
        agent = [str(BIN / "kakuri-agent"), "--listen", f"127.0.0.1:{agent_port}"]
        agent += ["--runtime", "simulated", "--state-dir", state, *agent_options]
        plane = [str(BIN / "kakuri-control-plane"), "--listen", f"127.0.0.1:{port}"]
        plane += ["--agent", f"127.0.0.1:{agent_port}", "--workers", str(workers)]
        return [*plane, *log], [*agent, *log]

    return commands


def peers(*program: str) -> Stack:
    def commands(port: str, agent_port: str, _state: str) -> tuple[list[str], list[str]]:
        return [*program, "control-plane", port, agent_port], [*program, "agent", agent_port]

    return commands


@contextmanager
def processes(*commands: list[str], log: Path) -> Iterator[list[int]]:
    started: list[subprocess.Popen[bytes]] = []
    with log.open("ab") as file:
        try:
            for command in commands:
                started.append(subprocess.Popen(command, stdout=file, stderr=file))
            yield [process.pid for process in started]
        finally:
            for process in started:
                process.terminate()
                process.wait()


def wait_for(url: str) -> None:
    """Wait until a workload that is not there is 404: then the whole stack answers."""
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError as answer:
            if answer.code == 404:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nothing answers at {url}")


def submit_one(url: str) -> None:
    """Submit a workload, so that no measurement begins with the first one of a process."""
    body = b'{"id":"first","image":"nginx","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}'
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / TICKS
    return own + sum(cpu_seconds(int(child)) for child in children)


def wrk(url: str, script: str | None, pids: list[int], seconds: int, connections: int) -> Result:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script is not None:
            file.write(script)
            file.flush()
            command[1:1] = ["-s", file.name]
        before = [cpu_seconds(pid) for pid in pids]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(text)
    number = int(re.search(r"(\d+) requests in", text)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    p99 = float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    return Result(rate, p99, (used[0] / number * 1e6, used[1] / number * 1e6))


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def measure(stack: Stack, seconds: int, connections: int) -> dict[str, Result]:
    port, agent_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/workloads"
    results = {}
    with tempfile.TemporaryDirectory(dir=Path.home()) as state:  # on a disk, not a tmpfs
        commands = stack(port, agent_port, state)
        with processes(*commands, log=Path(state) / "log") as pids:
            wait_for(f"{url}/none")
            submit_one(url)
            for work, script in WORKS.items():
                asked = f"{url}/known-1" if work == "GET" else url
                results[work] = wrk(asked, script, pids, seconds, connections)
    return results


def has_go() -> bool:
    """Return whether there is a Go with log/slog, which came with 1.21."""
    if shutil.which("go") is None:
        return False
    text = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", text.stdout)[:2])) >= (1, 21)


def stacks(directory: Path) -> dict[str, Stack]:
    """Return the stacks that can run here, Kakuri with its default options first."""
    found = {
        "Kakuri, memory": kakuri("--store", "memory"),
        "Kakuri, memory, quiet log": kakuri("--store", "memory", log_level="warning"),
        "Kakuri, memory, 2 workers": kakuri("--store", "memory", workers=2),
        "Kakuri, durable": kakuri(),
    }
    if has_go():
        program = directory / "go_stack"
        subprocess.run(["go", "build", "-o", program, HERE / "go_stack.go"], check=True)
        found |= {"Go": peers(str(program)), "Go with a log": peers(str(program), "-log")}
    fastapi = peers(sys.executable, str(HERE / "fastapi_stack.py"))
    return found | {"FastAPI on uvicorn, asyncio streams": fastapi}


def table_of(work: str, results: dict[str, list[Result]]) -> Table:
    table = Table(title=work)
    for column in ("stack", "requests/s", "p99 ms", "CPU µs: plane", "agent", "Kakuri : it"):
        table.add_column(column, justify="left" if column == "stack" else "right")
    rates = {name: [one.rate for one in rounds] for name, rounds in results.items()}
    ours = next(iter(rates.values()))
    for name, rounds in results.items():
        ratio = statistics.median(a / b for a, b in zip(ours, rates[name], strict=True))
        table.add_row(
            name,
            f"{statistics.median(rates[name]):,.0f}",
            f"{statistics.median(one.p99 for one in rounds):.1f}",
            f"{statistics.median(one.cpu[0] for one in rounds):.1f}",
            f"{statistics.median(one.cpu[1] for one in rounds):.1f}",
            f"{ratio:.2f} ×",
        )
    return table


def median_of(rounds: list[Result]) -> dict[str, float]:
    return {
        "rate": round(statistics.median(one.rate for one in rounds)),
        "p99": round(statistics.median(one.p99 for one in rounds), 1),
        "plane": round(statistics.median(one.cpu[0] for one in rounds), 1),
        "agent": round(statistics.median(one.cpu[1] for one in rounds), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("seconds", nargs="?", type=int, default=4)
    parser.add_argument("connections", nargs="?", type=int, default=32)
    parser.add_argument("--json", type=Path, help="where the medians are written, for draw.py")
    arguments = parser.parse_args()
    rounds, seconds, connections = arguments.rounds, arguments.seconds, arguments.connections
    console = Console()
    if not has_go():
        console.print("Go is left out: go_stack.go needs Go 1.21 or later")
    results: dict[str, dict[str, list[Result]]] = {work: {} for work in WORKS}
    with tempfile.TemporaryDirectory() as directory, console.status("measuring") as status:
        for number in range(rounds):
            for name, stack in stacks(Path(directory)).items():
                status.update(f"round {number + 1} of {rounds}: {name}")
                for work, result in measure(stack, seconds, connections).items():
                    results[work].setdefault(name, []).append(result)
    console.print(
        f"Python {sys.version}\nwrk -t1 -c{connections}, median of {rounds} rounds of {seconds} s"
    )
    for work, of_stacks in results.items():
        console.print(table_of(work, of_stacks))
    if arguments.json is not None:
        medians = {
            work: {name: median_of(found) for name, found in of_stacks.items()}
            for work, of_stacks in results.items()
        }
        arguments.json.write_text(json.dumps({"python": sys.version, "works": medians}, indent=1))


if __name__ == "__main__":
    main()
