"""Memory for each idle keep-alive connection, after one request on each: compared with aiohttp.

python bench_idle.py [--connections 10000]
"""

import argparse
import resource
import socket
import subprocess
import sys
from pathlib import Path

from bench_http import DIRECTORY, free_port, title, wait_for

REQUEST = (
    b"GET /workloads/test-1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
)


def resident(pid):
    """Return the resident memory in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("expected VmRSS in status, got none")


def measure(name, count):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "servers.py", name, str(port)],
        cwd=DIRECTORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    opened = []
    try:
        process.stdout.readline()
        wait_for(port)
        before = resident(process.pid)
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(REQUEST)
            opened.append(connection)
        for connection in opened:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        return (resident(process.pid) - before) / count
    finally:
        process.terminate()
        process.wait()
        for connection in opened:
            connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"python {sys.version.split()[0]}, {options.connections} connections\n")
    print("| server | KiB a connection |\n| --- | ---: |")
    for name in ("kakuri", "aiohttp", "uvicorn", "kakuri+uvloop"):
        print(f"| {title(name)} | {measure(name, options.connections):.2f} |", flush=True)


if __name__ == "__main__":
    main()
