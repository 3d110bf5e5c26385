"""Messages in a stream of content: a flag, four bytes of length, the message."""

from kakuri_grpc._errors import MessageTooLarge

PREFIX = 5


class CompressedMessage(ValueError):
    """A message is marked as compressed, which was not offered."""


def frame_message(message: bytes) -> bytes:
    """Return a message with its prefix."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class MessageReader:
    """Collects messages from pieces of content.

    What it keeps grows with what has arrived, never with what a prefix announces.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = PREFIX

    @property
    def is_empty(self) -> bool:
        """Whether everything that was received belongs to a message that was returned."""
        return self._size == 0

    def feed(self, data: bytes) -> None:
        """Add a piece of content."""
        if data:
            self._pieces.append(data)
            self._size += len(data)

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None if more content is needed.

        Raises:
            MessageTooLarge: the prefix announces more than the limit.
            CompressedMessage: the flag says that the message is compressed.

        """
        if self._size < self._wanted:
            return None
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        length = int.from_bytes(data[1:PREFIX], "big")
        if data[0]:
            self._keep(data)
            raise CompressedMessage(f"expected a message without compression, got flag {data[0]}")
        if length > self._limit:
            self._keep(data)
            raise MessageTooLarge(length, self._limit)
        end = PREFIX + length
        if len(data) < end:
            self._keep(data)
            self._wanted = end
            return None
        self._wanted = PREFIX
        self._keep(data[end:])
        return data[PREFIX:end]

    def _keep(self, data: bytes) -> None:
        self._pieces = [data] if data else []
        self._size = len(data)
