"""Watches the resident memory of a client over 100,000 calls, and measures large messages.

The server is our own, in a process of its own. Every tenth call times out, and every tenth fails.
"""

import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import kakuri_protobuf as kp
from kakuri_grpc import Channel, Limits, Method, Server, ServerCall, StatusCode, status_error
from rich.console import Console
from rich.table import Table

MIB = 1 << 20
CALLS = 100_000
STEP = 20_000
TOGETHER = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    size: Annotated[kp.UInt32, 1] = 0
    fails: Annotated[bool, 2] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    payload: Annotated[bytes, 1] = b""


CALL = Method("/bench.Service/Call", Request, Response)


def serve(path: str) -> None:
    async def respond(request: Request, call: ServerCall) -> Response:
        if request.fails:
            raise status_error(StatusCode.NOT_FOUND, "as asked")
        return Response(payload=bytes(request.size))

    async def run() -> None:
        async with Server() as server:
            server.add(CALL, respond)
            await server.listen(f"unix:{path}")
            await asyncio.Event().wait()

    asyncio.run(run())


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


async def one(channel: Channel, number: int) -> None:
    request = Request(size=300, fails=number % 10 == 1)
    call = channel.call(CALL, request, timeout=0 if number % 10 == 2 else 30)
    try:
        await call
    except (TimeoutError, kp.DecodeError):
        pass
    except Exception as error:
        if getattr(error, "code", None) is not StatusCode.NOT_FOUND:
            raise


async def memory(path: str, table: Table) -> None:
    async with Channel(f"unix:{path}") as channel:
        numbers = iter(range(CALLS))
        for done in range(0, CALLS, STEP):

            async def worker(limit: int = (done + STEP) // TOGETHER - done // TOGETHER) -> None:
                for _ in range(limit):
                    await one(channel, next(numbers))

            await asyncio.gather(*[worker() for _ in range(TOGETHER)])
            table.add_row(f"{done + STEP:,}", f"{resident():.1f}")


async def large(path: str, table: Table) -> None:
    async with Channel(f"unix:{path}", limits=Limits(received=64 * MIB)) as channel:
        for size in (4, 8, 16, 32):
            started, used = time.perf_counter(), time.process_time()
            for _ in range(5):
                await channel.call(CALL, Request(size=size * MIB), timeout=60)
            used, taken = time.process_time() - used, time.perf_counter() - started
            table.add_row(str(size), f"{used / 5 * 1e3:.0f}", f"{5 * size / taken:.0f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/s"
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(path,))
        server.start()
        while not Path(path).exists():
            time.sleep(0.05)
        calls = Table("calls", "resident MiB", title=f"memory, CPython {sys.version.split()[0]}")
        sizes = Table(
            "MiB", "ms of CPU", "MiB/s", title="one response, client's CPU, wall-clock rate"
        )
        asyncio.run(memory(path, calls))
        asyncio.run(large(path, sizes))
        server.terminate()
        server.join()
    Console(width=100).print(calls)
    Console(width=100).print(sizes)


if __name__ == "__main__":
    main()
