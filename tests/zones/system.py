"""All of Kakuri as processes, in front of the real container runtime of a CRI node."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kakuri_http import Timeouts
from kakuri_http.blocking import BlockingClient

from tests.e2e.processes import DEADLINE, Daemon
from tests.openapi.checker import check_response

WAIT_SECONDS = 100
"""Seconds to wait for a condition; machines may be slow."""

POLL_SECONDS = 0.02

DAEMONS = {"sidecar": ("agent", "sidecar", "plane"), "cri": ("agent", "plane")}
"""The daemons of a node, by the agent's runtime."""

IDLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait")
"""A command that runs until it has to end, and then does not wait to be killed."""


def await_that(what, condition):
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(POLL_SECONDS)
    return result


def run_ctr(node, *arguments: str) -> str:
    """Run containerd's client, and return what it prints."""
    command = ["ctr", "--address", str(node.socket), "--namespace", "k8s.io", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=DEADLINE
    ).stdout


class System:
    """Control plane, agent and perhaps a sidecar; each can be killed and started again.

    Attributes:
        daemons: names of the daemons that run.
        zone_daemons: names of the daemons that manage zones.
        runtime_options: options with which an agent runs zones here.
    """

    def __init__(
        self, node, directory: Path, *, runtime: str, handler: str = "edera", cri=None, options=()
    ) -> None:
        self.node = node
        self.directory = directory
        self.log_dir = directory / "logs"
        self.daemons = DAEMONS[runtime]
        self.zone_daemons = [name for name in ("sidecar", "agent") if name in self.daemons]
        zones = [
            "--cri", f"unix:{cri or node.socket}",
            "--handler", f"edera-zone={handler}",
            "--cgroup-parent", node.cgroup_parent,
            "--log-dir", str(self.log_dir),
            *options,
        ]  # fmt: skip
        socket = f"unix:{directory / 'sidecar.sock'}"
        self._sidecar_options = ["--listen", socket, *zones]
        self.runtime_options = [
            "--runtime", runtime, *(zones if runtime == "cri" else ("--sidecar", socket))
        ]  # fmt: skip
        self.agent_port = 0
        self.port = 0
        self.sidecar = self.agent = self.plane = None
        self._http = BlockingClient(timeouts=Timeouts(total=WAIT_SECONDS, read=WAIT_SECONDS))

    def start(self, *names: str) -> None:
        """Start the daemons with these names that there are here; the agent before the plane."""
        for name in ("sidecar", "agent", "plane"):
            if name in names and name in self.daemons:
                getattr(self, f"start_{name}")()

    def start_sidecar(self) -> None:
        self.sidecar = Daemon(
            "kakuri-sidecar", *self._sidecar_options, log=self.directory / "sidecar.log"
        )

    def start_agent(self) -> None:
        self.agent = Daemon(
            "kakuri-agent",
            "--listen", f"127.0.0.1:{self.agent_port}",
            *self.runtime_options,
            "--state-dir", str(self.directory / "state"),
            "--memory-mb", "16000",
            "--cpu-millicores", "64000",
            log=self.directory / "agent.log",
        )  # fmt: skip
        self.agent_port = self.agent.port

    def start_plane(self) -> None:
        self.plane = Daemon(
            "kakuri-control-plane",
            "--listen", f"127.0.0.1:{self.port}",
            "--agent", f"127.0.0.1:{self.agent_port}",
            log=self.directory / "plane.log",
        )  # fmt: skip
        self.port = self.plane.port

    def close(self) -> None:
        self._http.close()
        for daemon in (self.plane, self.agent, self.sidecar):
            if daemon is not None:
                daemon.end()

    def log_directories(self) -> list[str]:
        """Return the names of the directories of logs; the lock of the node stays beside them."""
        return sorted(each.name for each in self.log_dir.iterdir() if each.is_dir())

    # What an operator does:

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict]:
        response = self._http.request(method, self.url(path), body=body)
        check_response(method, path, response.status, dict(response.headers), response.body)
        return response.status, json.loads(response.body) if response.body else {}

    def submit(self, workload_id: str, image: str = "busybox:latest", **more) -> tuple[int, dict]:
        workload = {
            "id": workload_id,
            "image": image,
            "runtime_class": "edera-zone",
            "memory_mb": 64,
            "cpu_millicores": 250,
        }
        return self.request("POST", "/workloads", json.dumps(workload | more).encode())

    def run(self, workload_id: str, *command: str, **more) -> None:
        """Submit a workload that runs a command of busybox."""
        status, answer = self.submit(workload_id, command=list(command), **more)
        assert status == 201, answer

    def workload(self, workload_id: str) -> dict:
        status, answer = self.request("GET", f"/workloads/{workload_id}")
        return answer if status == 200 else {}

    def await_state(self, workload_id: str, *states: str) -> dict:
        """Wait until a workload is in one of the states; return its status."""

        def reached():
            status = self.workload(workload_id)
            return status if status.get("state") in states else None

        return await_that(f"{workload_id} {' or '.join(states)}", reached)

    def await_end(self, workload_id: str) -> dict:
        return self.await_state(workload_id, "succeeded", "failed")

    def remove(self, *workload_ids: str) -> None:
        """Delete workloads and wait until they are gone."""
        for workload_id in workload_ids:
            status, answer = self.request("DELETE", f"/workloads/{workload_id}")
            assert status in (202, 404), answer
        for workload_id in workload_ids:
            await_that(f"removal of {workload_id}", lambda name=workload_id: self._is_gone(name))

    def clear(self) -> None:
        """Remove every workload that a test left."""
        _, page = self.request("GET", "/workloads")
        self.remove(*(workload["id"] for workload in page["workloads"]))

    def _is_gone(self, workload_id: str) -> bool:
        return self.request("GET", f"/workloads/{workload_id}")[0] == 404

    def log(self, workload_id: str, query: str = "") -> bytes:
        """Read a log with the real curl."""
        command = ["curl", "-sS", "-N", "--fail", "--max-time", str(WAIT_SECONDS)]
        done = subprocess.run(
            [*command, self.url(f"/workloads/{workload_id}/log{query}")],
            capture_output=True,
            check=True,
        )
        return done.stdout

    @property
    def zone_log(self) -> bytes:
        """The log of the daemon that manages the zones."""
        return (self.directory / f"{self.zone_daemons[0]}.log").read_bytes()

    # What containerd reports:

    def container(self, workload_id: str) -> dict:
        """Return what containerd has of the container of a workload's only zone."""
        filters = (
            f'labels."kakuri.dev/workload-id"=={workload_id},'
            'labels."io.cri-containerd.kind"==container'
        )
        (container_id,) = self.ctr("containers", "ls", "-q", filters).split()
        return json.loads(self.ctr("containers", "info", container_id))

    def process(self, workload_id: str) -> Path:
        """Return the directory in /proc of a running container's first process."""
        tasks = self.ctr("tasks", "ls").splitlines()[1:]
        pids = {name: pid for name, pid, _ in map(str.split, tasks)}
        return Path("/proc", pids[self.container(workload_id)["ID"]])

    def containers(self) -> list[str]:
        """Return the names of the zones that containerd has a container for, by its own tool.

        Sandboxes are containers there, too.
        """
        return sorted(self._names(self.ctr("containers", "ls", "-q").split()))

    def running(self) -> list[str]:
        """Return the names of the zones whose container runs, by the same tool."""
        tasks = [line.split() for line in self.ctr("tasks", "ls").splitlines()[1:]]
        return sorted(self._names([each[0] for each in tasks if each[2] == "RUNNING"]))

    def _names(self, container_ids: list[str]) -> list[str]:
        names = []
        for container_id in container_ids:
            try:
                labels = json.loads(self.ctr("containers", "info", container_id)).get("Labels", {})
            except subprocess.CalledProcessError:
                continue  # removed meanwhile
            if labels.get("io.cri-containerd.kind") == "container":
                names.append(labels["kakuri.dev/workload-id"])
        return names

    def leftovers(self) -> list[str]:
        """Return leftovers of zones that the runtime does not list."""
        processes = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it may end meanwhile
                processes.append((entry / "comm").read_text().strip())
        return [
            *sorted(name for name in processes if name in ("containerd-shim", "pause")),
            *map(str, self.node.addresses),
            *map(str, self.node.network_namespaces),
            *map(str, self.node.pod_cgroups),
        ]

    def ctr(self, *arguments: str) -> str:
        return run_ctr(self.node, *arguments)

    def kill(self, name: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Kill a daemon, do something while it is down, and start it again."""
        if name == "containerd":
            self.node.kill_containerd()
            meanwhile()
            self.node.start_containerd()
            return
        getattr(self, name).end(signal.SIGKILL)
        meanwhile()
        getattr(self, f"start_{name}")()
