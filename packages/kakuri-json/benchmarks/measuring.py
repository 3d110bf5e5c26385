"""Measures time, memory and imports."""

import gc
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import kakuri_json


def compare(functions: dict[str, Callable[[], Any]], seconds: float = 0.1) -> dict[str, float]:
    """Return the processor time of each function's fastest of seven interleaved rounds.

    Other processes affect it less than wall-clock time.
    """
    rounds, fastest = {}, {}
    for name, function in functions.items():
        function()
        started = time.process_time()
        function()
        rounds[name] = max(1, int(seconds / max(time.process_time() - started, 1e-7)))
        fastest[name] = float("inf")
    gc.collect()
    for _ in range(7):
        for name, function in functions.items():
            started = time.process_time()
            for _ in range(rounds[name]):
                function()
            taken = (time.process_time() - started) / rounds[name]
            fastest[name] = min(fastest[name], taken)
    return fastest


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
    """Return by how many bytes the process grows while a document of size bytes is parsed; seconds."""
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
