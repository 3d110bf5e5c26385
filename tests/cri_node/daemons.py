"""A background daemon of the node, identified by a pid file."""

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tools import debian

# Seconds to wait for a condition.
DEADLINE = 30.0

# Seconds between two checks of a condition that can only be polled.
_PERIOD = 0.01

_DEFAULT_SIGNALS = [signal.SIGINT, signal.SIGPIPE, signal.SIGQUIT, signal.SIGTERM]


class NodeError(Exception):
    """The node failed to do what was requested."""


def await_condition(what: str, condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Wait until a condition holds; NodeError if it does not within that many seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise NodeError(f"expected {what} within {deadline:g} s")
        time.sleep(_PERIOD)


class Daemon:
    """A daemon that any process inside the node may start, signal and end."""

    def __init__(self, *command: str, pid_file: Path, log: Path) -> None:
        self.command, self.log = command, log
        self._pid_file = pid_file

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.runs else "down"
        return f"<Daemon {self.command[0]} {state}>"

    @property
    def pid(self) -> int:
        """The process id; NodeError if it was never started."""
        try:
            return int(self._pid_file.read_text())
        except FileNotFoundError:
            raise NodeError(f"expected {self.command[0]} to run, it was not started") from None

    @property
    def runs(self) -> bool:
        """Whether the process is there and not a zombie."""
        return self._pid_file.exists() and not self._ended(0.0)

    def start(self) -> None:
        """Start it in its own session, with its output appended to the log."""
        if self.runs:
            raise NodeError(f"expected {self.command[0]} to be down, it runs as {self.pid}")
        program = debian.which(self.command[0])
        if program is None:
            raise NodeError(f"expected the program {self.command[0]}, it is not there")
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            program,
            self.command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=_DEFAULT_SIGNALS,
        )
        self._pid_file.write_text(str(pid))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def pause(self) -> None:
        """Send it SIGSTOP, and wait until all of its threads have stopped."""
        self.send(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        await_condition(
            f"{self.command[0]} to be stopped",
            lambda: {_state(task) for task in tasks.iterdir()} <= {"T", ""},
        )

    def resume(self) -> None:
        """Resume it."""
        self.send(signal.SIGCONT)

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait until the process has ended; NodeError if it does not end."""
        if self.runs:
            self.send(number)
            if not self._ended(DEADLINE):
                raise NodeError(f"expected {self.command[0]} to end on {number.name}, it runs on")

    def _ended(self, seconds: float) -> bool:
        pid = self.pid
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            ended = bool(poll.poll(seconds * 1000))
        finally:
            os.close(descriptor)
        if ended:
            with suppress(ChildProcessError):  # another process's child: its parent reaps it
                os.waitpid(pid, os.WNOHANG)
        return ended


def _state(task: Path) -> str:
    """Return a thread's state, T for stopped; nothing if it has ended meanwhile."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
