"""Encodes and decodes messages without holding the event loop for long."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from kakuri_protobuf._codecs import decode, encode, encode_if_small
from kakuri_protobuf._limits import DEFAULT_LIMITS, Limits, checked_limits

T = TypeVar("T")


class AsyncCodec:
    """Encodes and decodes small messages at once, and large ones in a thread.

    A codec passes its large messages to the executor one after the other. So codecs that share an
    executor, such as those of a server's connections, take turns, message by message. One thread is
    enough, because more would only compete with the event loop for the GIL.

    A message whose caller is cancelled, or whose deadline passes, before its turn is not processed.
    One that the thread has begun is completed, while the codec's next message may already wait for
    the thread.

    >>> async def decoded(codec: AsyncCodec, data: bytes) -> Container:
    ...     return await codec.decode(data, Container)

    Attributes:
        LARGE_MESSAGE: Bytes of a message above which a thread decodes it. Decoding takes 0.1 ms for
            each KiB of an ordinary message, and up to 1 ms for each KiB of a hostile one.
        MANY_ELEMENTS: Elements of repeated fields and entries of maps above which a thread encodes
            a message. Each takes some microseconds. Below that, encoding is quick even with long
            strings.
    """

    LARGE_MESSAGE = 64 << 10
    MANY_ELEMENTS = 1000

    def __init__(self, executor: Executor | None = None, *, limits: Limits | None = None) -> None:
        """Create a codec.

        Args:
            executor: What processes large messages. By default, a thread of this codec, which
                starts with the first large message; call `close` to end it.
            limits: Limits on the cost of decoding a message.

        Raises:
            TypeError: The limits have the wrong type.
        """
        self._owns_executor = executor is None
        self._executor = _one_thread() if executor is None else executor
        self._limits = DEFAULT_LIMITS if limits is None else checked_limits(limits)
        self._loop: asyncio.AbstractEventLoop | None = None  # of the lock
        self._lock = asyncio.Lock()

    async def encode(self, message: object, *, deadline: float = math.inf) -> bytes:
        """Encode a message; it must not change meanwhile.

        Args:
            message: An instance of a dataclass whose fields have numbers.
            deadline: When to give up, by the clock of the event loop; infinite for never.

        Raises:
            EncodeError: A field holds a value that its kind cannot encode.
            UnsupportedTypeError: The class does not describe a message.
            TimeoutError: The deadline passed before the thread had processed a large message.
        """
        data = encode_if_small(message, self.MANY_ELEMENTS)
        return await self._run(partial(encode, message), deadline) if data is None else data

    async def decode(self, data: bytes, cls: type[T], *, deadline: float = math.inf) -> T:
        """Decode a message.

        Args:
            data: The complete message.
            cls: A dataclass whose fields have numbers.
            deadline: When to give up, by the clock of the event loop; infinite for never.

        Raises:
            DecodeError: The data is not a valid message of the class, or exceeds a limit.
            UnsupportedTypeError: The class does not describe a message.
            TimeoutError: The deadline passed before the thread had processed a large message.
        """
        if len(data) <= self.LARGE_MESSAGE:
            return decode(data, type=cls, limits=self._limits)
        return await self._run(partial(decode, data, type=cls, limits=self._limits), deadline)

    def close(self) -> None:
        """End the codec's own thread once it is idle; the next large message starts another."""
        if self._owns_executor:
            self._executor.shutdown(wait=False)
            self._executor = _one_thread()

    async def _run(self, work: Callable[[], T], deadline: float) -> T:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a program may run several, one after the other
            self._loop, self._lock = loop, asyncio.Lock()
        when = None if deadline == math.inf else deadline
        async with asyncio.timeout_at(when), self._lock:
            # Otherwise an idle thread would start the work before the event loop delivers the
            # timeout.
            if loop.time() >= deadline:
                raise TimeoutError
            return await loop.run_in_executor(self._executor, work)


def _one_thread() -> Executor:
    return ThreadPoolExecutor(1, "kakuri-protobuf")
