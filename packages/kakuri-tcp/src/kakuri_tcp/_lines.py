r"""Line framing without I/O: bytes in, lines out.

A line ends with LF; one CR before it is removed. Nothing else ends a line: neither a lone CR nor
NEL, VT or FS, at which `bytes.splitlines` and `str.splitlines` split.

Every byte is searched once and copied at most three times, however the stream is split: a chunk is
searched from the end of its last line, later reads are collected for the next chunk, and an
incomplete line is collected in a growing array.
"""

from kakuri_tcp._errors import IncompleteLine, LineError, LineTooLong
from kakuri_tcp._limits import check_limit


class LineDecoder:
    r"""A decoder for a stream of lines.

        decoder = LineDecoder(limit=100)
        decoder.receive_data(b"one\r\ntwo\nthr")
        while (line := decoder.next_line()) is not None:
            print(line)  # b"one", then b"two"

    Call `receive_data` for each read, then `next_line` until it returns None. At the end of the
    stream, call `receive_eof` and `next_line` once more. After an error, every call of `next_line`
    raises the same error.
    """

    __slots__ = ("_chunk", "_eof", "_error", "_later", "_partial", "_start", "limit")

    def __init__(self, *, limit: int = 1_048_576) -> None:
        """Create a decoder for lines of at most `limit` bytes, without their end."""
        check_limit("limit", limit)
        self.limit: int = limit
        self._chunk = b""
        self._start = 0
        self._later: list[bytes] = []
        self._partial = bytearray()
        self._eof = False
        self._error: LineError | None = None

    def __repr__(self) -> str:
        return f"<LineDecoder limit={self.limit} partial={len(self._partial)}>"

    @property
    def has_partial_line(self) -> bool:
        """Whether an incomplete line is held; valid once `next_line` has returned None."""
        return bool(self._partial)

    @property
    def has_unread(self) -> bool:
        """Whether there are bytes that `next_line` has not searched."""
        return self._start < len(self._chunk) or bool(self._later)

    @property
    def buffered(self) -> int:
        """The number of bytes held."""
        size = len(self._chunk) - self._start + len(self._partial)
        return size + sum(map(len, self._later)) if self._later else size

    def receive_data(self, data: bytes) -> None:
        """Add received bytes; after an error, they are dropped."""
        if self._error is not None:
            return
        if self._start == len(self._chunk) and not self._later:
            self._chunk = data
            self._start = 0
        else:
            self._later.append(data)

    def receive_eof(self) -> None:
        """Mark the end of the stream."""
        self._eof = True

    def next_line(self) -> bytes | None:
        """Return the next line without its end, or None if it is not complete yet.

        Raises:
            LineTooLong: The next line is longer than the limit. Raised as soon as that is certain,
                even before the line is complete.
            IncompleteLine: The stream ended inside a line.
        """
        while self._error is None:
            end = self._chunk.find(b"\n", self._start)
            if end >= 0:
                line = self._chunk[self._start : end]
                self._start = end + 1
                if self._partial:
                    self._partial += line
                    line = bytes(self._partial)
                    self._partial.clear()
                if line[-1:] == b"\r":
                    line = line[:-1]
                if len(line) <= self.limit:
                    return line
                self._fail(LineTooLong(self.limit))
            elif self._start < len(self._chunk):
                self._keep_rest()
            elif self._later:
                self._chunk = b"".join(self._later)
                self._start = 0
                self._later.clear()
            elif self._eof and self._partial:
                self._fail(IncompleteLine(len(self._partial)))
            else:
                self._chunk = b""  # an idle connection holds nothing
                self._start = 0
                return None
        raise self._error

    def _keep_rest(self) -> None:
        """Move the incomplete line at the end of the chunk to the array."""
        self._partial += memoryview(self._chunk)[self._start :]
        self._chunk = b""
        self._start = 0
        # A CR at the very end may belong to the line's end.
        size = len(self._partial) - (self._partial[-1] == 0x0D)
        if size > self.limit:
            self._fail(LineTooLong(self.limit))

    def _fail(self, error: LineError) -> None:
        self._error = error
        self._chunk = b""
        self._start = 0
        self._later.clear()
        self._partial = bytearray()
