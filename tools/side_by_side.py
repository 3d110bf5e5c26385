"""Run commands side by side, and show the output of each as a whole when it ends."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

AT_ONCE = len(os.sched_getaffinity(0)) + 1
"""Commands that run at a time by default: one more than cores, because tests also wait."""

MAX_SECONDS = 30 * 60.0
"""Seconds after which a command is ended: three times the slowest one's on two busy cores."""

LAST_LINES = 60
"""Lines of a failed command's output that callers get; the error is usually in them."""

TERM_GRACE_SECONDS = 30.0
"""Seconds from SIGTERM to SIGKILL for a command that has to be ended."""


class Running:
    """Commands that run side by side."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        at_once: int = AT_ONCE,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        """Start commands.

        Args:
            commands: The commands by name; the first ones begin at once.
            at_once: How many run at a time.
            max_seconds: Seconds after which a command is ended and counts as failed.
        """
        pool = ThreadPoolExecutor(at_once)
        self._names: dict[Future[tuple[int | None, str, str]], str] = {
            pool.submit(_run, command, max_seconds): name for name, command in commands.items()
        }
        pool.shutdown(wait=False)  # its threads end with their work

    def wait(self) -> dict[str, str]:
        """Print what each command has written once it has ended.

        Returns:
            The last lines of each one that failed, by name, in the order in which they ended.
        """
        failed = {}
        for future in as_completed(self._names):
            name = self._names[future]
            status, how, output = future.result()
            print(f"--- {name}: {how}\n{output}", flush=True)
            if status != 0:
                failed[name] = "\n".join(output.splitlines()[-LAST_LINES:])
        return failed


def _run(command: Sequence[str], max_seconds: float) -> tuple[int | None, str, str]:
    """Run a command; return its status (None if it was ended), how it ended, and its output."""
    start = time.monotonic()
    # Not a pipe: reading it would last as long as any process holds its other end.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            status = process.wait(max_seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            status, how = None, f"did not end within {max_seconds:g} s"
        else:
            how = "ok" if status == 0 else f"failed with status {status}"
            how += f" in {time.monotonic() - start:.0f} s"
        output.seek(0)
        return status, how, output.read().decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(TERM_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
