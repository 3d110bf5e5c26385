"""Metrics that every daemon has: of its process, its event loop and its log.

Import it where metrics are reported; nothing here is needed to start a daemon.
"""

import gc
import os
import resource
from collections.abc import Callable
from pathlib import Path

from kakuri_workload.metrics import Histogram, MetricFamily, counter, gauge, histogram

from kakuri_daemon._stream import LogStream

_loop_lag = Histogram()


def observe_loop_lag(seconds: float) -> None:
    """Count how long the event loop of this process took to run a callback that was due."""
    _loop_lag.observe(seconds)


def process_families(component: str, version: str) -> list[MetricFamily]:
    """Return the metrics of this process, by the names that Prometheus's clients use.

    A figure that the kernel does not report has no series.

    Args:
        component: What the process is, such as "agent".
        version: The version of its distribution.
    """
    key = (component,)
    cpu, memory, start = _stat()
    soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    max_fds = None if soft_limit == resource.RLIM_INFINITY else float(soft_limit)
    generations = {
        (component, str(number)): float(stats["collections"])
        for number, stats in enumerate(gc.get_stats())
    }
    return [
        gauge(
            "kakuri_build_info",
            "The version of a component; the value is 1.",
            {(component, version): 1.0},
            ("component", "version"),
        ),
        _family(counter, "process_cpu_seconds", "CPU time of the process, in seconds.", key, cpu),
        _family(
            gauge, "process_resident_memory_bytes", "Resident memory of the process.", key, memory
        ),
        _family(
            gauge, "process_open_fds", "Open descriptors of the process.", key, _open_descriptors()
        ),
        _family(gauge, "process_max_fds", "Descriptors that the process may open.", key, max_fds),
        _family(
            gauge,
            "process_start_time_seconds",
            "When the process started, in seconds since the epoch.",
            key,
            start,
        ),
        counter(
            "python_gc_collections",
            "Collections of Python's garbage collector.",
            generations,
            ("component", "generation"),
        ),
        histogram(
            "kakuri_loop_lag_seconds",
            "How long the event loop took to run a callback that was due; sampled each second.",
            {key: _loop_lag},
            ("component",),
        ),
        _family(
            counter,
            "kakuri_log_lines_dropped",
            "Log lines that could not be written to standard error in time.",
            key,
            float(LogStream.dropped_by_process),
        ),
    ]


def _family(
    kind: Callable[..., MetricFamily],
    name: str,
    help_: str,
    key: tuple[str],
    value: float | None,
) -> MetricFamily:
    return kind(name, help_, {} if value is None else {key: value}, ("component",))


def _stat() -> tuple[float | None, float | None, float | None]:
    """Return CPU time, resident bytes and the time of the start (proc_pid_stat(5))."""
    try:
        # The name of the command, in parentheses, may have spaces.
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        lines = Path("/proc/stat").read_bytes().splitlines()
        boot = next(float(line.split()[1]) for line in lines if line.startswith(b"btime "))
        ticks = os.sysconf("SC_CLK_TCK")
        cpu = (int(fields[11]) + int(fields[12])) / ticks
        memory = int(fields[21]) * resource.getpagesize()
        return cpu, float(memory), boot + int(fields[19]) / ticks
    except (OSError, ValueError, IndexError, StopIteration):
        return None, None, None


def _open_descriptors() -> float | None:
    try:
        listed = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return float(listed - 1)  # without the descriptor that lists
    except OSError:
        return None
