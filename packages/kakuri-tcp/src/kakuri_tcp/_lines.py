r"""Line framing without I/O: bytes in, lines out.

A line ends with LF; one CR before it is taken off. Nothing else ends a line: not a lone CR, not
NEL, VT or FS, which `bytes.splitlines` and `str.splitlines` know.

Every byte is looked at once and copied at most three times, however the stream is cut: a chunk is
searched from where its last line ended, what comes meanwhile waits to become the next chunk, and
the start of an unfinished line collects in a growing array.
"""

from kakuri_tcp._errors import IncompleteLine, LineError, LineTooLong


class LineDecoder:
    """Cuts a stream of bytes into lines.

    Feed it with `receive_data`, then call `next_line` until it gives None. After an error it is
    of no more use: the same error comes again.
    """

    __slots__ = ("_chunk", "_eof", "_error", "_later", "_partial", "_start", "limit")

    def __init__(self, *, limit: int = 1_048_576) -> None:
        """Make a decoder for lines of at most `limit` bytes, their end not counted."""
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
        """Whether, once `next_line` gave None, the start of an unfinished line is held."""
        return bool(self._partial)

    @property
    def has_unread(self) -> bool:
        """Whether there are bytes that `next_line` has not searched."""
        return self._start < len(self._chunk) or bool(self._later)

    @property
    def buffered(self) -> int:
        """How many bytes are held."""
        size = len(self._chunk) - self._start + len(self._partial)
        return size + sum(map(len, self._later)) if self._later else size

    def receive_data(self, data: bytes) -> None:
        """Take the bytes of one read; they are dropped after an error."""
        if self._error is not None:
            return
        if self._start == len(self._chunk):
            self._chunk = data
            self._start = 0
        else:
            self._later.append(data)

    def receive_eof(self) -> None:
        """Take the end of the stream."""
        self._eof = True

    def next_line(self) -> bytes | None:
        """Give the next line without its end, or None until more has been received.

        Raises:
            LineTooLong: the next line has more bytes than the limit; raised as soon as that is
                sure, without waiting for its end.
            IncompleteLine: the stream has ended, and bytes without a line feed are left.

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
        """Move the unfinished line from the end of the chunk to where it can grow."""
        self._partial += memoryview(self._chunk)[self._start :]
        self._chunk = b""
        self._start = 0
        # A CR at the very end may still turn out to belong to the end of the line.
        size = len(self._partial) - (self._partial[-1] == 0x0D)
        if size > self.limit:
            self._fail(LineTooLong(self.limit))

    def _fail(self, error: LineError) -> None:
        self._error = error
        self._chunk = b""
        self._start = 0
        self._later.clear()
        self._partial = bytearray()
