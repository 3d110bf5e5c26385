"""Kakuri in front of a fake container runtime, and a real Prometheus that scrapes it."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kakuri_http import ConnectFailed
from kakuri_http.blocking import BlockingClient

from tests.e2e.processes import Daemon, clean_environment
from tools import prometheus
from tools.members import ROOT

RULES = ROOT / "alerts" / "kakuri.rules.yml"
DASHBOARD = ROOT / "dashboards" / "kakuri.json"
DEADLINE = 30.0
"""Seconds to wait for a condition."""

TEXT = "text/plain; version=0.0.4"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"

_SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created")


def await_that(what: str, condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)
    return result


class Stack:
    """A control plane, an agent without a sidecar, and the fake runtime of its zones."""

    def __init__(self, directory: Path) -> None:
        socket = directory / "cri.sock"
        self.cri = subprocess.Popen(
            [sys.executable, "-m", "tests.observability.cri", str(socket), str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.cri.stdout is not None
        assert self.cri.stdout.readline() == "listening\n"
        self.agent = Daemon(
            "kakuri-agent",
            "--listen", "127.0.0.1:0",
            "--name", "node1",
            "--runtime", "cri",
            "--cri", f"unix:{socket}",
            "--log-dir", str(directory / "logs"),
            "--state-dir", str(directory / "state"),
            "--memory-mb", "8192",
            "--cpu-millicores", "8000",
            log=directory / "agent.log",
        )  # fmt: skip
        self.plane = Daemon(
            "kakuri-control-plane",
            "--listen", "127.0.0.1:0",
            "--agent", f"127.0.0.1:{self.agent.port}",
            log=directory / "plane.log",
        )  # fmt: skip
        self.address = f"127.0.0.1:{self.plane.port}"
        self._http = BlockingClient()

    def request(self, method: str, path: str, document: Any = None) -> int:
        body = b"" if document is None else json.dumps(document).encode()
        return self._http.request(method, f"http://{self.address}{path}", body=body).status

    def run(self, workload_id: str, image: str = "server:1", **more: Any) -> None:
        document = {"id": workload_id, "image": image, "memory_mb": 300, "cpu_millicores": 250}
        assert self.request("POST", "/workloads", document | more) == 201

    def scrape(self, accept: str = TEXT) -> str:
        response = self._http.request(
            "GET", f"http://{self.address}/metrics", headers={"Accept": accept}
        )
        assert response.status == 200, response.body
        return response.body.decode()

    def families(self) -> set[str]:
        """Return the names of the families that the stack serves."""
        found = re.findall(r"^# TYPE (\S+) ", self.scrape(OPEN_METRICS), re.MULTILINE)
        return set(found)

    def await_series(self, pattern: str) -> None:
        """Wait until a line of the metrics matches."""
        await_that(pattern, lambda: re.search(pattern, self.scrape(), re.MULTILINE))

    def close(self) -> None:
        self._http.close()
        for daemon in (self.plane, self.agent):
            daemon.end()
        assert self.cri.stdin is not None
        self.cri.stdin.close()
        self.cri.wait(DEADLINE)
        self.cri.stdout.close()


class Prometheus:
    """A Prometheus that scrapes a stack each second and evaluates the rules."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        config = directory / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{RULES}']\n"
            "scrape_configs:\n"
            "  - job_name: kakuri\n"
            f"    static_configs: [{{targets: ['{stack.address}']}}]\n"
        )
        with (directory / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    prometheus.program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={directory / 'tsdb'}",
                    "--web.listen-address=127.0.0.1:0",
                    "--log.level=info",
                ],
                stdout=log,
                stderr=log,
                cwd=directory,
                env=clean_environment(GOMAXPROCS="1"),
            )
        self._log = directory / "prometheus.log"
        self._http = BlockingClient()
        found = await_that("Prometheus", self._listening)
        self.address = found
        await_that("Prometheus", self._is_ready)

    def get(self, path: str) -> Any:
        """Return the data of an answer of its API."""
        response = self._http.request("GET", f"http://{self.address}/api/v1/{path}")
        document = json.loads(response.body)
        assert document["status"] == "success", (path, document)
        return document["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current value of an expression."""
        return self.get(f"query?query={quote(expression)}")["result"]

    def close(self) -> None:
        self._http.close()
        self.process.terminate()
        self.process.wait(DEADLINE)

    def _listening(self) -> str | None:
        assert self.process.poll() is None, self._log.read_text()
        match = re.search(r'msg="Listening on" address=(\S+)', self._log.read_text())
        return match[1] if match else None

    def _is_ready(self) -> bool:
        try:
            response = self._http.request("GET", f"http://{self.address}/-/ready")
        except ConnectFailed:
            return False
        return response.status == 200


def metrics_in(expression: str) -> set[str]:
    """Return the names of the families that an expression of Prometheus names."""
    names = set()
    for name in re.findall(r"\b(?:kakuri|process|python)_[a-z0-9_]+", expression):
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        names.add(name)
    return names
