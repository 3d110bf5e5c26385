"""Reading selected records of a log: lines with their time, stream and attempt.

Their format is that of `kakuri_workload.read_records`. One read examines at most MAX_EXAMINED bytes
of files, so that a selection that matches little of a large log keeps neither the thread nor a
reader waiting; the position after the examined part is the progress.

All functions block and are called by one thread at a time.
"""

import os
import re
from collections.abc import Iterator
from functools import lru_cache

from kakuri_workload import LOG_GAP, MAX_RECORD_HEADER, LogSelection, log_time

from kakuri_zones.logs._cursor import Cursor, TailSearch
from kakuri_zones.logs._files import LogFile, open_file
from kakuri_zones.logs._format import MAX_HEADER, RECORD_HEADER, RECORDS, LinePosition

BLOCK = 65_536
"""Bytes of one read from a file."""

MAX_EXAMINED = 524_288
"""Maximum bytes of files that one read examines; it then ends with what it has. They take a few
milliseconds of the thread."""

MIN_LIMIT = 1024
"""The smallest limit of a read of records: a header and some content."""

_UTC_TIMES = re.compile(rb"([0-9]{4}-[0-9T:.-]{24}Z) [^\n]*\n")
_UTC_LENGTH = len("2026-11-26T14:07:25.000000001Z")
_TIME_PARTS = re.compile(rb"([^.Z+]{19})(?:\.([0-9]{1,9}))?([Z+-].*)")


class RecordReader:
    """Collects the selected records of files that are read one after another.

    Attributes:
        content: The records.
        examined: Bytes of files that were read for them.
    """

    def __init__(self, limit: int, selection: LogSelection, *, has_begun: bool = False) -> None:
        """Create a reader of at most `limit` bytes of records.

        Args:
            limit: The limit; at least MIN_LIMIT applies.
            selection: Which records to add.
            has_begun: Whether an earlier reader has reached the time of the selection.
        """
        self.content = bytearray()
        self.examined = 0
        self._limit = max(limit, MIN_LIMIT)
        self._stream = stream_name(selection)
        since = None if has_begun else selection.since
        self._since = None if since is None else since.encode()

    @property
    def has_begun(self) -> bool:
        """Whether all further records are selected, whatever their times."""
        return self._since is None

    @property
    def is_budget_used(self) -> bool:
        """Whether enough bytes were examined for one read."""
        return self.examined >= MAX_EXAMINED

    def add_gap(self) -> bool:
        """Add the line that reports missing records; return whether there was room for it."""
        if len(self.content) + len(LOG_GAP) > self._limit:
            return False
        self.content += LOG_GAP
        return True

    def read_file(
        self, descriptor: int, position: Cursor, *, is_final: bool, stop: int | None = None
    ) -> tuple[Cursor, bool]:
        """Add one file's records after a position; return the new one, and whether the file ends.

        An incomplete line is left for a later read, unless the file no longer grows.

        Args:
            descriptor: The file.
            position: Where to begin.
            is_final: Whether the file no longer grows.
            stop: Where the file ends for this reader; by default, at its end.
        """
        while not self.is_budget_used:
            size = BLOCK if stop is None else max(0, min(BLOCK, stop - position.offset))
            data = os.pread(descriptor, size, position.offset)
            is_end = len(data) < BLOCK
            if position.line_position is LinePosition.START:
                last = data.rfind(b"\n") + 1
                consumed = self._add_lines(data, last, position.segment.attempt)
                self.examined += consumed
                position = Cursor(position.segment, position.offset + consumed)
                if consumed < last and self.content:
                    return position, False
                if consumed == last:
                    if is_end and (last == len(data) or not is_final):
                        return position, True
                    if last and not is_end:
                        continue
                # A line that exceeds the limit or the block, or that has no end in a final file.
                position = _into_line(position, data[consumed : consumed + MAX_HEADER])
                continue
            is_waiting = is_end and not is_final and b"\n" not in data
            if not data or is_waiting:
                return position, True
            added = self._add_piece(descriptor, data, position)
            if added == position:
                return position, False
            self.examined += added.offset - position.offset
            position = added
        return position, False

    def _add_lines(self, data: bytes, end: int, attempt: int) -> int:
        """Add the complete lines before `end`; return the start of one that does not fit."""
        if self._excludes(data, end):
            return end
        for found in RECORDS.finditer(data, 0, end):
            time, of_stream, tag, content = found.groups()
            if not self._selects(time, of_stream):
                continue
            record = _record(time, of_stream, tag, attempt, content)
            if len(self.content) + len(record) > self._limit:
                return found.start()
            self.content += record
        return end

    def _add_piece(self, descriptor: int, data: bytes, position: Cursor) -> Cursor:
        """Add what the block has of a long line, as one record; return the position after it."""
        time: bytes | None = None
        stream: bytes | None = None
        tag: bytes | None = None
        if position.line_start is not None:
            found = RECORD_HEADER.match(os.pread(descriptor, MAX_HEADER, position.line_start))
            if found is not None:
                time, stream, tag = found.groups()
        line_feed = data.find(b"\n")
        size = len(data) if line_feed < 0 else line_feed
        if self._selects(time, stream):
            room = self._limit - len(self.content) - MAX_RECORD_HEADER
            if room <= 0:
                return position
            size = min(size, room)
            tag = tag if size == line_feed else b"P"
            attempt = position.segment.attempt
            self.content += _record(time, stream, tag, attempt, data[:size])
        after = position.offset + size
        if size == line_feed:
            return Cursor(position.segment, after + 1)
        return Cursor(position.segment, after, LinePosition.FULL, position.line_start)

    def _excludes(self, data: bytes, end: int) -> bool:
        """Return whether a quick check shows that none of the lines before `end` is selected."""
        stream, since = self._stream, self._since
        if stream is not None and data.find(b" %b " % stream, 0, end) < 0:
            return True
        if since is None:
            return False
        times = _UTC_TIMES.findall(data, 0, end)
        return len(times) == data.count(b"\n", 0, end) and max(times, default=b"") < since

    def _selects(self, time: bytes | None, stream: bytes | None) -> bool:
        if self._stream is not None and stream != self._stream:
            return False
        if self._since is not None:
            if time is None or (_utc(time) or b"") < self._since:
                return False
            self._since = None  # later records may have earlier times, if the clock was set back
        return True


def search_tail(
    directory: int, files: list[LogFile], search: TailSearch, selection: LogSelection
) -> tuple[Cursor | TailSearch, int]:
    """Search for the start of the last lines, backwards.

    Args:
        directory: The directory of the log.
        files: The files of the log, oldest first; those after the progress are skipped.
        search: The progress so far.
        selection: Which records count.

    Returns:
        The start, or the progress if it is not found yet; and the number of bytes examined.
    """
    lines = _LineCounter(stream_name(selection), search)
    examined = 0
    for file in reversed(files):
        if file.segment > search.segment:
            continue  # it was created during the search
        descriptor = open_file(directory, file)
        try:
            is_first = file.segment == search.segment
            size = search.before.offset if is_first else os.fstat(descriptor).st_size
            end = line_start(descriptor, size)
            if lines.missing == 1 and not lines.has_match:
                return Cursor(file.segment, end), examined  # no lines at all
            if end < size:
                lines.count_incomplete(os.pread(descriptor, MAX_HEADER, end))
            for start, stop, data in blocks_backwards(descriptor, end):
                examined += stop - start
                found = lines.count_block(data)
                if found is not None:
                    offset = stop if found == len(data) else start + found
                    return Cursor(file.segment, offset), examined
                if examined >= MAX_EXAMINED:
                    progress = Cursor(file.segment, start)
                    return TailSearch(lines.missing, progress, lines.has_match), examined
        finally:
            os.close(descriptor)
    return Cursor(), examined


class _LineCounter:
    """Counts the selected lines of a log backwards, up to the one before the last lines.

    A record with the tag P is a part of the line of the next record. It counts as a line only at
    the end of the log, where the next record does not exist yet.
    """

    def __init__(self, stream: bytes | None, search: TailSearch) -> None:
        self.missing = search.missing
        self.has_match = search.has_match
        self._stream = stream

    def count_incomplete(self, header: bytes) -> None:
        """Count a record without a line feed, if it is the last one of the log."""
        found = RECORD_HEADER.match(header)
        if not self.has_match and found is not None and self._stream in {None, found[2]}:
            self.has_match = True
            self.missing -= 1

    def count_block(self, data: bytes) -> int | None:
        """Count the lines of a block; return the end of the one before the last lines, if found."""
        stream = self._stream
        if stream is not None and b" %b " % stream not in data:
            return None
        for found in reversed(list(RECORDS.finditer(data))):
            if stream is not None and found[2] != stream:
                continue
            is_part = found[3] == b"P"
            self.missing -= not is_part or not self.has_match
            self.has_match = True
            if self.missing == 0 and not is_part:
                return found.end()
        return None


def blocks_backwards(descriptor: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield start, end and content of blocks of complete lines, from the end of a file.

    Of a line that is longer than a block, the content is its beginning with a line feed.
    """
    while end > 0:
        start = max(0, end - BLOCK)
        data = os.pread(descriptor, end - start, start)
        if len(data) < end - start:
            return  # the file was truncated meanwhile
        cut = 0 if start == 0 else data.find(b"\n", 0, -1) + 1
        if start and not cut:
            start = line_start(descriptor, start)
            yield start, end, os.pread(descriptor, MAX_HEADER, start) + b"\n"
        else:
            start += cut
            yield start, end, data[cut:]
        end = start


def line_start(descriptor: int, before: int) -> int:
    """Return the start of the line that contains `before`: after the line feed before it."""
    while before > 0:
        start = max(0, before - BLOCK)
        found = os.pread(descriptor, before - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def stream_name(selection: LogSelection) -> bytes | None:
    """Return the name of the selected stream as it is in a header."""
    return None if selection.stream is None else selection.stream.value.encode()


def _into_line(position: Cursor, header: bytes) -> Cursor:
    """Return the position of the content of the line at a position."""
    found = RECORD_HEADER.match(header)
    start = position.offset
    content = start if found is None else start + found.end()
    return Cursor(position.segment, content, LinePosition.FULL, start)


def _record(
    time: bytes | None, stream: bytes | None, tag: bytes | None, attempt: int, content: bytes
) -> bytes:
    at = None if time is None else _utc(time)
    if at is None or stream is None:
        at, stream = b"-", b"-"
    return b"%b %b %b %d %b\n" % (at, stream, tag or b"F", attempt, content)


def _utc(time: bytes) -> bytes | None:
    """Return the time of a header in UTC with nine digits; None if it is not a valid date."""
    if len(time) == _UTC_LENGTH and time.endswith(b"Z"):
        return time
    found = _TIME_PARTS.fullmatch(time)
    assert found is not None
    second, fraction, offset = found.groups()
    moment = _second(second + offset)
    return None if moment is None else b"%b.%bZ" % (moment, (fraction or b"").ljust(9, b"0"))


@lru_cache(maxsize=64)
def _second(time: bytes) -> bytes | None:
    """Return a time in UTC without its fraction; cached for the lines of one second."""
    try:
        return log_time(time.decode()).partition(".")[0].encode()
    except ValueError:
        return None
