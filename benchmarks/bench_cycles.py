"""What is left behind by workloads that come and go: descriptors, threads and memory of the daemons.

Starts and removes workloads with the simulated runtime on a durable store, and looks at /proc in
between. Usage: bench_cycles.py [CYCLES] [TIMES]
"""

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from kakuri_http.blocking import BlockingClient
from rich.console import Console
from rich.table import Table

BIN = Path(sys.executable).parent
AT_ONCE = 50
BODY = b'{"id":"%s","image":"nginx","runtime_class":"edera-zone","memory_mb":1,"cpu_millicores":1}'


def start(stack: ExitStack, name: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    process = stack.enter_context(
        subprocess.Popen(
            [BIN / name, "--log-level", "error", *options], stdout=subprocess.PIPE, text=True
        )
    )
    stack.callback(process.terminate)
    return process, process.stdout.readline().removeprefix("listening on ").strip()


def look(process: subprocess.Popen[str]) -> tuple[int, int, float]:
    """Give the number of descriptors and of threads, and resident MiB."""
    folder = Path(f"/proc/{process.pid}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    resident = int(status["VmRSS"].split()[0]) / 1024
    return len(list((folder / "fd").iterdir())), int(status["Threads"]), resident


def cycle(client: BlockingClient, url: str, names: list[str]) -> None:
    for name in names:
        answer = client.request("POST", url, body=BODY % name.encode())
        assert answer.status == 201, answer
    for name in names:
        answer = client.request("DELETE", f"{url}/{name}")
        assert answer.status in (202, 404), answer
    for name in names:
        while client.request("GET", f"{url}/{name}").status != 404:
            time.sleep(0.01)


def main() -> None:
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    table = Table(title=f"{cycles:,} workloads started and removed, {times} times")
    for column in ("after", "agent: fds", "threads", "MiB", "plane: fds", "threads", "MiB"):
        table.add_column(column, justify="right")
    with ExitStack() as stack, Console().status("measuring"):
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        agent, at = start(
            stack, "kakuri-agent", "--listen", "127.0.0.1:0", "--runtime", "simulated",
            "--state-dir", folder,
        )  # fmt: skip
        plane, address = start(
            stack, "kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", at
        )
        client = stack.enter_context(BlockingClient())
        for number in range(times + 1):
            if number:
                for first in range(0, cycles, AT_ONCE):
                    names = [f"w-{number}-{first + index}" for index in range(AT_ONCE)]
                    cycle(client, f"http://{address}/workloads", names)
            else:
                cycle(client, f"http://{address}/workloads", ["warm"])
            figures = [f"{each:.1f}" if isinstance(each, float) else str(each)
                       for process in (agent, plane) for each in look(process)]  # fmt: skip
            table.add_row(f"{number * cycles:,}", *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
