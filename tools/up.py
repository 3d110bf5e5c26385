"""Start an agent and a control plane side by side, and take both down together.

Usage: python -m tools.up [--agent HOST:PORT] [--listen HOST:PORT]
"""

import argparse
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.syntax import Syntax

BIN = Path(sys.executable).parent
console = Console()

NEXT = """\
curl -X POST http://{address}/workloads \\
  -d '{{"id":"test-1","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":512,
       "cpu_millicores":500}}'
curl http://{address}/workloads/test-1
curl http://{address}/workloads
curl -X DELETE http://{address}/workloads/test-1
"""


class Stop(Exception):
    """The user asked both daemons to end."""


def start(name: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a daemon and give it with the address that it announced."""
    # In a process group of its own: Ctrl-C reaches this program, which ends both in order.
    process = subprocess.Popen(
        [BIN / name, *options], stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        sys.exit(process.wait() or 1)
    return process, line.removeprefix("listening on ").strip()


def stop(_number: int, _frame: object) -> NoReturn:
    """Turn a signal into the end of waiting."""
    raise Stop


def await_end(process: subprocess.Popen[str], ended: threading.Event) -> None:
    """Wait for a process to end and say that one did."""
    process.wait()
    ended.set()


def main() -> None:
    """Run both daemons until Ctrl-C, SIGTERM, or the end of one of them."""
    parser = argparse.ArgumentParser(prog="nox -s up --")
    parser.add_argument("--agent", default="127.0.0.1:9000", help="where the agent listens")
    parser.add_argument(
        "--listen", default="127.0.0.1:8080", help="where the control plane listens"
    )
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    processes: list[subprocess.Popen[str]] = []
    ended = threading.Event()
    try:
        agent, agent_address = start("kakuri-agent", "--listen", options.agent)
        processes.append(agent)
        plane, address = start(
            "kakuri-control-plane", "--listen", options.listen, "--agent", agent_address
        )
        processes.append(plane)
        console.print(f"\n[bold green]agent[/]          {agent_address}")
        console.print(f"[bold green]control plane[/]  http://{address}\n")
        console.print("[bold]Next, in another terminal:[/]\n")
        console.print(Syntax(NEXT.format(address=address), "bash", background_color="default"))
        console.print("[dim]Ctrl-C ends both.[/]\n")
        for process in processes:
            threading.Thread(target=await_end, args=(process, ended), daemon=True).start()
        ended.wait()
        console.print("[bold red]a daemon ended by itself; see its log above[/]")
    except Stop:
        console.print()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(processes):
            process.terminate()
        failed = [process for process in processes if process.wait() != 0]
    if ended.is_set() or failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
