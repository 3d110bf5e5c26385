"""Writes a container's log like containerd.

This includes dropping a carriage return before a line feed.
"""

import time
from pathlib import Path

MAX_LINE = 16_384
"""Maximum size of a line in bytes; longer lines are split (containerd,
max_container_log_line_size)."""


def log_line(
    content: bytes, *, stream: str = "stdout", is_partial: bool = False, at: int | None = None
) -> bytes:
    """Return a line of a CRI log.

    Args:
        content: The container's output, without a line feed.
        stream: "stdout" or "stderr".
        is_partial: Whether the container's line continues in the next log line.
        at: Nanoseconds since the epoch; now if None.
    """
    seconds, nanoseconds = divmod(time.time_ns() if at is None else at, 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    tag = "P" if is_partial else "F"
    return f"{moment}.{nanoseconds:09}Z {stream} {tag} ".encode() + content + b"\n"


class LogWriter:
    """Writes the output of a container's two streams to a log file."""

    def __init__(self, path: Path) -> None:
        """Open the file to append to it.

        Raises:
            OSError: The file can't be opened, for example because its directory does not exist.
        """
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._pending = {"stdout": b"", "stderr": b""}

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Write complete lines; an incomplete line is buffered."""
        data = self._pending[stream] + data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._write_line(data[start:end].removesuffix(b"\r"), stream)
            start = end + 1
        while len(data) - start > MAX_LINE:
            self._file.write(
                log_line(data[start : start + MAX_LINE], stream=stream, is_partial=True)
            )
            start += MAX_LINE
        self._pending[stream] = data[start:]

    def _write_line(self, line: bytes, stream: str) -> None:
        while len(line) > MAX_LINE:
            self._file.write(log_line(line[:MAX_LINE], stream=stream, is_partial=True))
            line = line[MAX_LINE:]
        self._file.write(log_line(line, stream=stream))

    def close(self) -> None:
        """Write incomplete lines with the tag P, and close the file."""
        if self._file.closed:
            return
        for stream, pending in self._pending.items():
            if pending:
                self._file.write(log_line(pending, stream=stream, is_partial=True))
        self._file.close()

    def reopen(self) -> "LogWriter":
        """Close this file, and return a writer for a new file with the same name."""
        writer = LogWriter(self.path)
        self.close()
        return writer
