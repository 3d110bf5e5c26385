"""A part of a zone's log, and the request for one."""

from dataclasses import dataclass

from kakuri_workload._log_records import LogSelection

DEFAULT_LOG_BYTES = 65_536
"""Default limit of a part of a log in bytes."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """The part of a log to read: the last `tail` lines, or the content after a cursor.

    Attributes:
        tail: Number of lines from the end; the whole log by default. Ignored with `after`.
        after: The cursor after an earlier part.
        limit: Maximum size of the part in bytes.
        wait: Seconds to wait for content if there is none yet. Ignored with `bounded`.
        bounded: Whether to stop at the end that the log had at this reader's first read. The
            cursors carry that end, so that reading a fast-growing log terminates.
        records: Return the selected records, in the format of `kakuri_workload.read_records`,
            instead of the bytes that the container wrote. `tail` then counts selected lines.
    """

    tail: int | None = None
    after: str | None = None
    limit: int = DEFAULT_LOG_BYTES
    wait: float = 0.0
    bounded: bool = False
    records: LogSelection | None = None


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A part of a zone's log.

    Attributes:
        data: The bytes that the container wrote to both streams, in the order of the log; or the
            selected records.
        next: The cursor after them.
        has_ended: Whether nothing will ever follow.
        has_gap: Whether bytes between the request's cursor and `data` were removed unread. The data
            begins at the oldest byte that still exists. In records, a `gap` line marks the place.
        examined: How many bytes of the log's files were examined. For plain bytes, 0 unless the
            read ended early because of it. If it is not 0 and there is no data, read again from
            the next cursor immediately: one read only examines a bounded part of the log.
    """

    data: bytes
    next: str
    has_ended: bool
    has_gap: bool = False
    examined: int = 0
