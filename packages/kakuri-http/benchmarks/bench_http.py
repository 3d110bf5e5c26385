"""Requests per second, compared with other servers: one core for the server, `wrk -c64` on another.

    python bench_http.py [--seconds 5] [--rounds 3] [--only NAME …] [--picture PATH.svg]

Rounds alternate between the servers, so that a busy machine slows all of them; the best round
counts. If other work shares the cores, compare requests per second of the server's processor time.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

NAMES = [
    "bare", "kakuri", "aiohttp", "uvicorn", "fastapi", "granian",
    "bare+uvloop", "kakuri+uvloop", "uvicorn+uvloop",
]  # fmt: skip
TITLES = {
    "bare": "asyncio.Protocol, one expression",
    "kakuri": "kakuri-http: router, handler, JSON",
    "aiohttp": "aiohttp server",
    "uvicorn": "uvicorn, raw ASGI, httptools",
    "fastapi": "FastAPI on uvicorn",
    "granian": "granian, raw ASGI (server in Rust)",
}
DIRECTORY = Path(__file__).parent


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def measure(name, seconds):
    server_core, client_core = sorted(os.sched_getaffinity(0))[:2]
    port = free_port()
    process = subprocess.Popen(
        ["taskset", "-c", str(server_core), sys.executable, "servers.py", name, str(port)],
        cwd=DIRECTORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"expected {name} to start, got its end")
        wait_for(port)
        command = ["taskset", "-c", str(client_core), "wrk", "-t1", "-c64", "--latency"]
        url = f"http://127.0.0.1:{port}/workloads/test-1"
        subprocess.run([*command, "-d1", url], capture_output=True, check=True)
        began = processor_time(process.pid)
        output = subprocess.run(
            [*command, f"-d{seconds}", url], capture_output=True, check=True, text=True
        ).stdout
        used = processor_time(process.pid) - began
    finally:
        process.terminate()
        process.wait()
    assert "Non-2xx" not in output, output
    done = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return done / used, rate, re.search(r"99%\s+(\S+)", output)[1]


def processor_time(pid):
    """Return the seconds of processor time that a process and its children have used."""
    total = 0.0
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if pid in (int(directory.name), int(fields[1])):
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def wait_for(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def title(name):
    base, _, loop = name.partition("+")
    return TITLES[base] + (f", {loop}" if loop else "")


def picture(rates):
    """Draw bars as SVG."""
    widest = max(rates.values())
    rows = []
    for index, (name, rate) in enumerate(sorted(rates.items(), key=lambda item: -item[1])):
        y = 10 + index * 28
        colour = "#2f6f4f" if name.startswith("kakuri") else "#9aa5b1"
        rows.append(
            f'<text x="255" y="{y + 15}" text-anchor="end">{title(name)}</text>'
            f'<rect x="265" y="{y}" width="{rate / widest * 380:.0f}" height="20" fill="{colour}"/>'
            f'<text x="{270 + rate / widest * 380:.0f}" y="{y + 15}">{rate:,.0f}</text>'
        )
    height = 20 + 28 * len(rates)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(rows)}</svg>\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=NAMES)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("missing program wrk; on Debian: apt-get install wrk")
    results = {}
    for _ in range(options.rounds):
        for name in options.only:
            results[name] = max(results.get(name, (0, 0, "")), measure(name, options.seconds))
    print(f"python {sys.version.split()[0]}, best of {options.rounds} x {options.seconds} s\n")
    print("| server | requests a CPU second | of bare | of uvicorn | requests/s | p99 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (efficiency, rate, p99) in results.items():
        loop = name.partition("+")[2]
        peers = [f"{peer}+{loop}" if loop else peer for peer in ("bare", "uvicorn")]
        shares = [f"{efficiency / results[p][0]:.2f}" if p in results else "" for p in peers]
        print(f"| {title(name)} | {efficiency:,.0f} | {' | '.join(shares)} | {rate:,.0f} | {p99} |")
    if options.picture:
        options.picture.write_text(picture({name: result[0] for name, result in results.items()}))


if __name__ == "__main__":
    main()
