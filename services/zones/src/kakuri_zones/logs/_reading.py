"""Reading a zone's log: the content after a cursor, and the start of the last lines.

A read lists the directory, opens the files that it needs and closes them again. Nothing is held
between reads, so an idle reader costs nothing, and a slow one can read to the end of the files that
remain.

All functions block and are called by one thread at a time.
"""

import os
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Protocol

from kakuri_workload import LOG_GAP, LogSelection

from kakuri_zones.logs._cursor import Cursor, RecordCursor, Segment, TailSearch
from kakuri_zones.logs._files import LogFile, list_files, open_file
from kakuri_zones.logs._format import MAX_HEADER, LinePosition, decode, decode_start
from kakuri_zones.logs._records import BLOCK, MAX_EXAMINED, RecordReader, search_tail

STABLE_SECONDS = 1.0
"""Seconds after its last write until a file that has a successor is stable.

A runtime responds to ReopenContainerLog after it has opened the new file, but output that it
had read before is still written to the old file, within milliseconds.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a read.

    Attributes:
        content: What the container wrote, or the selected records.
        next: The position after the content.
        is_complete: Whether that is the end of the log.
        has_gap: Whether content after the cursor is missing.
        name: The file that `next` is in, if there is one.
        examined: Bytes of files that were examined. For a read of plain content, 0 unless the read
            ended because of MAX_EXAMINED.
    """

    content: bytes
    next: Cursor | RecordCursor
    is_complete: bool
    has_gap: bool = False
    name: str | None = None
    examined: int = 0


class FileReader(Protocol):
    """Collects the content of files that are read one after another."""

    content: bytearray
    examined: int
    """Bytes of files that were searched for the content."""

    def read_file(
        self, descriptor: int, position: Cursor, *, is_final: bool, stop: int | None
    ) -> tuple[Cursor, bool]:
        """Add one file's content after a position; return the new one, and whether the file ends.

        Args:
            descriptor: The file.
            position: Where to begin.
            is_final: Whether the file no longer grows.
            stop: Where the file ends for this reader; None for its end.
        """


def read_records(
    directory: int,
    cursor: RecordCursor,
    limit: int,
    selection: LogSelection,
    *,
    now: float | None = None,
    is_over: bool = False,
    end: Cursor | None = None,
) -> Reading:
    """Read the selected records after a cursor, or search for the last lines first.

    The arguments are those of `read`. LOG_GAP is added wherever content is missing, also
    before the oldest content.
    """
    all_files = list_files(directory)
    files = [file for file in all_files if selection.attempt in {None, file.segment.attempt}]
    at, has_begun = cursor.at, cursor.has_begun
    if isinstance(at, TailSearch):
        found, examined = search_tail(directory, files, at, selection)
        following = RecordCursor(found, has_begun)
        return Reading(b"", following, is_complete=False, examined=max(examined, 1))
    if not files and (is_over or end is not None) and _was_removed(all_files, selection.attempt):
        return Reading(LOG_GAP, cursor, is_complete=True, has_gap=True)
    reader = RecordReader(limit, selection, has_begun=has_begun)
    reading = _read(directory, files, at, reader, now=now, is_over=is_over, end=end, gaps=reader)
    assert isinstance(reading.next, Cursor)
    # Lines that are written after a reader reached the end are new, whatever their times.
    is_at_end = reading.is_complete and not reader.examined
    has_begun = selection.since is not None and (reader.has_begun or is_at_end)
    return replace(reading, next=RecordCursor(reading.next, has_begun))


def read(
    directory: int,
    cursor: Cursor,
    limit: int,
    *,
    now: float | None = None,
    is_over: bool = False,
    end: Cursor | None = None,
) -> Reading:
    """Read at most `limit` bytes of content after a cursor.

    There are possibly none, if MAX_EXAMINED bytes of files had no content.

    With a time `now` (seconds since the epoch), a rotated file is read until it is stable, then
    the next one. `is_over` means that the container writes nothing more. Content after `end` is
    ignored.
    """
    files = list_files(directory)
    reader = PlainReader(limit)
    reading = _read(directory, files, cursor, reader, now=now, is_over=is_over, end=end)
    has_used_budget = reader.examined >= MAX_EXAMINED
    return reading if has_used_budget or not reader.examined else replace(reading, examined=0)


def _read(
    directory: int,
    files: list[LogFile],
    cursor: Cursor,
    reader: FileReader,
    *,
    now: float | None,
    is_over: bool,
    end: Cursor | None,
    gaps: RecordReader | None = None,
) -> Reading:
    """Read files after a cursor, and add a line to `gaps` where content is missing."""
    if end is not None:
        files = [file for file in files if file.segment <= end.segment]
    if not files:
        if end is None and not is_over:
            return Reading(b"", cursor, is_complete=True)
        # The log is empty. Unless the cursor is a start, the file that it points to was removed.
        start = Cursor(Segment(cursor.segment.attempt))
        has_gap = cursor != start
        if has_gap and gaps is not None:
            gaps.add_gap()
        return Reading(bytes(reader.content), start, is_complete=True, has_gap=has_gap)
    index, position, has_gap = _locate(files, cursor)
    if gaps is not None:
        has_gap = has_gap or (cursor == Cursor() and position.segment.sequence > 0)
        if has_gap:
            gaps.add_gap()
    for file, following in zip_longest(files[index:], files[index + 1 :]):
        is_stable = now is None or not 0 <= now - file.modified < STABLE_SECONDS
        is_final = is_over if following is None else is_stable
        descriptor = open_file(directory, file)
        try:
            if position.offset and not _is_valid(descriptor, position):
                position, has_gap = Cursor(file.segment), True
                if gaps is not None:
                    gaps.add_gap()
            stop = end.offset if end is not None and file.segment == end.segment else None
            position, is_complete = reader.read_file(
                descriptor, position, is_final=is_final, stop=stop
            )
        finally:
            os.close(descriptor)
        if following is None or not (is_complete and is_final):
            break
        if gaps is not None and not _follows(file.segment, following.segment):
            if not gaps.add_gap():
                break
            has_gap = True
        position = Cursor(following.segment)
    is_end = is_complete and following is None
    return Reading(bytes(reader.content), position, is_end, has_gap, file.name, reader.examined)


def end(directory: int) -> Cursor:
    """Return the current end of the log."""
    files = list_files(directory)
    return Cursor(files[-1].segment, files[-1].size) if files else Cursor()


def last_lines(directory: int, search: TailSearch) -> Cursor | TailSearch:
    """Search a bounded part of the log for the start of the last lines.

    Return the start, or the progress. An incomplete line counts, as for tail(1).
    """
    return search_tail(directory, list_files(directory), search, LogSelection())[0]


def _locate(files: list[LogFile], cursor: Cursor) -> tuple[int, Cursor, bool]:
    """Find the file of a cursor; if it was removed, the next one, or else the oldest."""
    for index, file in enumerate(files):
        if file.segment == cursor.segment:
            return index, cursor, False
        if file.segment > cursor.segment:
            return index, Cursor(file.segment), cursor != Cursor()
    return 0, Cursor(files[0].segment), True


def _follows(before: Segment, after: Segment) -> bool:
    """Return whether no file is missing between two that are neighbours in the list."""
    if before.attempt == after.attempt:
        return after.sequence == before.sequence + 1
    return after.sequence == 0


def _was_removed(files: list[LogFile], attempt: int | None) -> bool:
    """Return whether the log of an attempt was removed because of two later ones.

    If only one later attempt has a log, this one ended without writing any.
    """
    attempts = {file.segment.attempt for file in files}
    return attempt is not None and len(attempts) > 1 and attempt < min(attempts)


def _is_valid(descriptor: int, position: Cursor) -> bool:
    """Return whether a position still exists; truncating a file removes it."""
    before = os.pread(descriptor, 1, position.offset - 1)
    return before == b"\n" or (before != b"" and position.line_position is not LinePosition.START)


class PlainReader:
    """Collects what the container wrote, at most `limit` bytes from MAX_EXAMINED bytes of files.

    A short line takes far more space in a file than in the content.
    """

    def __init__(self, limit: int) -> None:
        self.content = bytearray()
        self.examined = 0
        self._limit = limit

    def read_file(
        self, descriptor: int, position: Cursor, *, is_final: bool, stop: int | None
    ) -> tuple[Cursor, bool]:
        """Add one file's content, as `FileReader.read_file` describes."""
        content = self.content
        offset, line_position = position.offset, position.line_position
        is_complete = False
        while not is_complete and self.examined < MAX_EXAMINED and len(content) < self._limit:
            room = self._limit - len(content)
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
            self.examined += decoded.consumed
        return Cursor(position.segment, offset, line_position), is_complete


def _pread(descriptor: int, size: int, offset: int, stop: int | None) -> bytes:
    if stop is not None:
        size = max(0, min(size, stop - offset))
    return os.pread(descriptor, size, offset)
