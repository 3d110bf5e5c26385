"""A proxy that injects faults in front of a real runtime."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Self

from kakuri_grpc import (
    Channel,
    DeadlineExceeded,
    Metadata,
    Server,
    ServerCall,
    StatusCode,
    StatusError,
    status_error,
)
from kakuri_protobuf import Method
from kakuri_tcp import Endpoint

from kakuri_cri import api
from kakuri_cri.testing._calls import Calls
from kakuri_cri.testing._faults import Faults, Outcome
from kakuri_cri.testing._socket import LIMITS, SocketServer


class CriProxy:
    """Forwards calls to the runtime at the socket `upstream`; an async context manager.

    Every call of the protocol, unary or streaming, is forwarded as bytes with its deadline and
    metadata, and so are the runtime's errors. A delayed call is forwarded after the delay, unless
    it has been cancelled by then. A fault "finish-then-…" replaces the first response.

    Attributes:
        upstream: Path of the runtime's socket.
        faults: The faults of the next calls.
        calls: The calls that were received.
    """

    def __init__(
        self, upstream: Path, path: Path | None = None, *, faults: Mapping[str, str] | None = None
    ) -> None:
        """Create a proxy.

        Args:
            upstream: Path of the runtime's socket.
            path: Path of the proxy's socket; by default, in a temporary directory.
            faults: Fault scripts by method; see `parse_faults`.

        Raises:
            ValueError: A fault is not valid.
        """
        self.upstream = upstream
        self.faults: Faults = Faults(faults)
        self.calls: Calls = Calls()
        self._server = SocketServer(path, self._add_methods)
        self._channel: Channel | None = None

    def __repr__(self) -> str:
        state = "up" if self._server.is_open else "down"
        return f"<CriProxy {state} upstream={str(self.upstream)!r}>"

    async def __aenter__(self) -> Self:
        self._channel = Channel(f"unix:{self.upstream}", limits=LIMITS)
        await self._server.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()
        if self._channel is not None:
            await self._channel.close()
        self._server.remove()

    @property
    def path(self) -> Path:
        """The path of its socket."""
        return self._server.path

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of its socket."""
        return Endpoint.unix(str(self.path))

    async def break_connections(self) -> None:
        """Break all connections, which cancels forwarded calls; new connections are accepted."""
        self._server.break_connections()

    async def crash(self) -> None:
        """Break all connections, and refuse new ones."""
        await self._server.crash()

    async def restart(self) -> None:
        """Accept connections again, on a new socket."""
        await self._server.open()

    def _add_methods(self, server: Server) -> None:
        for service in (api.RuntimeService, api.ImageService):
            for name, method in vars(service).items():
                if isinstance(method, Method):
                    raw = Method(method.path, bytes, bytes, server_streams=True)
                    server.add(raw, self._handler(name, raw))

    def _handler(
        self, name: str, method: Method[bytes, bytes]
    ) -> Callable[[bytes, ServerCall], AsyncIterator[bytes]]:
        async def forward(request: bytes, call: ServerCall) -> AsyncIterator[bytes]:
            record = await self.calls.add(name, request)
            fault = self.faults.take(name)
            await asyncio.sleep(fault.delay)
            await self._server.fail_before(record, fault)
            try:
                async for response in self._upstream_responses(method, request, call):
                    if fault.outcome is not Outcome.DONE:
                        break
                    yield response
            except StatusError as error:
                if fault.outcome is Outcome.DONE:
                    record.code = error.code.name
                    raise
            await self._server.fail_after(record, fault)
            record.code = "OK"

        return forward

    async def _upstream_responses(
        self, method: Method[bytes, bytes], request: bytes, call: ServerCall
    ) -> AsyncIterator[bytes]:
        assert self._channel is not None
        try:
            stream = await self._channel.stream(
                method, request, timeout=call.remaining, metadata=_metadata(call)
            )
            async with stream:
                async for response in stream:
                    yield response
        except DeadlineExceeded as error:
            raise status_error(StatusCode.DEADLINE_EXCEEDED, str(error)) from error


def _metadata(call: ServerCall) -> Metadata:
    """Return the caller's metadata, without the fields of HTTP and gRPC themselves."""
    return tuple(
        (name, value)
        for name, value in call.metadata
        if name != "user-agent" and not name.startswith("grpc-")
    )
