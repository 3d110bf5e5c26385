"""A gRPC server on a Unix socket that can break its connections and crash."""

import asyncio
import socket
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from kakuri_grpc import Limits, Server, status_error

from kakuri_cri.testing._calls import CriCall
from kakuri_cri.testing._faults import Fault, Outcome

MAX_MESSAGE = 16 << 20
"""Maximum size of a message in bytes, as in containerd and the kubelet."""

LIMITS = Limits(received=MAX_MESSAGE)


def limits_with(concurrent_calls: int | None) -> Limits:
    """Return server limits with `concurrent_calls` as SETTINGS_MAX_CONCURRENT_STREAMS."""
    if concurrent_calls is None:
        return LIMITS
    return replace(LIMITS, http2=replace(LIMITS.http2, concurrent_streams=concurrent_calls))


class SocketServer:
    """Listens on a Unix socket.

    Without a path, the socket is in a new temporary directory, because the path of a test's own
    directory is often too long for a socket.

    Attributes:
        path: Path of the socket.
    """

    def __init__(
        self, path: Path | None, add_methods: Callable[[Server], None], limits: Limits = LIMITS
    ) -> None:
        self._directory = None if path else Path(tempfile.mkdtemp(prefix="cri-"))
        self.path = path or Path(self._directory or "", "cri.sock")
        self._add_methods = add_methods
        self._limits = limits
        self._server: Server | None = None
        self._lock = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self) -> None:
        """Listen on a new socket, unless it is already listening."""
        async with self._lock:
            if self._server is None:
                server = Server(self._limits)
                self._add_methods(server)
                await server.listen(f"unix:{self.path}")
                self._server = server

    async def crash(self) -> None:
        """Break all connections, and leave a socket file without a listener."""
        await self.close()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))

    async def close(self) -> None:
        """Break all connections, and stop listening."""
        async with self._lock:
            server, self._server = self._server, None
            if server is not None:
                server.abort_connections()
                await server.close()

    def remove(self) -> None:
        """Remove the socket, and its directory if it is temporary."""
        self.path.unlink(missing_ok=True)
        if self._directory is not None:
            self._directory.rmdir()

    def break_connections(self) -> None:
        """Break all connections; new ones are accepted."""
        if self._server is not None:
            self._server.abort_connections()

    async def fail_before(self, call: CriCall, fault: Fault) -> None:
        """Fail a call that is not carried out, if its fault demands that."""
        await self._fail(call, fault, Outcome.ERROR, Outcome.CLOSE)

    async def fail_after(self, call: CriCall, fault: Fault) -> None:
        """Fail a call that was carried out, if its fault demands that."""
        await self._fail(call, fault, Outcome.FINISH_THEN_ERROR, Outcome.FINISH_THEN_CLOSE)

    async def _fail(self, call: CriCall, fault: Fault, error: Outcome, close: Outcome) -> None:
        if fault.outcome is error:
            call.code = fault.code.name
            raise status_error(fault.code, fault.message)
        if fault.outcome is close:
            await self._hang_up()

    async def _hang_up(self) -> NoReturn:
        """Break all connections from inside a call, which cancels the call."""
        self.break_connections()
        await asyncio.Event().wait()
        raise AssertionError
