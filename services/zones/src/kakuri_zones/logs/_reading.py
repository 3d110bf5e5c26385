"""Reading a zone's log: what comes after a cursor, and where the last lines begin.

A read lists the folder, opens the files that it needs and closes them again. Nothing is held
between reads: a reader that stays away costs nothing, and a log can be read to the end of what is
left of it however long that took.

All of this blocks and is called by one thread at a time.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from kakuri_zones.logs._cursor import Cursor, Segment
from kakuri_zones.logs._files import LogFile, list_files, open_file
from kakuri_zones.logs._format import (
    MAX_HEADER,
    Within,
    decode,
    decode_start,
    is_partial,
    line_ends,
)

BLOCK = 65_536
"""Bytes of one read from a file: what a read holds beyond its result."""

SETTLING = 1.0
"""Seconds after the last write in which a file that has a successor may still be written to.

A runtime answers ReopenContainerLog once it has opened the new file; what it had taken from the
container before then still goes to the old one, within milliseconds.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a read gave.

    Attributes:
        content: what the container wrote.
        next: where to go on.
        is_complete: whether that is the end of everything there was.
        has_gap: whether the log could not be read on exactly where the cursor was.
        name: the file that `next` is in, if there is one.

    """

    content: bytes
    next: Cursor
    is_complete: bool
    has_gap: bool = False
    name: str | None = None


def read(
    folder: int,
    cursor: Cursor,
    limit: int,
    *,
    now: float | None = None,
    is_over: bool = False,
    end: Cursor | None = None,
) -> Reading:
    """Read at most `limit` bytes of content after a cursor; at least one if there is any.

    With a time `now` (seconds since the epoch), a file that has just been followed by another is
    not left before it has settled. `is_over` says that nothing more will be written. What comes
    after `end` counts as not there.
    """
    files = [file for file in list_files(folder) if end is None or file.segment <= end.segment]
    if not files:
        if end is None and not is_over:
            return Reading(b"", cursor, is_complete=True)
        # Nothing will follow. Unless the cursor is a start, what it points to was removed.
        start = Cursor(Segment(cursor.segment.attempt))
        return Reading(b"", start, is_complete=True, has_gap=cursor != start)
    index, position, has_gap = _locate(files, cursor)
    content = bytearray()
    while True:
        file, is_last = files[index], index == len(files) - 1
        is_final = is_over if is_last else now is None or not 0 <= now - file.modified < SETTLING
        descriptor = open_file(folder, file)
        try:
            if position.offset and not _is_true(descriptor, position):
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


def end(folder: int) -> Cursor:
    """Give where the log ends at the moment."""
    files = list_files(folder)
    return Cursor(files[-1].segment, files[-1].size) if files else Cursor()


def last_lines(folder: int, lines: int, attempt: int = 0) -> Cursor:
    """Give where the last `lines` lines of what the container wrote begin.

    A line that is not ended yet counts, as for tail(1). Attempts before `attempt` are left out.
    """
    files = [file for file in list_files(folder) if file.segment.attempt >= attempt]
    if not files:
        return Cursor(Segment(attempt))
    missing = lines + 1  # ends of lines, the one before the first of them included
    is_at_end = True
    for file in reversed(files):
        descriptor = open_file(folder, file)
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
    """Find the file that a cursor is in; if it is gone, the next one, or else the oldest."""
    for index, file in enumerate(files):
        if file.segment == cursor.segment:
            return index, cursor, False
        if file.segment > cursor.segment:
            return index, Cursor(file.segment), cursor != Cursor()
    return 0, Cursor(files[0].segment), True


def _is_true(descriptor: int, position: Cursor) -> bool:
    """Whether a position can still be what it was: a file that was truncated has lost it."""
    before = os.pread(descriptor, 1, position.offset - 1)
    return before == b"\n" or (before != b"" and position.within is not Within.START)


def _read_file(
    descriptor: int,
    position: Cursor,
    content: bytearray,
    limit: int,
    *,
    is_final: bool,
    stop: int | None = None,
) -> tuple[Cursor, bool]:
    """Add what follows in one file to `content`; give the new position, and whether it ends there.

    `is_final` says that the file grows no more. With `stop`, the file counts as ending there.
    """
    offset, within = position.offset, position.within
    is_complete = False
    while not is_complete and (room := limit - len(content)) > 0:
        size = min(room, BLOCK)
        data = _pread(descriptor, size, offset, stop)
        is_complete = len(data) < size
        decoded = decode(data, within, is_final=is_final and is_complete)
        if not decoded.consumed and not is_complete:
            if content:
                break  # the room that is left has no room for the next header
            size = MAX_HEADER + room
            data = _pread(descriptor, size, offset, stop)
            is_complete = len(data) < size
            decoded = decode_start(data, room, is_final=is_final and is_complete)
            is_complete = is_complete and decoded.consumed in {0, len(data)}
        content += decoded.content
        offset += decoded.consumed
        within = decoded.within
    return Cursor(position.segment, offset, within), is_complete


def _pread(descriptor: int, size: int, offset: int, stop: int | None) -> bytes:
    if stop is not None:
        size = max(0, min(size, stop - offset))
    return os.pread(descriptor, size, offset)


def _line_start(descriptor: int, before: int) -> int:
    """Give where the line that `before` is in begins: after the last line feed in front of it."""
    while before > 0:
        start = max(0, before - BLOCK)
        found = os.pread(descriptor, before - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def _is_unfinished(descriptor: int, size: int, end: int) -> bool:
    """Whether what the container wrote ends inside a line; `end` is that of the last whole one."""
    if end < size:
        return decode_start(os.pread(descriptor, MAX_HEADER, end), 1).content != b""
    return is_partial(os.pread(descriptor, MAX_HEADER, _line_start(descriptor, end - 1)))


def _ends_backwards(descriptor: int, end: int) -> Iterator[list[int]]:
    """Give where the container's lines end in a file, from its end on block by block."""
    while end > 0:
        start = max(0, end - BLOCK)
        data = os.pread(descriptor, end - start, start)
        if len(data) < end - start:
            return  # it was truncated meanwhile
        cut = 0 if start == 0 else data.find(b"\n", 0, -1) + 1
        if start and not cut:
            start = _line_start(descriptor, start)
            yield [] if is_partial(os.pread(descriptor, MAX_HEADER, start)) else [end]
        else:
            start += cut
            yield [start + offset for offset in line_ends(data[cut:])]
        end = start
