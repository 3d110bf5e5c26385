"""Messages between their classes and their bytes.

A method whose request or response is `bytes` carries messages that its caller has encoded, such as
those of a proxy, which passes them on as they are.
"""

from typing import TypeVar, cast

from kakuri_protobuf import decode, encode

T = TypeVar("T")


def to_bytes(message: object, cls: type) -> bytes:
    """Return the bytes of a message of a class; for `bytes`, the same.

    Raises:
        TypeError: The message is of another class, whose fields the peer would take for others.
        EncodeError: A field holds a value that its kind cannot encode.
    """
    if not isinstance(message, cls):
        raise TypeError(f"expected a message of class {cls.__name__}, got {message!r:.200}")
    return message if isinstance(message, bytes) else encode(message)


def from_bytes(data: bytes, cls: type[T]) -> T:
    """Return the message that some bytes encode; for `bytes`, the same.

    Raises:
        DecodeError: The data is not a valid message of the class.
    """
    return cast("T", data) if cls is bytes else decode(data, type=cls)
