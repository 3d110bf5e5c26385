"""An implementation of kakuri_cri.Channel with grpcio."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
from kakuri_cri import MAX_METADATA_RECEIVED, MAX_RECEIVED, CallKind, ChannelError
from kakuri_tcp import Endpoint


class GrpcioChannel:
    """Channels to a runtime's Unix socket, one for each kind of call.

    Create it inside a running event loop.
    """

    def __init__(self, endpoint: Endpoint | str, *, max_received: int = MAX_RECEIVED) -> None:
        if isinstance(endpoint, str):
            endpoint = Endpoint.parse(endpoint)
        self._path = Path(endpoint.path)
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        options: tuple[tuple[str, Any], ...] = (
            # The default authority is the socket's path, which servers built on hyper refuse.
            ("grpc.default_authority", "localhost"),
            ("grpc.max_receive_message_length", max_received),
            ("grpc.max_metadata_size", MAX_METADATA_RECEIVED),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_RECEIVED),
            # As the kubelet: reconnect to a restarted runtime within three seconds.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 3000),
            # Despite its name, how long one attempt may take: a busy runtime needs seconds.
            ("grpc.min_reconnect_backoff_ms", 5000),
            # Creating calls are not idempotent, so only callers know what may be repeated.
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
        )
        self._channels = {
            kind: grpc.aio.insecure_channel(f"unix:{endpoint.path}", options=options)
            for kind in CallKind
        }

    def __repr__(self) -> str:
        return f"<GrpcioChannel unix:{self._path}>"

    async def call(self, path: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send one message and return its response; see kakuri_cri.Channel."""
        self._check_owner()
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._channels[CallKind.of(path)].unary_unary(path)
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error.with_traceback(None)

    async def stream(
        self, path: str, request: bytes, *, timeout: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Send one message and yield the responses; see kakuri_cri.Channel."""
        self._check_owner()
        channel = self._channels[CallKind.of(path)]
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
        responses = method(request, timeout=timeout)
        try:
            async for response in responses:
                yield response
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error.with_traceback(None)
        finally:
            responses.cancel()

    async def close(self) -> None:
        """Close the connections; calls in progress raise ChannelError."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    def _check_owner(self) -> None:
        """Refuse a socket of another user, who would receive every zone's variables.

        grpcio does not expose the connection, so SO_PEERCRED cannot be used; the owner of the
        socket file is the user that created it.
        """
        try:
            owner = self._path.stat().st_uid
        except OSError:
            return  # grpcio reports the missing socket, and retries
        if owner not in {0, os.geteuid()}:
            message = f"the socket belongs to user {owner}, who is neither root nor this user"
            raise ChannelError("UNAVAILABLE", message)


def _failure(error: grpc.aio.AioRpcError) -> ChannelError:
    return ChannelError(error.code().name, error.details() or "")
