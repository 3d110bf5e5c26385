"""Converts messages to bytes and back."""

import math
from concurrent.futures import Executor
from typing import TypeVar, cast

from kakuri_protobuf import AsyncCodec

from kakuri_grpc._errors import MessageTooLarge
from kakuri_grpc._limits import Limits

T = TypeVar("T")

LARGE_MESSAGE = AsyncCodec.LARGE_MESSAGE


class MessageCodec:
    """Encodes and decodes the messages of a channel, or of one connection of a server.

    If the class of a message is `bytes`, it is passed through unchanged, as a proxy needs.

    Attributes:
        limits: The limits of the channel or the server.
    """

    def __init__(self, limits: Limits, executor: Executor | None = None) -> None:
        """Create a codec; see `AsyncCodec` for the executor."""
        self.limits = limits
        self._codec = AsyncCodec(executor, limits=limits.protobuf)

    async def encode(self, message: object, cls: type, deadline: float = math.inf) -> bytes:
        """Encode a message.

        Raises:
            TypeError: The message is an instance of another class, which the peer would
                misinterpret.
            EncodeError: A field holds a value that its kind cannot encode.
            MessageTooLarge: The message exceeds `Limits.sent`.
            TimeoutError: The deadline passed before the thread had processed a large message.
        """
        if not isinstance(message, cls):
            raise TypeError(f"expected a message of class {cls.__name__}, got {message!r:.200}")
        if isinstance(message, bytes):
            data = message
        else:
            data = await self._codec.encode(message, deadline=deadline)
        limit = self.limits.sent
        if limit is not None and len(data) > limit:
            raise MessageTooLarge(len(data), limit)
        return data

    async def decode(self, data: bytes, cls: type[T], deadline: float = math.inf) -> T:
        """Decode a message.

        Raises:
            DecodeError: The data is not a valid message of the class.
            TimeoutError: The deadline passed before the thread had processed a large message.
        """
        if cls is bytes:
            return cast("T", data)
        return await self._codec.decode(data, cls, deadline=deadline)

    def close(self) -> None:
        """End the codec's own thread; see `AsyncCodec.close`."""
        self._codec.close()
