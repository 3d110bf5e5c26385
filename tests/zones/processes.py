"""Processes that end with the test, even if it fails."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_after(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Kill a process when the context ends, if it still runs, and wait for it."""
    with process:
        try:
            yield process
        finally:
            process.kill()
