"""How things are measured: time, memory, imports."""

import gc
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import kakuri_json


def best(function: Callable[[], Any], seconds: float = 0.5) -> float:
    """Give the seconds of the fastest call, from rounds that take about the given time."""
    function()
    started = time.perf_counter()
    function()
    rounds = max(1, int(seconds / 5 / max(time.perf_counter() - started, 1e-7)))
    results = []
    gc.collect()
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(rounds):
            function()
        results.append((time.perf_counter() - started) / rounds)
    return min(results)


def import_time(statement: str) -> float:
    command = [sys.executable, "-I", "-c", statement]
    results = []
    for _ in range(15):
        started = time.perf_counter()
        subprocess.run(command, check=True)
        results.append(time.perf_counter() - started)
    return min(results)


def peak_memory(function: Callable[[], Any]) -> int:
    function()
    gc.collect()
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def stream_memory(size: int) -> tuple[int, float]:
    """Give by how many bytes the process grows while a document of size bytes is parsed; seconds."""
    chunk = (b'{"id":"wl-1","values":[1.5,2,null],"text":"' + b"x" * 400 + b'"},') * 200
    parser = kakuri_json.IncrementalParser()
    parser.receive_data(b"[")
    sent = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    while sent < size:
        parser.receive_data(chunk)
        sent += len(chunk)
        while parser.next_event().kind is not kakuri_json.EventKind.NEED_DATA:
            pass
    seconds = time.perf_counter() - started
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, seconds
