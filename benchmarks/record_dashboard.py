"""Record what the dashboard shows of a small node, for draw_dashboard.py.

A stack in front of a fake container runtime runs, starts, fails and removes workloads while a real
Prometheus scrapes it; then the expression of each panel is queried over that time.

Usage: record_dashboard.py [SECONDS]
"""

import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.observability.stack import DASHBOARD, Prometheus, Stack, await_that  # noqa: E402

RESULTS = HERE / "results" / "dashboard.json"
STEP = 4
"""Seconds between two points."""

JOBS = 3
"""Workloads that are removed and submitted again."""

DIGITS = 4
"""Significant digits of a recorded value."""


def work(stack: Stack, seconds: float) -> None:
    """Start, fail and remove workloads for a time."""
    for name in ("web", "cache", "database", "search"):
        stack.run(name)
    stack.run("import", "crash:1", restart_policy="on_failure")
    stack.run("preview", "missing:1")
    end = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > end:
            break
        name = f"job-{number % JOBS}"
        if number >= JOBS:
            stack.request("DELETE", f"/workloads/{name}?grace_seconds=0")
            await_that(
                "removal", lambda name=name: stack.request("GET", f"/workloads/{name}") == 404
            )
        stack.run(name)
        for _ in range(20 + 15 * (number % 4)):
            stack.request("GET", "/workloads")
        time.sleep(3)


def queried(server: Prometheus, expression: str, begin: float, end: float) -> list[dict[str, Any]]:
    expression = expression.replace("$__rate_interval", "20s").replace("$node", ".*")
    expression = expression.replace("[10m]", "[2m]")
    path = f"query_range?query={quote(expression)}&start={begin:.0f}&end={end:.0f}&step={STEP}"
    return [
        {
            "labels": each["metric"],
            "points": [
                [at - int(begin), float(f"{float(value):.{DIGITS}g}")]
                for at, value in each["values"]
                if value != "NaN"
            ],
        }
        for each in server.get(path)["result"]
    ]


def main() -> None:
    seconds = float(sys.argv[1]) if sys.argv[1:] else 150.0
    with tempfile.TemporaryDirectory() as name:
        stack = Stack(Path(name))
        server = Prometheus(stack, Path(name))
        begin = time.time() + 25
        work(stack, seconds)
        end = time.time()
        found = {
            panel["title"]: [
                queried(server, target["expr"], begin, end) for target in panel["targets"]
            ]
            for panel in json.loads(DASHBOARD.read_text())["panels"]
        }
        server.close()
        stack.close()
    document = {"seconds": int(end - begin), "panels": found}
    RESULTS.write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
