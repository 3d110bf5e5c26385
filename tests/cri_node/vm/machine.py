"""What is known of one virtual machine between the calls of the runtime: a directory."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Seconds that a guest may take from its first instruction to its container's.
START = 60.0

# Seconds that the supervisor may take to answer, and its groups to empty after its end.
PROMPT = 5.0


class RuntimeFailure(Exception):
    """The runtime cannot do what it was asked for; containerd's shim passes the text on."""


class Machine:
    """One virtual machine, by the directory of its state."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def exists(self) -> bool:
        """Whether it has been created and not deleted."""
        return self.directory.is_dir()

    @property
    def state(self) -> dict[str, Any]:
        """The value that `save` stored."""
        read: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return read

    def save(self, pid: int, bundle: Path, groups: list[Path]) -> None:
        """Keep the supervisor's process id, the bundle and the directories of the control group."""
        state = {"pid": pid, "bundle": str(bundle), "groups": [str(group) for group in groups]}
        (self.directory / "state.json").write_text(json.dumps(state))

    @property
    def runs(self) -> bool:
        """Whether the supervisor lives."""
        try:
            status = Path(f"/proc/{self.state['pid']}/stat").read_text()
        except FileNotFoundError:
            return False
        return status.rpartition(")")[2].split()[0] not in "ZX"

    @contextmanager
    def control(self) -> Iterator[socket.socket]:
        """Connect to the supervisor."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(PROMPT)
            with self.entered():
                stream.connect("control.sock")
            yield stream

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the directory the current one: a Unix socket's path is at most 107 bytes."""
        before = Path.cwd()
        os.chdir(self.directory)
        try:
            yield
        finally:
            os.chdir(before)

    def start(self) -> None:
        """Start the guest and wait until its container's process runs."""
        with self.control() as stream:
            stream.sendall(b"start")
            stream.settimeout(START)
            answer = stream.recv(64)
        if answer != b"up":
            failure = self.directory / "failure"
            why = failure.read_text() if failure.exists() else f"see {self.directory}/console.log"
            raise RuntimeFailure(f"the virtual machine did not come up: {why}")

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the container's process; SIGKILL ends the machine itself."""
        if not self.runs:
            raise RuntimeFailure("container not running")  # the shim expects runc's message
        if number == signal.SIGKILL:
            os.kill(self.state["pid"], number)
        else:
            with self.control() as stream:
                stream.sendall(f"signal {int(number)}".encode())

    def remove_groups(self) -> None:
        """Remove the control group, as soon as the kernel has seen its last process off."""
        end = time.monotonic() + PROMPT
        for group in map(Path, self.state["groups"]):
            while group.is_dir():
                try:
                    group.rmdir()
                except OSError as error:
                    if time.monotonic() > end:
                        raise RuntimeFailure(f"expected {group} to be empty: {error}") from error
                    time.sleep(0.01)
