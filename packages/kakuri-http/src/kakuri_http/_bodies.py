"""Readers of content that is not chunked; with ChunkedReader, one for each way of framing."""

from kakuri_http._framing import check_body_length
from kakuri_http._headers import Headers


class LengthReader:
    """Content of a known length (RFC 9112 6.2)."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.trailers: Headers | None = None

    def read(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Return (content, next position); no content: more bytes are needed, or it has ended."""
        if not self.left or position >= len(data):
            return None, position
        piece = data[position : position + self.left] if position or self.left < len(data) else data
        self.left -= len(piece)
        return piece, position + len(piece)

    @property
    def has_ended(self) -> bool:
        """Tell whether all content has been read."""
        return not self.left


class UntilCloseReader:
    """Content of a response that ends with the connection (RFC 9112 6.3, rule 8)."""

    def __init__(self) -> None:
        self.trailers: Headers | None = None
        self.has_ended = False

    def read(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Return (content, next position)."""
        return (data[position:] or None), len(data)


class BodyMeter:
    """Counts content against a limit, as it is announced and as it comes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.received = 0

    def add(self, length: int, announced: int = 0) -> None:
        """Raise LimitExceeded when what came, with what is announced, is over the limit."""
        self.received += length
        check_body_length(self.received + announced, self.limit)
