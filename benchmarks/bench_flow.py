"""POST and GET per second through control plane and agent, beside FastAPI with asyncio streams.

The stacks run in turn on the same machine under the same wrk; each figure is the median of the
rounds. Usage: bench_flow.py [ROUNDS] [SECONDS] [CONNECTIONS]
"""

import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent

POST = """
local number = 0
local prefix = "{prefix}" .. string.format("%x", os.time())
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  number = number + 1
  local body = string.format(
    '{{"id":"%s-%d","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":500}}',
    prefix, number)
  return wrk.format(nil, "/workloads", nil, body)
end
"""


@contextmanager
def processes(*commands: list[str]) -> Iterator[None]:
    started = []
    try:
        for command in commands:
            started.append(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        yield
    finally:
        for process in reversed(started):
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


def wrk(url: str, seconds: int, connections: int, script: str | None = None) -> tuple[float, float]:
    """Return requests a second and the 99th percentile of latency in milliseconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script is not None:
            file.write(script)
            file.flush()
            command[1:1] = ["-s", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(text)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def stack_kakuri(port: int, agent_port: int, state: str, *store: str) -> list[list[str]]:
    listen, address = f"127.0.0.1:{port}", f"127.0.0.1:{agent_port}"
    quiet = ["--log-level", "warning"]
    agent = [str(BIN / "kakuri-agent"), "--listen", address, "--runtime", "simulated"]
    plane = [str(BIN / "kakuri-control-plane"), "--listen", listen, "--agent", address]
    return [[*agent, *quiet, "--state-dir", state, *store], [*plane, *quiet]]


def stack_memory(port: int, agent_port: int, state: str) -> list[list[str]]:
    return stack_kakuri(port, agent_port, state, "--store", "memory")


def stack_fastapi(port: int, agent_port: int, _state: str) -> list[list[str]]:
    script = [sys.executable, str(HERE / "fastapi_stack.py")]
    return [
        [*script, "agent", str(agent_port)],
        [*script, "control-plane", str(port), str(agent_port)],
    ]


STACKS = {
    "Kakuri, memory": stack_memory,
    "Kakuri, durable": stack_kakuri,
    "FastAPI + uvicorn + asyncio streams": stack_fastapi,
}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    connections = int(sys.argv[3]) if len(sys.argv) > 3 else 64
    results: dict[str, dict[str, list[tuple[float, float]]]] = {
        name: {"POST": [], "GET": []} for name in STACKS
    }
    console = Console()
    with console.status("measuring") as status:
        for number in range(rounds):
            for name, stack in STACKS.items():
                status.update(f"round {number + 1} of {rounds}: {name}")
                port, agent_port = free_port(), free_port()
                url = f"http://127.0.0.1:{port}"
                with (
                    tempfile.TemporaryDirectory(dir=Path.home()) as state,  # on a disk, not a tmpfs
                    processes(*stack(port, agent_port, state)),
                ):
                    wait_for(f"{url}/workloads/none")
                    results[name]["POST"].append(
                        wrk(f"{url}/workloads", seconds, connections, POST.format(prefix="w"))
                    )
                    one = b'{"id":"one","image":"nginx","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}'
                    headers = {"Content-Type": "application/json"}
                    urllib.request.urlopen(
                        urllib.request.Request(f"{url}/workloads", one, headers)
                    ).close()
                    results[name]["GET"].append(wrk(f"{url}/workloads/one", seconds, connections))
    table = Table(title=f"the whole flow, wrk -c{connections}, median of {rounds} rounds")
    for column in ("stack", "POST/s", "p99 ms", "GET/s", "p99 ms"):
        table.add_column(column, justify="left" if column == "stack" else "right")
    median: dict[str, list[float]] = {}
    for name, kinds in results.items():
        median[name] = [
            statistics.median(values)
            for kind in ("POST", "GET")
            for values in zip(*kinds[kind], strict=True)
        ]
        post, post_p99, get, get_p99 = median[name]
        table.add_row(name, f"{post:,.0f}", f"{post_p99:.1f}", f"{get:,.0f}", f"{get_p99:.1f}")
    memory, durable, theirs = median.values()
    for what, ours, other in (
        ("memory : FastAPI", memory, theirs),
        ("durable : memory", durable, memory),
    ):
        ratios = [f"{one / another:.2f} ×" for one, another in zip(ours, other, strict=True)]
        table.add_row(what, *ratios)
    console.print(table)


if __name__ == "__main__":
    main()
