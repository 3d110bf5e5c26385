"""Encodes and decodes messages without holding the event loop for long."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from kakuri_protobuf._codecs import decode, encode, encode_few
from kakuri_protobuf._limits import DEFAULT_LIMITS, Limits, checked_limits

T = TypeVar("T")


class AsyncCodec:
    """Encodes and decodes small messages at once, and large ones in a thread.

    Large messages of one codec are processed one at a time, in order. So codecs that share an
    executor, such as those of a server's connections, get an equal share of its thread. One thread
    is enough, because more would only compete with the event loop for the GIL. A message whose
    caller is cancelled before its turn is not processed.

    >>> async def decoded(codec: AsyncCodec, data: bytes) -> Container:
    ...     small = codec.decode_now(data, Container)
    ...     return await codec.decode(data, Container) if small is None else small

    Attributes:
        LARGE_MESSAGE: Bytes of a message above which a thread decodes it. Decoding takes 0.1 ms for
            each KiB of an ordinary message, and up to 1 ms for each KiB of a hostile one.
        MANY_ELEMENTS: Elements of repeated fields and entries of maps above which a thread encodes
            a message. Each takes some microseconds; with fewer, encoding is quick, however long
            strings are.
    """

    LARGE_MESSAGE = 64 << 10
    MANY_ELEMENTS = 1000

    def __init__(self, executor: Executor | None = None, *, limits: Limits | None = None) -> None:
        """Create a codec.

        Args:
            executor: What processes large messages. By default, a thread of this codec, which
                starts with the first large message and ends after the codec is deleted.
            limits: Limits on the cost of decoding a message.

        Raises:
            TypeError: The limits have the wrong type.
        """
        self._executor = executor or ThreadPoolExecutor(1, "kakuri-protobuf")
        self._limits = DEFAULT_LIMITS if limits is None else checked_limits(limits)
        self._lock = asyncio.Lock()

    def encode_now(self, message: object) -> bytes | None:
        """Encode a small message.

        Returns:
            The bytes; None if the message is large, so that `encode` has to be awaited.

        Raises:
            EncodeError: A field holds a value that its kind cannot encode.
            UnsupportedTypeError: The class does not describe a message.
        """
        return encode_few(message, self.MANY_ELEMENTS)

    def decode_now(self, data: bytes, cls: type[T]) -> T | None:
        """Decode a small message.

        Returns:
            The message; None if it is large, so that `decode` has to be awaited.

        Raises:
            DecodeError: The data is not a valid message of the class, or exceeds a limit.
            UnsupportedTypeError: The class does not describe a message.
        """
        if len(data) > self.LARGE_MESSAGE:
            return None
        return decode(data, type=cls, limits=self._limits)

    async def encode(self, message: object, *, deadline: float = math.inf) -> bytes:
        """Encode a message in the thread; it must not change meanwhile.

        Args:
            message: An instance of a dataclass whose fields have numbers.
            deadline: When to give up, by the clock of the event loop; infinite for never.

        Raises:
            EncodeError: A field holds a value that its kind cannot encode.
            UnsupportedTypeError: The class does not describe a message.
            TimeoutError: The deadline has passed.
        """
        return await self._run(partial(encode, message), deadline)

    async def decode(self, data: bytes, cls: type[T], *, deadline: float = math.inf) -> T:
        """Decode a message in the thread.

        Args:
            data: The complete message.
            cls: A dataclass whose fields have numbers.
            deadline: When to give up, by the clock of the event loop; infinite for never.

        Raises:
            DecodeError: The data is not a valid message of the class, or exceeds a limit.
            UnsupportedTypeError: The class does not describe a message.
            TimeoutError: The deadline has passed.
        """
        return await self._run(partial(decode, data, type=cls, limits=self._limits), deadline)

    async def _run(self, work: Callable[[], T], deadline: float) -> T:
        when = None if deadline == math.inf else deadline
        async with asyncio.timeout_at(when), self._lock:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
