"""Start an agent and a control plane side by side, and take both down together.

Usage: ./nox -s up -- [--agent HOST:PORT] [--listen HOST:PORT]
"""

import argparse
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

BIN = Path(sys.executable).parent
console = Console()

NEXT = """\
curl -X POST http://{address}/workloads -d '{workload}'
curl http://{address}/workloads/test-1
curl http://{address}/workloads
curl -X DELETE http://{address}/workloads/test-1
echo '{{"type":"GetStatus","id":"test-1"}}' | nc -N {agent}
"""
WORKLOAD = (
    '{"id":"test-1","image":"nginx:latest","runtime_class":"edera-zone",'
    '"memory_mb":512,"cpu_millicores":500}'
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(Exception):
    """The user asked both daemons to end."""


def start(processes: list[subprocess.Popen[str]], name: str, *options: str) -> str:
    """Start a daemon, add it to the processes, and return the address that it announces."""
    # In its own process group: Ctrl-C reaches this program, which ends both in order. No
    # signal may come between the start and the note that there is something to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = subprocess.Popen(
            [BIN / name, *options],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS),  # noqa: PLW1509
        )
        processes.append(process)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        sys.exit(process.wait() or 1)
    return line.removeprefix("listening on ").strip()


def stop(_number: int, _frame: object) -> NoReturn:
    """Turn a signal into the end of waiting."""
    raise Stop


def await_end(process: subprocess.Popen[str], ended: threading.Event) -> None:
    """Wait until a process ends, and report it."""
    process.wait()
    ended.set()


def main() -> None:
    """Run both daemons until Ctrl-C, SIGTERM, or the end of one of them."""
    parser = argparse.ArgumentParser(prog="./nox -s up --")
    parser.add_argument("--agent", default="127.0.0.1:9000", help="where the agent listens")
    parser.add_argument(
        "--listen", default="127.0.0.1:8080", help="where the control plane listens"
    )
    options = parser.parse_args()
    for number in SIGNALS:
        signal.signal(number, stop)
    processes: list[subprocess.Popen[str]] = []
    ended = threading.Event()
    failed = False
    try:
        # Simulated, even beside a sidecar, which has another agent.
        simulated = ["--runtime", "simulated", "--store", "memory"]
        agent = start(processes, "kakuri-agent", "--listen", options.agent, *simulated)
        plane = ["kakuri-control-plane", "--listen", options.listen, "--agent", agent]
        address = start(processes, *plane)
        console.print(f"\n[bold green]agent[/]          {agent}")
        console.print(f"[bold green]control plane[/]  http://{address}\n")
        console.print("[bold]Next, in another terminal:[/]\n")
        host, _, port = agent.rpartition(":")
        commands = NEXT.format(address=address, agent=f"{host} {port}", workload=WORKLOAD)
        # Wrapped by the terminal, if at all: a line feed of ours breaks a command that is copied.
        console.print(Text(commands, style="cyan"), soft_wrap=True)  # on dark and on light
        console.print("[dim]Ctrl-C ends both.[/]\n")
        for process in processes:
            threading.Thread(target=await_end, args=(process, ended), daemon=True).start()
        ended.wait()
        failed = True
        console.print("[bold red]a daemon ended by itself; see its log above[/]")
    except Stop:
        console.print()
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            # One that was still starting had no handler yet.
            failed = process.wait() not in (0, -signal.SIGTERM) or failed
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
