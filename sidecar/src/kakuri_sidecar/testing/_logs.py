"""Writing a container's log as containerd does.

Of what a container writes it changes one thing: a carriage return right before a line feed is lost.
"""

import time
from pathlib import Path

MAX_LINE = 16_384
"""Bytes of content of a line (containerd, max_container_log_line_size); the rest comes next."""


def log_line(
    content: bytes, *, stream: str = "stdout", is_partial: bool = False, at: int | None = None
) -> bytes:
    """Give a line of a CRI log; `at` is nanoseconds since the epoch, now if None."""
    seconds, nanoseconds = divmod(time.time_ns() if at is None else at, 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    tag = "P" if is_partial else "F"
    return f"{moment}.{nanoseconds:09}Z {stream} {tag} ".encode() + content + b"\n"


class LogWriter:
    """Writes to a log file what a container writes to its two streams."""

    def __init__(self, path: Path) -> None:
        """Open the file to append to it. Raises OSError, as if its folder is missing."""
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._pending = {"stdout": b"", "stderr": b""}

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Write whole lines; the start of one waits for its end."""
        data = self._pending[stream] + data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._put(data[start:end].removesuffix(b"\r"), stream)
            start = end + 1
        while len(data) - start > MAX_LINE:
            self._file.write(
                log_line(data[start : start + MAX_LINE], stream=stream, is_partial=True)
            )
            start += MAX_LINE
        self._pending[stream] = data[start:]

    def _put(self, line: bytes, stream: str) -> None:
        while len(line) > MAX_LINE:
            self._file.write(log_line(line[:MAX_LINE], stream=stream, is_partial=True))
            line = line[MAX_LINE:]
        self._file.write(log_line(line, stream=stream))

    def close(self) -> None:
        """Write what waits for the end of its line as a partial line, and close the file."""
        if self._file.closed:
            return
        for stream, rest in self._pending.items():
            if rest:
                self._file.write(log_line(rest, stream=stream, is_partial=True))
        self._file.close()

    def reopen(self) -> "LogWriter":
        """Open the file anew under its name and let go of the old one."""
        writer = LogWriter(self.path)
        self.close()
        return writer
