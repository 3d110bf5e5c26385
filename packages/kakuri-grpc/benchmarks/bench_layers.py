"""Shows what each layer adds to a call: CPU of the client, one call after another, a Unix socket.

The server is a process with a blocking socket. Before HTTP/2 it responds to each read with as many
bytes as a call has; then it runs a server core. Rounds go through all layers in turn.
"""

import asyncio
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import kakuri_protobuf as kp
import uvloop
from kakuri_grpc import Channel, Method
from kakuri_http2 import ClientDriver, Data, Request, Response, ServerConnection, Trailers
from rich.console import Console
from rich.table import Table

CALLS, ROUNDS = 500, 9
REQUEST, RESPONSE = bytes(60), bytes(100)  # as long as what a call sends and receives
PATH = "/runtime.v1.RuntimeService/Version"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRequest:
    version: Annotated[str, 1] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionResponse:
    version: Annotated[str, 1] = ""
    runtime_name: Annotated[str, 2] = ""
    runtime_version: Annotated[str, 3] = ""
    runtime_api_version: Annotated[str, 4] = ""


MESSAGE = kp.encode(
    VersionResponse(
        version="0.1.0",
        runtime_name="containerd",
        runtime_version="1.6.20",
        runtime_api_version="v1",
    )
)
FRAMED = b"\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE
HEAD = ((b"content-type", b"application/grpc"),)
OK = ((b"grpc-status", b"0"),)


def serve(path: str) -> None:
    """Serve one connection after another."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            with connection:
                respond(connection)


def respond(connection: socket.socket) -> None:
    core = None
    while data := connection.recv(65_536):
        if core is None and not data.startswith(b"PRI"):
            connection.sendall(RESPONSE)
            continue
        core = core or ServerConnection()
        core.receive_data(data)
        while (event := core.next_event()) is not None:
            if isinstance(event, Request):
                core.send(Response(event.stream, 200, HEAD))
                core.send(Data(event.stream, FRAMED))
                core.send(Trailers(event.stream, OK))
        if core.has_output:
            connection.sendall(core.data_to_send())


class Echo(asyncio.BufferedProtocol):
    """The least that an asyncio client does: a write, a future, a read."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = memoryview(bytearray(65_536))
        self.loop = asyncio.get_running_loop()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.buffer[:nbytes].tobytes()
        self.waiter.set_result(None)

    async def call(self) -> None:
        self.waiter = self.loop.create_future()
        self.transport.write(REQUEST)
        await self.waiter


class Receiver:
    """What a stream of HTTP/2 reports to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.finished = loop.create_future()

    def receive_head(self, status: int, fields: object, *, is_end: bool) -> None:
        pass

    def receive_content(self, data: bytes, *, is_end: bool) -> bool:
        return True

    def receive_trailers(self, fields: object) -> None:
        self.finished.set_result(None)

    def receive_reset(self, reset: object) -> None:
        raise AssertionError(reset)

    def drained(self) -> None:
        pass


async def measured(call: Callable[[], Awaitable[object]]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - start) / CALLS * 1e6


async def layers(path: str) -> dict[str, float]:
    """Return the cost of a call up to each layer: medians over the rounds."""
    loop = asyncio.get_running_loop()
    blocking = socket.socket(socket.AF_UNIX)
    blocking.connect(path)

    async def bare() -> None:
        blocking.send(REQUEST)
        blocking.recv(65_536)

    costs: dict[str, list[float]] = {}
    for _ in range(ROUNDS + 1):
        blocking = socket.socket(socket.AF_UNIX)
        blocking.connect(path)
        costs.setdefault("a blocking socket: send, recv", []).append(await measured(bare))
        blocking.close()
        transport, echo = await loop.create_unix_connection(Echo, path)
        costs.setdefault("the event loop: transport, future, task", []).append(
            await measured(echo.call)
        )
        transport.close()
        _, driver = await loop.create_unix_connection(ClientDriver, path)
        prepared = driver.connection.prepare(
            Request(b"POST", PATH.encode(), b"localhost", (*HEAD, (b"te", b"trailers")))
        )

        async def exchange(driver: Any = driver, prepared: Any = prepared) -> None:
            receiver = Receiver(loop)
            driver.start(prepared, receiver, content=b"\0\0\0\0\4\x0a\2v1")
            await receiver.finished

        costs.setdefault("HTTP/2: frames, HPACK, states, windows", []).append(
            await measured(exchange)
        )
        driver.close()
        await driver.closed
        for name, method, request in (
            ("gRPC: head, prefix, deadline, status", Method(PATH, bytes, bytes), b"\x0a\2v1"),
            (
                "protobuf: encode, decode",
                Method(PATH, VersionRequest, VersionResponse),
                VersionRequest(version="v1"),
            ),
        ):
            async with Channel(f"unix:{path}") as channel:

                async def call(
                    channel: Any = channel, method: Any = method, request: Any = request
                ) -> None:
                    await channel.call(method, request, timeout=5.0)

                await call()
                costs.setdefault(name, []).append(await measured(call))
    return {name: statistics.median(values[1:]) for name, values in costs.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/s"
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(path,))
        server.start()
        while not Path(path).exists():
            time.sleep(0.05)
        results = {}
        for name, factory in (
            ("asyncio", asyncio.new_event_loop),
            ("uvloop", uvloop.new_event_loop),
        ):
            with asyncio.Runner(loop_factory=factory) as runner:
                results[name] = runner.run(layers(path))
        server.terminate()
        server.join()
    table = Table(title=f"µs of CPU for a call, CPython {sys.version.split()[0]}")
    for heading in ("layer", "asyncio", "adds", "uvloop", "adds"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    before = dict.fromkeys(results, 0.0)
    for layer in results["asyncio"]:
        row = [layer]
        for loop, costs in results.items():
            row += [f"{costs[layer]:.0f}", f"{costs[layer] - before[loop]:+.0f}"]
            before[loop] = costs[layer]
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
