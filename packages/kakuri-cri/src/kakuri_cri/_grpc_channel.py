"""The channel over kakuri-grpc, with a connection for each kind of call."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import kakuri_grpc
from kakuri_grpc import Backoff, DeadlineExceeded, GRPCError, Limits, MessageTooLarge, StatusError
from kakuri_protobuf import Method
from kakuri_tcp import Endpoint

from kakuri_cri._call_kinds import CallKind
from kakuri_cri._channel import ChannelError
from kakuri_cri._limits import MAX_METADATA_RECEIVED, MAX_RECEIVED

_BACKOFF = Backoff(first=0.1, longest=3.0, connect=5.0)
"""The kubelet's values, with which a restarted runtime is found within three seconds."""

MAX_WAITING_CALLS = 1_000_000
"""Maximum number of calls that wait for a stream: several for each zone of the largest node. Some
servers only allow 100 streams, and a client may remove thousands of zones at once."""


class GrpcChannel:
    """A `Channel` for asyncio, without compiled parts and without threads.

    It has a connection for each `CallKind`, opened by the first call of that kind. So status reads
    never wait for slow calls, even if the runtime only allows two concurrent calls on a connection.
    """

    def __init__(self, endpoint: Endpoint | str, *, max_received: int = MAX_RECEIVED) -> None:
        """Create a channel; the first call connects.

        Args:
            endpoint: Where the runtime listens, such as `unix:/run/containerd/containerd.sock`.
            max_received: Maximum size of a response in bytes.

        Raises:
            EndpointError: The text is not an endpoint.
        """
        limits = Limits(received=max_received, waiting_calls=MAX_WAITING_CALLS)
        size = MAX_METADATA_RECEIVED
        # Servers usually send metadata in frames of 16 KiB; the limit allows for frames of 8 KiB.
        frames = size // 8192
        http2 = replace(limits.http2, header_list=size, header_block=size, continuations=frames)
        limits = replace(limits, http2=http2)
        self._channels = {
            kind: kakuri_grpc.Channel(endpoint, limits=limits, backoff=_BACKOFF)
            for kind in CallKind
        }
        self._endpoint = str(endpoint)
        self._routes: dict[str, tuple[kakuri_grpc.Channel, Method[bytes, bytes]]] = {}

    def __repr__(self) -> str:
        states = (f"{kind.value} {channel.state.value}" for kind, channel in self._channels.items())
        return f"<GrpcChannel {self._endpoint}: {', '.join(states)}>"

    async def call(self, path: str, request: bytes, *, timeout: float | None) -> bytes:
        """Send one message and return the single response; see `Channel.call`."""
        try:
            channel, method = self._route(path)
            return await channel.call(method, request, timeout=timeout)
        except GRPCError as error:
            raise _failure(error) from error.with_traceback(None)

    async def stream(
        self, path: str, request: bytes, *, timeout: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Send one message and yield the responses; see `Channel.stream`."""
        try:
            channel, method = self._route(path)
            call = await channel.stream(method, request, timeout=timeout)
            async with call:
                async for response in call:
                    yield response
        except GRPCError as error:
            raise _failure(error) from error.with_traceback(None)

    async def close(self) -> None:
        """Close the connections; calls in progress raise ChannelError."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    def _route(self, path: str) -> tuple[kakuri_grpc.Channel, Method[bytes, bytes]]:
        """Return the channel for a method, and the method."""
        route = self._routes.get(path)
        if route is None:
            route = self._channels[CallKind.of(path)], Method(path, bytes, bytes)
            self._routes[path] = route
        return route


def _failure(error: GRPCError) -> ChannelError:
    if isinstance(error, StatusError):
        return ChannelError(error.code.name, error.message)
    if isinstance(error, DeadlineExceeded):
        return ChannelError("DEADLINE_EXCEEDED", str(error))
    if isinstance(error, MessageTooLarge):
        return ChannelError("RESOURCE_EXHAUSTED", str(error))
    return ChannelError("UNAVAILABLE", str(error))  # the channel is closed
