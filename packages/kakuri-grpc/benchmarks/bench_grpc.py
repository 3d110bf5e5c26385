"""Compares unary calls over a Unix socket with grpc.aio: CPU of the client's process per call.

Both clients do the whole work: they make and encode the request, decode the response and read its
fields, each with the messages that belong to it (kakuri-protobuf, protobuf's upb). The server is a
process of its own: Go's gRPC where `go` can build it, and grpcio's. Rounds alternate between both
clients, on asyncio's event loop and on uvloop; the median of the rounds and of their ratios is
shown.

Arguments: names of servers (`go`, `grpcio`); both if there are none.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "packages/kakuri-protobuf/benchmarks")]

import bench_protobuf  # noqa: E402 - found beside the other member's benchmark
import grpc  # noqa: E402
import uvloop  # noqa: E402
from kakuri_grpc import Channel, Method  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from tools import go  # noqa: E402

ROUNDS = 7
CALLS = 640
IN_FLIGHT = (1, 32)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Work:
    """One method, as both clients call it."""

    path: str
    response: bytes
    ours: type[Any]
    our_response: type[Any]
    theirs: type[Any]
    their_response: type[Any]
    request: dict[str, Any]
    read: Callable[[Any], object]


def read_version(response: Any) -> None:
    _ = (
        response.version, response.runtime_name, response.runtime_version, response.runtime_api_version
    )  # fmt: skip


def works() -> list[Work]:
    """Return the methods to call: a small one, and the one that an agent calls most often."""
    import containers_kakuri as ours  # noqa: PLC0415 - made just now
    import containers_pb2 as theirs  # noqa: PLC0415

    status, _, _ = bench_protobuf.build(theirs, count=1)
    version = theirs.VersionResponse(
        version="0.1.0",
        runtime_name="containerd",
        runtime_version="1.6.20",
        runtime_api_version="v1",
    )
    return [
        Work(
            "/bench.Service/Version",
            version.SerializeToString(),
            ours.VersionRequest,
            ours.VersionResponse,
            theirs.VersionRequest,
            theirs.VersionResponse,
            {"version": "v1"},
            read_version,
        ),
        Work(
            "/bench.Service/ContainerStatus",
            status.SerializeToString(),
            ours.ContainerStatusRequest,
            ours.ContainerStatusResponse,
            theirs.ContainerStatusRequest,
            theirs.ContainerStatusResponse,
            {"container_id": "5f0c9a3e" * 8},
            lambda response: bench_protobuf.read_status(response.status),
        ),
    ]


def prepare(directory: Path) -> None:
    """Make modules of the messages for both libraries."""
    source = Path(bench_protobuf.__file__).with_name("containers.proto")
    run = [sys.executable, "-m"]
    ours = [
        "kakuri_protobuf",
        "compile",
        str(source),
        "-o",
        str(directory / "containers_kakuri.py"),
    ]
    theirs = ["grpc_tools.protoc", f"-I{source.parent}", f"--python_out={directory}", source.name]
    for command in (ours, theirs):
        subprocess.run([*run, *command], check=True)
    sys.path.insert(0, str(directory))


def start_server(name: str, directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that responds to each method with the file of its name; return its address too."""
    path = directory / f"{name}.socket"
    if name == "go":
        command = [str(go.build(ROOT / "tests/interop/server.go", directory / "go-server"))]
    else:
        command = [sys.executable, str(Path(__file__).with_name("grpcio_server.py"))]
    process = subprocess.Popen([*command, str(path), str(directory / "responses")], stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process, f"unix:{path}"


async def measured(call: Callable[[], Awaitable[object]], together: int) -> float:
    """Return the microseconds of CPU per call, with `together` calls in flight."""

    async def worker(number: int) -> None:
        for _ in range(number):
            await call()

    start = time.process_time()
    await asyncio.gather(*[worker(CALLS // together) for _ in range(together)])
    return (time.process_time() - start) / (CALLS // together * together) * 1e6


async def compare(address: str, work: Work, together: int) -> list[tuple[float, float]]:
    """Return one pair for each round: our figure, and that of grpc.aio."""
    method = Method(work.path, work.ours, work.our_response)
    read, request = work.read, work.request
    async with Channel(address) as ours, grpc.aio.insecure_channel(address) as theirs:
        encode, decode = work.theirs.SerializeToString, work.their_response.FromString
        their_method = theirs.unary_unary(work.path, encode, decode)

        async def call_ours() -> None:
            read(await ours.call(method, work.ours(**request), timeout=5.0))

        async def call_theirs() -> None:
            read(await their_method(work.theirs(**request), timeout=5.0))

        for call in (call_ours, call_theirs):
            await measured(call, together)
        return [
            (await measured(call_ours, together), await measured(call_theirs, together))
            for _ in range(ROUNDS)
        ]


def rows(address: str, server: str) -> list[list[str]]:
    lines = []
    for work in works():
        for loop, factory in LOOPS.items():
            for together in IN_FLIGHT:
                with asyncio.Runner(loop_factory=factory) as runner:
                    pairs = runner.run(compare(address, work, together))
                lines.append(
                    [
                        server,
                        work.path.rpartition("/")[2],
                        loop,
                        str(together),
                        f"{statistics.median(a for a, _ in pairs):.0f}",
                        f"{statistics.median(b for _, b in pairs):.0f}",
                        f"{statistics.median(a / b for a, b in pairs):.2f} ×",
                    ]
                )
    return lines


def main() -> None:
    servers = sys.argv[1:] or (["go"] if go.is_available() else []) + ["grpcio"]
    table = Table(title=f"µs of CPU for a call, CPython {sys.version.split()[0]}")
    for heading in ("server", "method", "loop", "in flight", "kakuri-grpc", "grpc.aio", "ratio"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        prepare(directory)
        (directory / "responses").mkdir()
        for work in works():
            (directory / "responses" / work.path.rpartition("/")[2]).write_bytes(work.response)
        for server in servers:
            process, address = start_server(server, directory)
            try:
                for row in rows(address, server):
                    table.add_row(*row)
            finally:
                process.terminate()
                process.wait()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
