"""A part of a zone's log, and the request for one."""

from dataclasses import dataclass

from kakuri_workload._log_records import LogSelection

DEFAULT_LOG_BYTES = 65_536
"""Bytes of a part of a log unless its request has another limit."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """The part of a log to read: the last `tail` lines, or the content after a cursor.

    Attributes:
        tail: Number of lines from the end; the whole log by default. Ignored with `after`.
        after: The cursor at which an earlier part ended.
        limit: Largest size of the part in bytes.
        wait: Seconds to wait for content if there is none. Ignored with `bounded`.
        bounded: Whether the log ends, for this reader, where it ended at its first read. The
            cursors carry that end, so a log that grows as quickly as it is read has one.
        records: Which records to return, as `kakuri_workload.read_records` reads them, instead of
            the bytes that the container wrote. `tail` counts selected lines then.
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
        data: The bytes that the container wrote, of both streams in the order of the log, or the
            selected records.
        next: The cursor after them.
        has_ended: Whether nothing will ever follow.
        has_gap: Whether bytes between the request's cursor and `data` were removed unread. The data
            begins at the oldest byte that still exists. Among records, a line shows the place.
        examined: How many bytes of the log's files were examined for records. If it is not 0 and
            there is no data, continue with the next cursor at once: the selected records may be
            far away, and one read examines a bounded part of the log.
    """

    data: bytes
    next: str
    has_ended: bool
    has_gap: bool = False
    examined: int = 0
