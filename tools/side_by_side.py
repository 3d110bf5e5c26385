"""Run commands side by side, and show the output of each as a whole when it ends."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed


def run(commands: Mapping[str, Sequence[str]], at_once: int | None = None) -> list[str]:
    """Run commands by name, as many at once as there are cores, and print what each has written.

    Returns:
        The names of those that failed, in the order in which they ended.
    """
    failed = []
    workers = at_once or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(_run, command): name for name, command in commands.items()}
        for future in as_completed(running):
            name = running[future]
            status, seconds, output = future.result()
            how = "ok" if status == 0 else f"failed with status {status}"
            print(f"--- {name}: {how} in {seconds:.0f} s\n{output}", flush=True)
            if status != 0:
                failed.append(name)
    return failed


def _run(command: Sequence[str]) -> tuple[int, float, str]:
    start = time.monotonic()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    return done.returncode, time.monotonic() - start, done.stdout
