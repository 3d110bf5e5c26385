"""Run commands side by side, and show the output of each as a whole when it ends."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed


class Running:
    """Commands that run side by side."""

    def __init__(self, commands: Mapping[str, Sequence[str]], at_once: int | None = None) -> None:
        """Start commands.

        Args:
            commands: The commands by name; the first ones begin at once.
            at_once: How many run at a time; by default, as many as there are cores.
        """
        pool = ThreadPoolExecutor(at_once or len(os.sched_getaffinity(0)))
        self._names: dict[Future[tuple[int, float, str]], str] = {
            pool.submit(_run, command): name for name, command in commands.items()
        }
        pool.shutdown(wait=False)  # its threads end with their work

    def wait(self) -> list[str]:
        """Print what each command has written once it has ended.

        Returns:
            The names of those that failed, in the order in which they ended.
        """
        failed = []
        for future in as_completed(self._names):
            name = self._names[future]
            status, seconds, output = future.result()
            how = "ok" if status == 0 else f"failed with status {status}"
            print(f"--- {name}: {how} in {seconds:.0f} s\n{output}", flush=True)
            if status != 0:
                failed.append(name)
        return failed


def run(commands: Mapping[str, Sequence[str]], at_once: int | None = None) -> list[str]:
    """Run commands, print what each has written, and return the names of those that failed."""
    return Running(commands, at_once).wait()


def _run(command: Sequence[str]) -> tuple[int, float, str]:
    start = time.monotonic()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    return done.returncode, time.monotonic() - start, done.stdout
