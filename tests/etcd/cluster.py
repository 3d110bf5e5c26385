"""Members of etcd as processes, on ports that the kernel chose."""

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

PROGRAM = os.environ.get("KAKURI_ETCD", "etcd")
START = 20.0
"""Seconds within which a member has to listen."""


class Member:
    """One process.

    Attributes:
        endpoint: where it answers clients.
        cluster: names and addresses of all members.
        flags: of the program, beside those that every member has.
        process: the process; None while it is not running.
    """

    def __init__(self, name: str, client_port: int, peer_port: int, directory: Path) -> None:
        self.name = name
        self.port = client_port
        self.endpoint = f"127.0.0.1:{client_port}"
        self.peer = f"http://127.0.0.1:{peer_port}"
        self.directory = directory
        self.cluster = ""
        self.flags: tuple[str, ...] = ()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it keeps its data from an earlier start."""
        client = f"http://{self.endpoint}"
        command = [
            PROGRAM, "--name", self.name, "--data-dir", str(self.directory / self.name),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
            "--initial-cluster", self.cluster, "--initial-cluster-state", "new",
            "--initial-cluster-token", "kakuri", "--heartbeat-interval", "50",
            "--election-timeout", "500", "--unsafe-no-fsync", "--log-level", "error",
            *self.flags,
        ]  # fmt: skip
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def snapshots(self) -> set[str]:
        """Return the names of the snapshots that it starts from instead of the log before them."""
        return {path.name for path in (self.directory / self.name).glob("member/snap/*.snap")}

    def wait(self) -> None:
        """Wait until it listens."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            assert self.process is not None
            assert self.process.poll() is None, (self.directory / f"{self.name}.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"{self.name} does not listen on {self.endpoint}")

    def freeze(self) -> None:
        """Stop the process with SIGSTOP; its connections stay open and silent."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it with SIGKILL, frozen or not."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
            self.process = None


class Cluster:
    """Some members that know each other."""

    def __init__(self, directory: Path, number: int, *flags: str) -> None:
        ports = free_ports(2 * number)
        self.members = [
            Member(f"m{index}", ports[2 * index], ports[2 * index + 1], directory)
            for index in range(number)
        ]
        cluster = ",".join(f"{member.name}={member.peer}" for member in self.members)
        for member in self.members:
            member.cluster = cluster
            member.flags = flags

    def start(self) -> None:
        """Start all members, and wait until they listen."""
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait()

    def close(self) -> None:
        """End all members."""
        for member in self.members:
            member.kill()


def free_ports(number: int) -> list[int]:
    """Return ports that the kernel reports as free."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
