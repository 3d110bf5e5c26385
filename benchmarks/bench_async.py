"""What tasks cost, beside plain calls, threads, and goroutines where Go can be compiled.

CPU of the process, medians of several rounds. The figures are in docs/learning/grpc-from-the-socket-up.md.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import go  # noqa: E402

ROUNDS, NUMBER = 7, 20_000


async def nothing() -> None:
    """Do nothing."""


async def coroutines() -> None:
    for _ in range(NUMBER):
        await nothing()


async def tasks() -> None:
    for _ in range(NUMBER):
        await asyncio.ensure_future(nothing())


async def switches() -> None:
    """Two tasks wake one another in turn."""
    there, back = asyncio.Event(), asyncio.Event()

    async def other() -> None:
        for _ in range(NUMBER // 2):
            await there.wait()
            there.clear()
            back.set()

    task = asyncio.ensure_future(other())
    for _ in range(NUMBER // 2):
        there.set()
        await back.wait()
        back.clear()
    await task


async def timeouts() -> None:
    for _ in range(NUMBER):
        async with asyncio.timeout(5):
            await nothing()


async def in_threads() -> None:
    for _ in range(NUMBER // 20):
        await asyncio.to_thread(int)


def threads() -> None:
    for _ in range(NUMBER // 20):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()


def pool() -> None:
    with ThreadPoolExecutor(1) as executor:
        for _ in range(NUMBER // 20):
            executor.submit(int).result()


def nanoseconds(work: Callable[[], object], number: int) -> float:
    samples = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        samples.append((time.process_time() - start) / number * 1e9)
    return statistics.median(samples)


def on_loop(
    work: Callable[[], Awaitable[object]],
    number: int,
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> float:
    with asyncio.Runner(loop_factory=factory) as runner:

        async def run() -> None:
            await work()

        return nanoseconds(lambda: runner.run(run()), number)


async def memory() -> float:
    """Return the bytes of a task that waits."""
    gate = asyncio.Event()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    waiting = [asyncio.ensure_future(gate.wait()) for _ in range(10_000)]
    await asyncio.sleep(0)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    gate.set()
    await asyncio.gather(*waiting)
    return (after - before) / len(waiting)


def main() -> None:
    table = Table(title=f"ns each, CPython {sys.version.split()[0]}")
    for heading in ("work", "asyncio", "uvloop"):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    for name, work, number in (
        ("await a coroutine that never waits", coroutines, NUMBER),
        ("start a task and await it", tasks, NUMBER),
        ("switch between two tasks", switches, NUMBER),
        ("enter and leave asyncio.timeout", timeouts, NUMBER),
        ("asyncio.to_thread", in_threads, NUMBER // 20),
    ):
        loops = (asyncio.new_event_loop, uvloop.new_event_loop)
        table.add_row(name, *(f"{on_loop(work, number, loop):,.0f}" for loop in loops))
    table.add_row("start a thread and join it", f"{nanoseconds(threads, NUMBER // 20):,.0f}", "")
    table.add_row("a pool's thread and back", f"{nanoseconds(pool, NUMBER // 20):,.0f}", "")
    table.add_row("bytes of a task that waits", f"{asyncio.run(memory()):,.0f}", "")
    Console(width=100).print(table)
    if go.is_available():
        with tempfile.TemporaryDirectory() as directory:
            program = go.build(
                Path(__file__).with_name("goroutines.go"), Path(directory, "program")
            )
            runs = [
                [
                    int(line)
                    for line in subprocess.run(
                        [program], check=True, capture_output=True, text=True
                    ).stdout.split()
                ]
                for _ in range(ROUNDS)
            ]
        start, switch, size = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"goroutines: start and wait {start} ns, switch {switch} ns, {size} bytes")


if __name__ == "__main__":
    main()
