"""A gRPC server on a Unix socket whose connections can be broken, and which can die."""

import asyncio
import socket
import tempfile
from pathlib import Path
from typing import NoReturn

import grpc
import grpc.aio

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of a message, as containerd and the kubelet allow."""

# Two servers on one socket, of which one dies, are never wanted.
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
)


class SocketServer:
    """Serves every method of any service with one handler.

    Without a path, the socket lies in a folder of its own: a test's own folder often has a path
    that is too long for a socket.
    """

    def __init__(self, path: Path | None, handler: grpc.GenericRpcHandler) -> None:
        self._folder = None if path else Path(tempfile.mkdtemp(prefix="cri-"))
        self.path = path or Path(self._folder or "", "cri.sock")
        self._handler = handler
        self._server: grpc.aio.Server | None = None
        self._lock = asyncio.Lock()
        self._breaking: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self) -> None:
        """Listen; nothing is done if it does."""
        async with self._lock:
            if self._server is None:
                await self._open()

    async def crash(self) -> None:
        """Break every connection and leave a socket on which nobody listens."""
        await self.close()
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))

    async def close(self) -> None:
        """Break every connection and listen no more."""
        async with self._lock:
            await self._close()

    def remove(self) -> None:
        """Remove the socket, and the folder if it is our own."""
        self.path.unlink(missing_ok=True)
        if self._folder is not None:
            self._folder.rmdir()

    async def break_connections(self) -> None:
        """Break every connection and listen on."""
        async with self._lock:
            if self._server is not None:
                await self._close()
                await self._open()

    async def hang_up(self) -> NoReturn:
        """Break every connection from inside a call, which is cancelled thereby."""
        self._breaking = asyncio.ensure_future(self.break_connections())
        await asyncio.Event().wait()
        raise AssertionError

    async def _open(self) -> None:
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((self._handler,))
        server.add_insecure_port(f"unix:{self.path}")
        await server.start()
        self._server = server

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)
