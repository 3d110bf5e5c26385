"""The framing of messages: a flag, four bytes of length, the message."""

import struct

from kakuri_grpc._errors import MessageTooLarge

_PREFIX = struct.Struct(">BI")
_SMALL_PIECE = 256


class CompressedMessage(ValueError):
    """A message is marked as compressed, although compression was not offered."""


def frame_message(message: bytes) -> bytes:
    """Return a message with its prefix."""
    return _PREFIX.pack(0, len(message)) + message


def sole_message(content: bytes, limit: int) -> bytes | None:
    """Return the message if the content is exactly one; None if it needs a MessageReader."""
    size = len(content) - 5
    if size < 0 or size > limit or _PREFIX.unpack_from(content) != (0, size):
        return None
    return content[5:]


class MessageReader:
    """Collects messages from pieces of content.

    Its memory grows with the data received, never with the length that a prefix announces.

    Attributes:
        size: Number of bytes that were received and not returned yet.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self.size: int = 0
        self._length = -1  # of the message whose prefix was read

    @property
    def is_empty(self) -> bool:
        """Whether all received data belongs to returned messages."""
        return not self.size and self._length < 0

    def feed(self, data: bytes) -> None:
        """Add a piece of content."""
        pieces = self._pieces
        self.size += len(data)
        # Many tiny pieces would take many times their size in memory.
        if pieces and len(data) < _SMALL_PIECE and len(pieces[-1]) < _SMALL_PIECE:
            pieces[-1] += data
        elif data:
            pieces.append(data)

    def next_message(self) -> bytes | None:
        """Return the next complete message, or None if more content is needed.

        Raises:
            MessageTooLarge: The prefix announces more than the limit.
            CompressedMessage: The flag says that the message is compressed.
        """
        if self._length < 0 and not self._read_prefix():
            return None
        length = self._length
        if self.size < length:
            return None
        self._length = -1
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.size -= length
        if not self.size:
            pieces.clear()
            return data
        self._pieces = [data[length:]]
        return data[:length]

    def _read_prefix(self) -> bool:
        """Consume a prefix; return whether a complete one had arrived."""
        if self.size < _PREFIX.size:
            return False
        pieces = self._pieces
        if len(pieces[0]) < _PREFIX.size:
            pieces[:] = [b"".join(pieces)]
        flag, length = _PREFIX.unpack_from(pieces[0])
        if flag:
            raise CompressedMessage(f"expected a message without compression, got flag {flag}")
        if length > self._limit:
            raise MessageTooLarge(length, self._limit)
        pieces[0] = pieces[0][_PREFIX.size :]
        self.size -= _PREFIX.size
        self._length = length
        return True
