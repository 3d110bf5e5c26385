"""Converts messages to bytes and back.

If the request or response class of a method is `bytes`, messages are passed through without
encoding, as a proxy needs.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from kakuri_protobuf import decode, encode

T = TypeVar("T")

LARGE_MESSAGE = 64 << 10
"""Bytes of a message above which a thread decodes it. Decoding takes 0.1 ms for each KiB of an
ordinary message, and up to 1 ms for each KiB of a hostile one."""


def to_bytes(message: object, cls: type) -> bytes:
    """Encode a message; bytes are returned unchanged.

    Raises:
        TypeError: The message is an instance of another class, which the peer would misinterpret.
        EncodeError: A field holds a value that its kind cannot encode.
    """
    if not isinstance(message, cls):
        raise TypeError(f"expected a message of class {cls.__name__}, got {message!r:.200}")
    return message if isinstance(message, bytes) else encode(message)


def from_bytes(data: bytes, cls: type[T]) -> T:
    """Decode a message; if the class is `bytes`, the data is returned unchanged.

    Raises:
        DecodeError: The data is not a valid message of the class.
    """
    return cast("T", data) if cls is bytes else decode(data, type=cls)


class LargeMessages:
    """Decodes the large messages of a channel or a server in one thread, in the order of arrival.

    One thread is enough, because more would only compete with the event loop for the GIL. A
    message whose call is cancelled before its turn is not decoded. The thread starts with the first
    message, and ends after this object is deleted.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "kakuri-grpc")

    async def decode(self, data: bytes, cls: type[T]) -> T:
        """Return the message that some bytes encode; see `from_bytes`."""
        if cls is bytes:
            return cast("T", data)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, from_bytes, data, cls)
