"""Reading a zone's log: the content after a cursor, and the start of the last lines.

A read lists the directory, opens the files that it needs and closes them again. Nothing is held
between reads, so an idle reader costs nothing, and a slow one can read to the end of the files that
remain.

All functions block and are called by one thread at a time.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from kakuri_zones.logs._cursor import Cursor, Segment
from kakuri_zones.logs._files import LogFile, list_files, open_file
from kakuri_zones.logs._format import (
    MAX_HEADER,
    LinePosition,
    decode,
    decode_start,
    is_partial,
    line_ends,
)

BLOCK = 65_536
"""Bytes of one read from a file, which a read holds in addition to its result."""

STABLE_SECONDS = 1.0
"""Seconds after its last write until a file that has a successor is stable.

A runtime answers ReopenContainerLog after it has opened the new file, but output that it read from
the container before that still goes to the old file, within milliseconds.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a read.

    Attributes:
        content: What the container wrote.
        next: The position after the content.
        is_complete: Whether that is the end of the log.
        has_gap: Whether content after the cursor is missing.
        name: The file that `next` is in, if there is one.
    """

    content: bytes
    next: Cursor
    is_complete: bool
    has_gap: bool = False
    name: str | None = None


def read(
    directory: int,
    cursor: Cursor,
    limit: int,
    *,
    now: float | None = None,
    is_over: bool = False,
    end: Cursor | None = None,
) -> Reading:
    """Read at most `limit` bytes of content after a cursor; at least one if there is any.

    With a time `now` (seconds since the epoch), a rotated file is read until it is stable, then
    the next one. `is_over` means that nothing more will be written. Content after `end` is ignored.
    """
    files = [file for file in list_files(directory) if end is None or file.segment <= end.segment]
    if not files:
        if end is None and not is_over:
            return Reading(b"", cursor, is_complete=True)
        # The log is empty. Unless the cursor is a start, the file that it points to was removed.
        start = Cursor(Segment(cursor.segment.attempt))
        return Reading(b"", start, is_complete=True, has_gap=cursor != start)
    index, position, has_gap = _locate(files, cursor)
    content = bytearray()
    while True:
        file, is_last = files[index], index == len(files) - 1
        is_stable = now is None or not 0 <= now - file.modified < STABLE_SECONDS
        is_final = is_over if is_last else is_stable
        descriptor = open_file(directory, file)
        try:
            if position.offset and not _is_valid(descriptor, position):
                position, has_gap = Cursor(file.segment), True
            stop = end.offset if end is not None and file.segment == end.segment else None
            position, is_complete = _read_file(
                descriptor, position, content, limit, is_final=is_final, stop=stop
            )
        finally:
            os.close(descriptor)
        if not is_complete or is_last or not is_final:
            return Reading(bytes(content), position, is_complete and is_last, has_gap, file.name)
        index += 1
        position = Cursor(files[index].segment)


def end(directory: int) -> Cursor:
    """Return the current end of the log."""
    files = list_files(directory)
    return Cursor(files[-1].segment, files[-1].size) if files else Cursor()


def last_lines(directory: int, lines: int, attempt: int = 0) -> Cursor:
    """Return the start of the container's last `lines` lines.

    An incomplete line counts, as for tail(1). Attempts before `attempt` are ignored.
    """
    files = [file for file in list_files(directory) if file.segment.attempt >= attempt]
    if not files:
        return Cursor(Segment(attempt))
    missing = lines + 1  # ends of lines, the one before the first of them included
    is_at_end = True
    for file in reversed(files):
        descriptor = open_file(directory, file)
        try:
            size = os.fstat(descriptor).st_size
            end = _line_start(descriptor, size)
            if is_at_end and size:
                is_at_end = False
                if lines == 0:
                    return Cursor(file.segment, end)
                missing -= _is_unfinished(descriptor, size, end)
            for ends in _ends_backwards(descriptor, end):
                if len(ends) >= missing:
                    return Cursor(file.segment, ends[-missing])
                missing -= len(ends)
        finally:
            os.close(descriptor)
    return Cursor(files[0].segment)


def _locate(files: list[LogFile], cursor: Cursor) -> tuple[int, Cursor, bool]:
    """Find the file of a cursor; if it was removed, the next one, or else the oldest."""
    for index, file in enumerate(files):
        if file.segment == cursor.segment:
            return index, cursor, False
        if file.segment > cursor.segment:
            return index, Cursor(file.segment), cursor != Cursor()
    return 0, Cursor(files[0].segment), True


def _is_valid(descriptor: int, position: Cursor) -> bool:
    """Return whether a position still exists; truncating a file removes it."""
    before = os.pread(descriptor, 1, position.offset - 1)
    return before == b"\n" or (before != b"" and position.line_position is not LinePosition.START)


def _read_file(
    descriptor: int,
    position: Cursor,
    content: bytearray,
    limit: int,
    *,
    is_final: bool,
    stop: int | None = None,
) -> tuple[Cursor, bool]:
    """Append one file's content after a position; return the new one, and whether the file ends.

    `is_final` means that the file no longer grows. With `stop`, the file ends there.
    """
    offset, line_position = position.offset, position.line_position
    is_complete = False
    while not is_complete and (room := limit - len(content)) > 0:
        size = min(room, BLOCK)
        data = _pread(descriptor, size, offset, stop)
        is_complete = len(data) < size
        decoded = decode(data, line_position, is_final=is_final and is_complete)
        if not decoded.consumed and not is_complete:
            if content:
                break  # the remaining space has no room for the next header
            size = MAX_HEADER + room
            data = _pread(descriptor, size, offset, stop)
            is_complete = len(data) < size
            decoded = decode_start(data, room, is_final=is_final and is_complete)
            is_complete = is_complete and decoded.consumed in {0, len(data)}
        content += decoded.content
        offset += decoded.consumed
        line_position = decoded.line_position
    return Cursor(position.segment, offset, line_position), is_complete


def _pread(descriptor: int, size: int, offset: int, stop: int | None) -> bytes:
    if stop is not None:
        size = max(0, min(size, stop - offset))
    return os.pread(descriptor, size, offset)


def _line_start(descriptor: int, before: int) -> int:
    """Return the start of the line that contains `before`: after the line feed before it."""
    while before > 0:
        start = max(0, before - BLOCK)
        found = os.pread(descriptor, before - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def _is_unfinished(descriptor: int, size: int, end: int) -> bool:
    """Return whether the content ends inside a line; `end` is that of the last complete one."""
    if end < size:
        return decode_start(os.pread(descriptor, MAX_HEADER, end), 1).content != b""
    return is_partial(os.pread(descriptor, MAX_HEADER, _line_start(descriptor, end - 1)))


def _ends_backwards(descriptor: int, end: int) -> Iterator[list[int]]:
    """Yield the ends of the container's lines in a file, block by block from its end."""
    while end > 0:
        start = max(0, end - BLOCK)
        data = os.pread(descriptor, end - start, start)
        if len(data) < end - start:
            return  # the file was truncated meanwhile
        cut = 0 if start == 0 else data.find(b"\n", 0, -1) + 1
        if start and not cut:
            start = _line_start(descriptor, start)
            yield [] if is_partial(os.pread(descriptor, MAX_HEADER, start)) else [end]
        else:
            start += cut
            yield [start + offset for offset in line_ends(data[cut:])]
        end = start
