"""Run commands side by side, and show the output of each as a whole when it ends."""

import atexit
import os
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import Future, as_completed
from threading import Thread

MAX_SECONDS = 30 * 60.0
"""Seconds after which a command is ended: three times those of the slowest on two busy cores."""

TERM_GRACE_SECONDS = 30.0
"""Seconds from SIGTERM to SIGKILL for a command that has to be ended."""

_Result = tuple[int | None, str, str]
"""The status of a command (None if it was ended), how it ended, and its output."""


class Running:
    """Commands that run side by side, at the longest as long as this process."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        at_once: int | None = None,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        """Start commands.

        Args:
            commands: The commands by name; the first ones begin at once.
            at_once: How many run at a time; by default, as many as there are cores.
            max_seconds: Seconds after which a command is ended and counts as failed.
        """
        self._futures = {name: Future[_Result]() for name in commands}
        self._waiting = deque(commands.items())
        self._max_seconds = max_seconds
        self._running: set[subprocess.Popen[bytes]] = set()
        for _ in range(at_once or len(os.sched_getaffinity(0))):
            Thread(target=self._work, daemon=True).start()  # a pool would run all before an exit
        atexit.register(self.end)

    def wait(self, names: Container[str] | None = None) -> list[str]:
        """Print what each command has written once it has ended.

        Args:
            names: The commands to wait for; by default, all of them.

        Returns:
            The names of those that failed, in the order in which they ended.
        """
        failed = []
        chosen = {
            future: name for name, future in self._futures.items() if names is None or name in names
        }
        for future in as_completed(chosen):
            name = chosen[future]
            status, how, output = future.result()
            print(f"--- {name}: {how}\n{output}", flush=True)
            if status != 0:
                failed.append(name)
        return failed

    def end(self) -> None:
        """End the commands that run, and start no other."""
        self._waiting.clear()
        for process in list(self._running):
            _end(process)

    def _work(self) -> None:
        while self._waiting:
            try:
                name, command = self._waiting.popleft()
            except IndexError:
                return  # another thread took it
            try:
                self._futures[name].set_result(self._run(command))
            except OSError as error:
                self._futures[name].set_exception(error)

    def _run(self, command: Sequence[str]) -> _Result:
        start = time.monotonic()
        # Not a pipe: reading it would last as long as any process holds its other end.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            self._running.add(process)
            try:
                status = process.wait(self._max_seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                status, how = None, f"did not end within {self._max_seconds:g} s"
            else:
                how = "ok" if status == 0 else f"failed with status {status}"
                how += f" in {time.monotonic() - start:.0f} s"
            finally:
                self._running.discard(process)
            output.seek(0)
            return status, how, output.read().decode(errors="replace")


def run(commands: Mapping[str, Sequence[str]], at_once: int | None = None) -> list[str]:
    """Run commands, print what each has written, and return the names of those that failed."""
    return Running(commands, at_once).wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(TERM_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
