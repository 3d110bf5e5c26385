"""Compares kakuri-cri with grpcio and protobuf (upb): import, messages, calls.

Both sides have the same messages, compiled from this package's api.proto. "read" touches the fields
that an agent reads, as upb decodes lazily. Each round runs both, one after the other; the median of
the rounds is shown, with the median of their ratios. Imports run in fresh processes, which have
loaded asyncio, ssl and logging before; the quickest of several is shown, as everything else on the
machine only adds to it. The calls go to a server in Go, a process of its own.

Arguments: names of tables (`import`, `messages`, `calls`); all if there are none.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "packages/kakuri-protobuf/benchmarks")]

import grpc  # noqa: E402
import kakuri_cri  # noqa: E402
import uvloop  # noqa: E402
from bench_protobuf import (  # noqa: E402 - found beside the other member's benchmark
    build,
    microseconds,
    read_list,
    read_status,
)
from grpc_tools import protoc  # noqa: E402
from kakuri_cri import Runtime, api  # noqa: E402
from kakuri_protobuf import decode, encode  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from tools import go  # noqa: E402

ROUNDS = 7
IMPORTS = 15
CALLS = 640
IN_FLIGHT = (1, 32)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PROTO = Path(kakuri_cri.__file__).parent
ID = "5f0c9a3e" * 8


def table(title: str, *headings: str) -> Table:
    made = Table(title=f"{title}, CPython {sys.version.split()[0]}")
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="right" if number else "left")
    return made


# Import.

LOOP = "asyncio.set_event_loop(asyncio.new_event_loop())"
IMPORT = """
import asyncio, logging, ssl, sys, time
sys.path.insert(0, {directory!r})
began = time.process_time()
{code}
print((time.process_time() - began) * 1e3)
"""


def milliseconds_of(code: str, directory: Path) -> float:
    """Return what code takes in a fresh process whose modules have been compiled to bytecode."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(directory / "pycache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", IMPORT.format(directory=str(directory), code=code)]
    times = [
        float(subprocess.run(command, env=environment, check=True, stdout=-1).stdout)
        for _ in range(IMPORTS)
    ]
    return min(times)


def imports(directory: Path) -> Table:
    made = table("ms of CPU in a fresh process", "what", "kakuri-cri", "grpcio, protobuf")
    grpcio = "import grpc, grpc.aio, api_pb2"
    rows = {
        "import": ("import kakuri_cri", grpcio),
        "import the client and the messages": ("from kakuri_cri import Runtime, api", grpcio),
        "and create a client, which loads the channel": (
            "from kakuri_cri import Runtime, api\nRuntime('unix:/run/x.sock')",
            f"{grpcio}\n{LOOP}\ngrpc.aio.insecure_channel('unix:/run/x.sock')",
        ),
    }
    for what, (ours, theirs) in rows.items():
        figures = (milliseconds_of(code, directory) for code in (ours, theirs))
        made.add_row(what, *[f"{figure:.1f}" for figure in figures])
    return made


# Messages.


def sandbox_request(module: Any) -> Any:
    """Return the request of a zone as an agent makes it, with either library's classes."""
    return module.RunPodSandboxRequest(
        config=module.PodSandboxConfig(
            metadata=module.PodSandboxMetadata(name="z", uid="z", namespace="kakuri", attempt=1),
            hostname="z",
            log_directory="/var/log/kakuri/z",
            labels={"kakuri.dev/workload-id": "z", "kakuri.dev/managed-by": "kakuri"},
            linux=module.LinuxPodSandboxConfig(
                security_context=module.LinuxSandboxSecurityContext(
                    namespace_options=module.NamespaceOption(pid=1),
                    seccomp=module.SecurityProfile(),
                ),
                resources=module.LinuxContainerResources(
                    cpu_period=100_000, cpu_quota=50_000, memory_limit_in_bytes=64 << 20
                ),
            ),
        ),
        runtime_handler="edera",
    )


def messages(theirs: Any) -> Table:
    built, built_list, _ = build(theirs, count=200)
    status, listing = built.SerializeToString(), built_list.SerializeToString()
    rows = {
        f"decode and read ContainerStatusResponse, {len(status)} bytes": (
            lambda: read_status(decode(status, type=api.ContainerStatusResponse).status),
            lambda: read_status(theirs.ContainerStatusResponse.FromString(status).status),
        ),
        f"decode and read ListContainersResponse of 200, {len(listing)} bytes": (
            lambda: read_list(decode(listing, type=api.ListContainersResponse)),
            lambda: read_list(theirs.ListContainersResponse.FromString(listing)),
        ),
        "make and encode ContainerStatusRequest": (
            lambda: encode(api.ContainerStatusRequest(container_id=ID)),
            lambda: theirs.ContainerStatusRequest(container_id=ID).SerializeToString(),
        ),
        "make and encode RunPodSandboxRequest": (
            lambda: encode(sandbox_request(api)),
            lambda: sandbox_request(theirs).SerializeToString(),
        ),
    }
    made = table("µs of CPU", "work", "kakuri-cri", "protobuf (upb)", "ratio")
    for work, (ours, official) in rows.items():
        pairs = [(microseconds(ours), microseconds(official)) for _ in range(ROUNDS)]
        made.add_row(work, *figures_of(pairs, 2))
    return made


def figures_of(pairs: list[tuple[float, float]], digits: int) -> list[str]:
    return [
        f"{statistics.median(a for a, _ in pairs):.{digits}f}",
        f"{statistics.median(b for _, b in pairs):.{digits}f}",
        f"{statistics.median(a / b for a, b in pairs):.2f} ×",
    ]


# Calls.


async def measured(call: Callable[[], Awaitable[object]], together: int) -> float:
    """Return the microseconds of CPU per call, with `together` calls in flight."""

    async def worker(number: int) -> None:
        for _ in range(number):
            await call()

    start = time.process_time()
    await asyncio.gather(*[worker(CALLS // together) for _ in range(together)])
    return (time.process_time() - start) / (CALLS // together * together) * 1e6


async def compare(address: str, theirs: Any, name: str, together: int) -> list[tuple[float, float]]:
    """Return one pair for each round: our figure, and that of grpc.aio."""
    options = [("grpc.default_authority", "localhost")]
    service = "/runtime.v1.RuntimeService"
    async with Runtime(address) as runtime, grpc.aio.insecure_channel(address, options) as channel:
        version = channel.unary_unary(
            f"{service}/Version",
            theirs.VersionRequest.SerializeToString,
            theirs.VersionResponse.FromString,
        )
        status = channel.unary_unary(
            f"{service}/ContainerStatus",
            theirs.ContainerStatusRequest.SerializeToString,
            theirs.ContainerStatusResponse.FromString,
        )

        async def our_version() -> None:
            _ = (await runtime.version(5.0)).runtime_name

        async def their_version() -> None:
            _ = (await version(theirs.VersionRequest(version="v1"), timeout=5.0)).runtime_name

        async def our_status() -> None:
            read_status(await runtime.container_status(ID, 5.0))

        async def their_status() -> None:
            request = theirs.ContainerStatusRequest(container_id=ID)
            read_status((await status(request, timeout=5.0)).status)

        ours, official = {
            "Version": (our_version, their_version),
            "ContainerStatus": (our_status, their_status),
        }[name]
        for call in (ours, official):
            await measured(call, together)
        return [
            (await measured(ours, together), await measured(official, together))
            for _ in range(ROUNDS)
        ]


def calls(theirs: Any, directory: Path) -> Table:
    made = table("µs of CPU of the client for a call over a Unix socket", "call", "loop",
                 "in flight", "kakuri-cri", "grpc.aio, upb", "ratio")  # fmt: skip
    socket = directory / "s"
    (directory / "responses").mkdir()
    status, _, _ = build(theirs, count=1)
    version = theirs.VersionResponse(
        version="0.1.0",
        runtime_name="containerd",
        runtime_version="1.6.20",
        runtime_api_version="v1",
    )
    for name, response in (("Version", version), ("ContainerStatus", status)):
        (directory / "responses" / name).write_bytes(response.SerializeToString())
    program = go.build(ROOT / "tests/interop/server.go", directory / "go-server")
    process = subprocess.Popen([str(program), str(socket), str(directory / "responses")], stdout=-1)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for name in ("Version", "ContainerStatus"):
            for loop, factory in LOOPS.items():
                for together in IN_FLIGHT:
                    with asyncio.Runner(loop_factory=factory) as runner:
                        pairs = runner.run(compare(f"unix:{socket}", theirs, name, together))
                    made.add_row(name, loop, str(together), *figures_of(pairs, 0))
    finally:
        process.terminate()
        process.wait()
    return made


def main() -> None:
    chosen = sys.argv[1:] or ["import", "messages", "calls"]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        assert protoc.main(["protoc", f"-I{PROTO}", f"--python_out={directory}", "api.proto"]) == 0
        sys.path.insert(0, name)
        import api_pb2  # noqa: PLC0415 - made just now

        console = Console(width=120)
        if "import" in chosen:
            console.print(imports(directory))
        if "messages" in chosen:
            console.print(messages(api_pb2))
        if "calls" in chosen and go.is_available():
            console.print(calls(api_pb2, directory))


if __name__ == "__main__":
    main()
