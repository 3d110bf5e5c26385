"""Readers of content, one for each framing, and the writer of chunks (RFC 9112 6 and 7.1)."""

from kakuri_http._errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from kakuri_http._headers import Headers, ParsedHeaders
from kakuri_http._limits import Limits
from kakuri_http.core import _grammar
from kakuri_http.core._heads import check_body_length, parse_field_line


class LengthReader:
    """Content of a known length (RFC 9112 6.2)."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.trailers: Headers | None = None

    def read(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Return content, or None if bytes are missing or it has ended, and the next position."""
        if not self.left or position >= len(data):
            return None, position
        piece = data[position : position + self.left] if position or self.left < len(data) else data
        self.left -= len(piece)
        return piece, position + len(piece)

    @property
    def has_ended(self) -> bool:
        """Whether all content has been read."""
        return not self.left


class UntilCloseReader:
    """Content of a response that ends with the connection (RFC 9112 6.3, rule 8)."""

    def __init__(self) -> None:
        self.trailers: Headers | None = None
        self.has_ended = False

    def read(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Return content, or None, and the next position."""
        return (data[position:] or None), len(data)


class BodyMeter:
    """Compares the size of content, announced or received, with a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.received = 0

    def add(self, length: int, announced: int = 0) -> None:
        """Add to the size; raise LimitExceeded if that, with announced bytes, exceeds the limit."""
        self.received += length
        check_body_length(self.received + announced, self.limit)


# Sixteen hexadecimal digits can express any size; more would have to be leading zeros.
_SIZE_DIGITS = 16
# Fields that would change earlier decisions (RFC 9110 6.5.1): framing, routing, authentication,
# controls and content format. A trailer with one of them is rejected.
_NOT_IN_TRAILERS = frozenset(
    b"transfer-encoding content-length host connection trailer te upgrade expect range "
    b"cache-control authorization proxy-authorization cookie set-cookie content-encoding "
    b"content-type content-range www-authenticate proxy-authenticate max-forwards".split()
)


_HEX_DIGITS = b"0123456789abcdefABCDEF"
_JOINED_BYTES = 16_384
"""Bytes up to which small chunks are joined. Each piece costs an event and about forty bytes of
memory, many times the content of a one-byte chunk."""


class ChunkedReader:
    """Decodes chunked content (RFC 9112 7.1); `trailers` is set when it has ended.

    Chunks that arrived together are joined into pieces of about 16 KiB.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0  # of the current chunk's data
        self._needs_crlf = False  # whether the CR LF after a chunk's data comes next
        self._in_trailers = False
        self._extensions = 0  # bytes of extensions beyond the size of the content
        self._trailer_fields: list[tuple[bytes, bytes]] = []
        self._trailer_size = 0
        self.trailers: Headers | None = None

    def read(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Return content, or None if bytes are missing or it has ended, and the next position."""
        while True:
            if self._left:
                piece = data[position : position + self._left]
                if not piece:
                    return None, position
                self._left -= len(piece)
                position += len(piece)
                if self._left:
                    return piece, position
                self._needs_crlf = True
                return self._join_following(piece, data, position)
            if self._needs_crlf:
                ending = data[position : position + 2]
                if ending != b"\r\n"[: len(ending)]:
                    raise RemoteProtocolError(f"expected CR LF after a chunk, got {ending!r}")
                if len(ending) < 2:
                    return None, position
                position += 2
                self._needs_crlf = False
            line, position = self._read_line(data, position)
            if line is None:
                return None, position
            if self._in_trailers:
                if self._add_trailer(line):
                    return None, position
            else:
                self._begin_chunk(line)

    def _join_following(self, piece: bytes, data: bytes, position: int) -> tuple[bytes, int]:
        """Return a chunk's content joined with that of complete short chunks after it."""
        size = len(piece)
        pieces = [piece]
        while size < _JOINED_BYTES and data.startswith(b"\r\n", position):
            # Only chunks with up to eight digits and nothing else; `read` handles all others.
            end = data.find(b"\r\n", position + 2, position + 12)
            if end < 0:
                break
            digits = data[position + 2 : end]
            if not digits or digits.strip(_HEX_DIGITS):
                break
            begin, length = end + 2, int(digits, 16)
            if not length or begin + length > len(data):
                break
            position = begin + length
            pieces.append(data[begin:position])
            size += length
        if len(pieces) > 1:
            self._extensions = max(0, self._extensions - (size - len(piece)))
            piece = b"".join(pieces)
        return piece, position

    def _read_line(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        limit = self._limits.field_line if self._in_trailers else self._limits.chunk_line
        end = data.find(b"\n", position)
        length = (end if end >= 0 else len(data)) - position - 1
        if length > limit:
            raise LimitExceeded(
                f"expected a line of at most {limit} bytes, got more",
                limit="field_line" if self._in_trailers else "chunk_line",
                status=431 if self._in_trailers else 400,
                code="header_fields_too_large" if self._in_trailers else "bad_request",
            )
        if end < 0:
            if not self._in_trailers and position < len(data):
                _check_size_start(data[position])
            return None, position
        line = data[position : end + 1]
        if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
            raise RemoteProtocolError(f"expected CR LF as line end, got {line[:40]!r}")
        return line[:-2], end + 1

    def _begin_chunk(self, line: bytes) -> None:
        """Read the first line of a chunk; trailers follow the last chunk, whose size is 0."""
        match = _grammar.chunk_line.fullmatch(line)
        if match is None:
            raise RemoteProtocolError(f"expected a chunk size, got {line[:40]!r}")
        digits, extensions = match.groups()
        if len(digits) > _SIZE_DIGITS:
            raise RemoteProtocolError(f"expected a chunk size, got {len(digits)} digits")
        self._extensions += len(extensions)
        if self._extensions > self._limits.chunk_extensions:
            raise LimitExceeded(
                f"expected chunk extensions of at most {self._limits.chunk_extensions} bytes "
                "beyond the content's size, got more",
                limit="chunk_extensions", status=400, code="bad_request",
            )  # fmt: skip
        self._left = int(digits, 16)
        # The limit grows with the content: an endless stream may have extensions on each chunk.
        self._extensions = max(0, self._extensions - self._left)
        self._in_trailers = not self._left

    @property
    def has_ended(self) -> bool:
        """Whether the last chunk and the trailers have been read."""
        return self.trailers is not None

    def announced(self) -> int:
        """Return how many bytes of the current chunk are still to come."""
        return self._left

    def _add_trailer(self, line: bytes) -> bool:
        """Add the line of a trailer; return whether it was the empty line that ends them."""
        if not line:
            self.trailers = ParsedHeaders(self._trailer_fields)
            return True
        self._trailer_size += len(line) + 2
        too_many = len(self._trailer_fields) >= self._limits.trailers
        if too_many or self._trailer_size > self._limits.head:
            raise LimitExceeded(
                f"expected at most {self._limits.trailers} trailers in {self._limits.head} bytes, "
                "got more",
                limit="trailers" if too_many else "head", status=431,
                code="header_fields_too_large",
            )  # fmt: skip
        name, value = parse_field_line(line)
        if name.lower() in _NOT_IN_TRAILERS:
            raise RemoteProtocolError(f"expected a field that may be a trailer, got {name!r}")
        self._trailer_fields.append((name, value))
        return False


def _check_size_start(byte: int) -> None:
    if byte not in _HEX_DIGITS:
        raise RemoteProtocolError(f"expected a chunk size, got {bytes([byte])!r}")


def encode_chunk(data: bytes) -> bytes:
    """Return one chunk, or nothing for no data: an empty chunk would end the content."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_last_chunk(trailers: Headers | None) -> bytes:
    """Return the last chunk and the trailer section."""
    if not trailers:
        return b"0\r\n\r\n"
    for name, _ in trailers:
        if name.lower().encode("ascii") in _NOT_IN_TRAILERS:
            raise LocalProtocolError(f"{name!r} may not be a trailer (RFC 9110 6.5.1)")
    return b"0\r\n%b\r\n" % trailers.lines
