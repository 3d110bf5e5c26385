"""Log records in the forms of the API: text, text with times, and newline-delimited JSON.

A container may write any bytes, so in each form no output can look like a mark of Kakuri:

- In text with times, every line of a container begins with its time, or with `-` if the runtime
  did not write the line. Marks begin with `---`.
- In JSON, a record has no `type`, and a mark has one. `line` is text; if the bytes are not valid
  UTF-8, those that are not become U+FFFD, and `base64` has all bytes as they are.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from kakuri_json import encode
from kakuri_rpc import UnexpectedReply
from kakuri_workload import LogRecord, read_records

from kakuri_control_plane._log_queries import LogFormat, LogQuery

RecordFormat = Callable[[LogRecord | None], bytes]
"""Returns a record in a form, or the mark of a gap."""

# Characters above ASCII that terminals obey, or that some readers take for the end of a line, in
# UTF-8: the C1 controls, the line and the paragraph separator. Also DEL.
_UNSAFE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")


def record_format(query: LogQuery) -> RecordFormat:
    """Return the form that a query asks for."""
    if query.format is LogFormat.NDJSON:
        return JSONLines()
    return TimedText() if query.timestamps else _plain


async def formatted(
    pieces: AsyncGenerator[bytes, None], form: RecordFormat, turn: asyncio.Lock
) -> AsyncGenerator[bytes, None]:
    """Yield pieces of records in a form.

    Args:
        pieces: The pieces.
        form: The form.
        turn: Shared by all readers, so that one piece is converted per turn of the event loop. A
            piece may have thousands of empty lines, so that a hundred readers would otherwise keep
            the loop busy for seconds.

    Raises:
        UnexpectedReply: The agent sent something other than records.
    """
    async with aclosing(pieces):
        async for piece in pieces:
            async with turn:
                try:
                    content = b"".join(map(form, read_records(piece)))
                except ValueError as error:
                    raise UnexpectedReply(f"the agent's log: {error}") from error
                await asyncio.sleep(0)
            if content:
                yield content


def _plain(record: LogRecord | None) -> bytes:
    """Return what the container wrote."""
    return b"" if record is None else record.text


class TimedText:
    """Text in which each line begins with its time, and marks between attempts.

    A part of a line that the runtime cut follows the part before it, unless a record of the other
    stream is between them; it then begins a line of its own.
    """

    def __init__(self) -> None:
        self._attempt: int | None = None
        # The stream and the attempt whose line has no end so far.
        self._open: tuple[str | None, int] | None = None

    def __call__(self, record: LogRecord | None) -> bytes:
        """Return a record or the mark of a gap."""
        if record is None:
            return self._end_line() + b"--- gap\n"
        before = b""
        if self._attempt not in {None, record.attempt}:
            before = self._end_line() + b"--- attempt %d\n" % record.attempt
        self._attempt = record.attempt
        source = record.stream, record.attempt
        if self._open != source:
            before += self._end_line() + f"{record.at or '-'} ".encode()
        self._open = source if record.is_partial else None
        return before + record.text

    def _end_line(self) -> bytes:
        end = b"" if self._open is None else b"\n"
        self._open = None
        return end


class JSONLines:
    """A JSON object for each record, and marks between attempts."""

    def __init__(self) -> None:
        self._attempt: int | None = None

    def __call__(self, record: LogRecord | None) -> bytes:
        """Return a record or the mark of a gap."""
        if record is None:
            return b'{"type":"gap"}\n'
        before = b""
        if self._attempt not in {None, record.attempt}:
            before = b'{"type":"attempt","attempt":%d}\n' % record.attempt
        self._attempt = record.attempt
        source = "" if record.at is None else f'"at":"{record.at}","stream":"{record.stream}",'
        return b'%b{%b"attempt":%d,%b}\n' % (before, source.encode(), record.attempt, _line(record))


def _line(record: LogRecord) -> bytes:
    """Return the members of a record that depend on its content."""
    try:
        text, exact = record.content.decode(), b""
    except UnicodeDecodeError:
        text = record.content.decode(errors="replace")
        exact = b',"base64":"%b"' % b64encode(record.content)
    line = _UNSAFE.sub(_escape, encode(text))
    partial = b',"partial":true' if record.is_partial else b""
    return b'"line":%b%b%b' % (line, partial, exact)


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())
