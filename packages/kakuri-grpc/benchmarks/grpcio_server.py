"""A server of grpcio for the benchmark: `grpcio_server.py SOCKET DIRECTORY`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc


def responding(data: bytes) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def respond(request: bytes, context: Any) -> bytes:
        return data

    return respond


async def main(path: str, directory: str) -> None:
    server = grpc.aio.server()
    methods = {
        file.name: grpc.unary_unary_rpc_method_handler(responding(file.read_bytes()))
        for file in Path(directory).iterdir()
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Service", methods),)
    )
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
