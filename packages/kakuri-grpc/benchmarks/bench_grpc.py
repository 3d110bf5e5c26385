"""Compares unary calls over a Unix socket with grpc.aio: CPU of the client's process per call.

The server is grpcio's, in a process of its own. Rounds alternate between both clients, on asyncio's
event loop and on uvloop; the median of the rounds and of their ratios is shown.
"""

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import grpc
import kakuri_protobuf as kp
import uvloop
from kakuri_grpc import Channel, Method
from rich.console import Console
from rich.table import Table

ROUNDS = 7
CALLS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    id: Annotated[str, 1] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    name: Annotated[str, 1] = ""
    version: Annotated[str, 2] = ""


CALL = Method("/bench.Service/Version", Request, Answer)
ANSWER = kp.encode(Answer(name="runtime", version="v1.2.3"))


def serve(path: str) -> None:
    """Run grpcio's server until the process is ended."""

    async def run() -> None:
        async def answer(request: bytes, context: Any) -> bytes:
            return ANSWER

        handler = grpc.unary_unary_rpc_method_handler(answer)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("bench.Service", {"Version": handler}),)
        )
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        await server.wait_for_termination()

    asyncio.run(run())


async def measured(call: Callable[[], Awaitable[object]], together: int) -> float:
    """Return microseconds of CPU per call with so many in flight."""

    async def worker(number: int) -> None:
        for _ in range(number):
            await call()

    start = time.process_time()
    await asyncio.gather(*[worker(CALLS // together) for _ in range(together)])
    return (time.process_time() - start) / (CALLS // together * together) * 1e6


async def compare(path: str, together: int) -> list[tuple[float, float]]:
    """Return pairs of our figure and grpc.aio's, a pair a round."""
    pairs = []
    address = f"unix:{path}"
    async with Channel(address) as ours, grpc.aio.insecure_channel(address) as theirs:
        method = theirs.unary_unary("/bench.Service/Version", kp.encode, _answer)
        request = Request(id="5f0c9a3e" * 8)

        async def call_ours() -> None:
            await ours.call(CALL, request, timeout=5.0)

        async def call_theirs() -> None:
            await method(request, timeout=5.0)

        for call in (call_ours, call_theirs):
            await measured(call, together)
        for _ in range(ROUNDS):
            pairs.append(
                (await measured(call_ours, together), await measured(call_theirs, together))
            )
    return pairs


def _answer(data: bytes) -> Answer:
    return kp.decode(data, type=Answer)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(path,))
        server.start()
        while not Path(path).exists():
            time.sleep(0.05)
        table = Table(title=f"µs of CPU for a call, CPython {sys.version.split()[0]}")
        for heading in ("loop", "in flight", "kakuri-grpc", "grpc.aio", "ratio"):
            table.add_column(heading, justify="right")
        for name, factory in (
            ("asyncio", asyncio.new_event_loop),
            ("uvloop", uvloop.new_event_loop),
        ):
            for together in (1, 32):
                with asyncio.Runner(loop_factory=factory) as runner:
                    pairs = runner.run(compare(path, together))
                table.add_row(
                    name,
                    str(together),
                    f"{statistics.median(a for a, _ in pairs):.0f}",
                    f"{statistics.median(b for _, b in pairs):.0f}",
                    f"{statistics.median(a / b for a, b in pairs):.2f} ×",
                )
        server.terminate()
        server.join()
    Console().print(table)


if __name__ == "__main__":
    main()
