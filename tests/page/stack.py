"""An agent and a control plane as processes, and a client that drives them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from kakuri_workload import LogRecord, write_record

from tests.e2e.processes import DEADLINE, Daemon

OUTCOMES = {
    ("slow:*", "acme/mailer:*"): "start_delay = 3600",
    ("fails:*", "acme/reports:*"): 'run_time = 0\nfailure = "ImagePullFailed"',
    ("ends:*", "acme/nightly:*", "acme/sync:*"): "run_time = 0.05\nexit_code = 3",
    ("job:*", "acme/seed:*"): "run_time = 0.05",
}
"""The outcome of each image: it waits, can't be pulled, ends with an exit code, or succeeds."""

SCRIPT = "".join(
    f'[[outcome]]\nimage = "{image}"\n{outcome}\n'
    for images, outcome in OUTCOMES.items()
    for image in images
)

FIRST_SECOND = 1795701600
"""The time of the first line of a log, in seconds since the epoch: a log's times count up."""


class Stack:
    """The processes. Their addresses stay the same when they are started again."""

    def __init__(self, directory: Path, *, is_simulated: bool = False, **options: str) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.logs.mkdir()
        self._outcomes = directory / "outcomes.toml"
        self._outcomes.write_text(SCRIPT)
        self._is_simulated = is_simulated
        self._options = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._lines: dict[str, int] = {}
        self.agent: Daemon | None = None
        self.plane: Daemon | None = None
        self.start_agent()
        self.start_plane()

    @property
    def url(self) -> str:
        return f"http://{self.plane.address}"

    def start_agent(self) -> None:
        address = "127.0.0.1:0" if self.agent is None else self.agent.address
        program, *arguments = (
            ["kakuri-agent"]
            if self._is_simulated
            else [sys.executable, "-m", "tests.page.node", str(self.logs)]
        )
        arguments += ["--listen", address, "--name", "node1", "--runtime", "simulated"]
        arguments += ["--simulated-script", str(self._outcomes)]
        arguments += ["--state-dir", str(self.directory / "state"), *self._options]
        self.agent = Daemon(program, *arguments, log=self.directory / "agent.log")

    def start_plane(self) -> None:
        address = "127.0.0.1:0" if self.plane is None else self.plane.address
        arguments = ["--listen", address, "--agent", self.agent.address]
        arguments += ["--agent-timeout", f"{DEADLINE}"]  # so that a busy machine cuts off no log
        log = self.directory / "control-plane.log"
        self.plane = Daemon("kakuri-control-plane", *arguments, log=log)

    def close(self) -> None:
        for daemon in (self.plane, self.agent):
            daemon.end(signal.SIGKILL)

    def request(
        self, method: str, path: str, document: object = None
    ) -> tuple[int, dict[str, object]]:
        """Send a request, and return the status and the document of the response."""
        with Client(self.plane.port) as client:
            return client.request(method, path, document)

    def submit(self, workload_id: str, image: str = "nginx:1.27", **fields: object) -> None:
        document = {"id": workload_id, "image": image, "memory_mb": 64, "cpu_millicores": 100}
        status, answer = self.request("POST", "/workloads", document | fields)
        assert status == 201, answer

    def await_state(self, workload_id: str, state: str) -> dict[str, object]:
        """Wait until a workload has a state, and return its status."""
        return self._wait(f"/workloads/{workload_id}", lambda it: it.get("state") == state)

    def await_reason(self, workload_id: str, reason: str) -> dict[str, object]:
        """Wait until a workload has a reason, and return its status."""
        return self._wait(f"/workloads/{workload_id}", lambda it: it.get("reason") == reason)

    def remove_all(self) -> None:
        """Remove all workloads, and wait until they are removed."""
        for each in self.list():
            self.request("DELETE", f"/workloads/{each}?grace_seconds=0")
        self._wait("/workloads", lambda it: it["workloads"] == [])

    def events(self) -> list[int]:
        """Return the indexes of all events so far, as curl gets them."""
        end = self.request("GET", "/nodes")[1]["nodes"][0]["event_index"]
        command = ["curl", "-sN", "--max-time", str(DEADLINE), f"{self.url}/events?after=0"]
        found = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sent:
            for line in sent.stdout:
                event = json.loads(line)
                if event["type"] != "heartbeat":
                    found.append(event["index"])
                if event["index"] >= end:
                    break
            sent.kill()
        return found

    def list(self) -> list[str]:
        """Return the ids of the workloads, as many as a page has."""
        return [each["id"] for each in self.request("GET", "/workloads")[1]["workloads"]]

    def write_log(
        self,
        workload_id: str,
        *lines: bytes,
        stream: str = "stdout",
        attempt: int = 0,
        is_partial: bool = False,
    ) -> None:
        """Append lines to the log of a workload."""
        with (self.logs / workload_id).open("ab") as log:
            for content in lines:
                second = self._lines[workload_id] = self._lines.get(workload_id, -1) + 1
                moment = time.gmtime(FIRST_SECOND + second)
                at = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", moment)
                log.write(write_record(LogRecord(at, stream, is_partial, attempt, content)))

    def forget_log(self, workload_id: str) -> None:
        """Begin with an empty log."""
        (self.logs / workload_id).unlink(missing_ok=True)
        self._lines.pop(workload_id, None)

    def set_message(self, workload_id: str, message: str) -> None:
        """Set the message of each change of a workload's state from now on."""
        (self.logs / f"{workload_id}.message").write_text(message)

    def _wait(self, path: str, is_done: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        deadline = time.monotonic() + DEADLINE
        while not is_done(document := self.request("GET", path)[1]):
            assert time.monotonic() < deadline, document
        return document


class Client:
    """A connection to the control plane that is used for many requests."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def request(
        self, method: str, path: str, document: object = None
    ) -> tuple[int, dict[str, object]]:
        content = None if document is None else json.dumps(document)
        self._connection.request(method, path, content)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
