"""Faults in front of a runtime that is there: every call is passed on as bytes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias

import grpc
import grpc.aio
from kakuri_tcp import Endpoint

from kakuri_sidecar.testing._calls import Calls
from kakuri_sidecar.testing._faults import Faults, Outcome
from kakuri_sidecar.testing._socket import MAX_MESSAGE, SocketServer

# The classes of grpc take parameters for type checkers alone.
_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"

_OPTIONS = (
    # Servers written in Go refuse the authority that gRPC makes of a socket's path.
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)


class CriProxy:
    """Passes calls on to the runtime at the socket `upstream`. Use it as an async context manager.

    It knows no method: one answer or many, all are passed on, with deadlines, metadata and the
    words of errors. A call that is delayed is passed on after the delay, unless its caller has
    left by then. A fault "finish-then-…" replaces the first answer.

    Attributes:
        faults: what goes wrong with the next calls.
        calls: what was asked of it.

    """

    def __init__(
        self, upstream: Path, path: Path | None = None, *, faults: Mapping[str, str] | None = None
    ) -> None:
        """Make a proxy; its socket is at `path` or in a folder of its own.

        Raises:
            ValueError: a fault is none.

        """
        self.upstream = upstream
        self.faults = Faults(faults)
        self.calls = Calls()
        self._server = SocketServer(path, _Forward(self))
        self._channel: grpc.aio.Channel | None = None

    def __repr__(self) -> str:
        state = "up" if self._server.is_open else "down"
        return f"<CriProxy {state} upstream={str(self.upstream)!r}>"

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(f"unix:{self.upstream}", options=_OPTIONS)
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
        """Where it listens."""
        return Endpoint.unix(str(self.path))

    async def break_connections(self) -> None:
        """Break every connection; new ones are taken. What was passed on is cancelled."""
        await self._server.break_connections()

    async def crash(self) -> None:
        """Break every connection and take no more."""
        await self._server.crash()

    async def restart(self) -> None:
        """Take connections again."""
        await self._server.open()

    async def forward(
        self, method: str, path: str, request: bytes, context: _Context
    ) -> AsyncIterator[bytes]:
        """Answer a call with what the runtime answers, or with a fault."""
        assert self._channel is not None
        call = await self.calls.add(method, request)
        fault = self.faults.take(method)
        await asyncio.sleep(fault.delay)
        if fault.outcome is Outcome.ERROR:
            call.code = fault.code.name
            await context.abort(fault.code, fault.words)
        if fault.outcome is Outcome.CLOSE:
            await self._server.hang_up()
        method_of_bytes: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
        method_of_bytes = self._channel.unary_stream(path)
        stream = method_of_bytes(
            request, timeout=context.time_remaining(), metadata=_metadata(context)
        )
        try:
            async for answer in stream:
                if fault.outcome is not Outcome.DONE:
                    break
                yield answer
        except grpc.aio.AioRpcError as error:
            if fault.outcome is Outcome.DONE:
                call.code = error.code().name
                trailing = error.trailing_metadata()
                await context.abort(error.code(), error.details() or "", tuple(trailing))
        finally:
            stream.cancel()
        if fault.outcome is Outcome.FINISH_THEN_ERROR:
            call.code = fault.code.name
            await context.abort(fault.code, fault.words)
        if fault.outcome is Outcome.FINISH_THEN_CLOSE:
            await self._server.hang_up()
        call.code = "OK"


class _Forward(grpc.GenericRpcHandler):
    """Takes every call there is, its messages being bytes."""

    def __init__(self, proxy: CriProxy) -> None:
        self._proxy = proxy

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        path = handler_call_details.method
        method = path.rpartition("/")[2]

        async def forward(request: bytes, context: _Context) -> AsyncIterator[bytes]:
            async for answer in self._proxy.forward(method, path, request, context):
                yield answer

        return grpc.unary_stream_rpc_method_handler(forward)


def _metadata(context: _Context) -> tuple[tuple[str, Any], ...]:
    """Give what the caller said beside its request; gRPC's own fields are made anew."""
    given = context.invocation_metadata() or ()
    return tuple(
        (key, value) for key, value in given if not key.startswith((":", "grpc-", "user-agent"))
    )
