"""The channel over grpcio, as kakuri_cri.Channel describes it: bytes in, bytes out."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
from kakuri_cri import MAX_RECEIVED, ChannelError
from kakuri_tcp import Endpoint


class GrpcioChannel:
    """A connection to a runtime's Unix socket; create it inside a running event loop."""

    def __init__(self, endpoint: Endpoint | str, *, max_received: int = MAX_RECEIVED) -> None:
        if isinstance(endpoint, str):
            endpoint = Endpoint.parse(endpoint)
        self._path = Path(endpoint.path)
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        options: tuple[tuple[str, Any], ...] = (
            # Without it the socket's path is the authority, which servers built on hyper refuse.
            ("grpc.default_authority", "localhost"),
            ("grpc.max_receive_message_length", max_received),
            # The kubelet's: a runtime that comes back is found within three seconds.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 3000),
            # Creating is not idempotent, so only callers know what may be repeated.
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
        )
        self._channel = grpc.aio.insecure_channel(f"unix:{endpoint.path}", options=options)

    def __repr__(self) -> str:
        return f"<GrpcioChannel unix:{self._path}>"

    async def call(self, path: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send one message and return the one answer; see kakuri_cri.Channel."""
        self._check_owner()
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._channel.unary_unary(path)
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error.with_traceback(None)

    async def stream(
        self, path: str, request: bytes, *, timeout: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Send one message and yield the answers; see kakuri_cri.Channel."""
        self._check_owner()
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(path)
        answers = method(request, timeout=timeout)
        try:
            async for answer in answers:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error.with_traceback(None)
        finally:
            answers.cancel()

    async def close(self) -> None:
        """Close the connection; calls under way raise ChannelError."""
        await self._channel.close()

    def _check_owner(self) -> None:
        """Refuse a socket of another user, who would receive every zone's variables.

        gRPC does not show the connection, whose peer the kernel could name; the owner of the file
        is the user that created it.
        """
        try:
            owner = self._path.stat().st_uid
        except OSError:
            return  # gRPC reports it, and tries again
        if owner not in {0, os.geteuid()}:
            message = f"the socket belongs to user {owner}, who is neither root nor this user"
            raise ChannelError("UNAVAILABLE", message)


def _failure(error: grpc.aio.AioRpcError) -> ChannelError:
    return ChannelError(error.code().name, error.details() or "")
