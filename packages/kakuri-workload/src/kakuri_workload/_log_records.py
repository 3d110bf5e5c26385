"""Log records: the lines of a log, with their time, stream and attempt.

Records travel from the log's file to the HTTP API as bytes, one line each, so that every process in
between can split and forward them without decoding:

    TIME SP STREAM SP TAG SP ATTEMPT SP CONTENT LF      a record
    gap LF                                              records are missing here

TIME is in UTC with nine fractional digits, so times compare as text. STREAM is `stdout` or
`stderr`. TAG is `F` if the container wrote a line feed after the content, and `P` if it did not, so
that the next record of the stream continues the line. CONTENT is any bytes except a line feed. TIME
and STREAM are `-` if the container runtime did not write the line.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, NamedTuple

from kakuri_workload._grammar import Range, Text

MAX_RECORD_HEADER = 64
"""Maximum size in bytes of a record without its content; the longest has 52."""

LOG_GAP = b"gap\n"
"""The line of a gap."""

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z"
_RECORD = re.compile(
    rf"(?:({_TIME}) (stdout|stderr)|- -) ([FP]) (0|[1-9][0-9]{{0,9}}) ([^\n]*)\n|gap\n".encode()
)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

LogTime = Annotated[
    str,
    Text(pattern=_TIME, max_length=30, description="a time in UTC with nine fractional digits"),
]
"""The time of a record as text, such as 2026-11-26T14:07:25.000000001Z."""


LogAttempt = Annotated[int, Range(ge=0, le=999_999_999)]
"""The attempt of a record."""


class LogStream(Enum):
    """A standard stream of a container."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class LogSelection:
    """Which records of a log to read; by default, all of them.

    Attributes:
        stream: Only records of this stream.
        since: Skip records up to the first that is not older than this time. All later records are
            read, regardless of their times, because the clock may be set back. So are all records
            that are written after the reader has reached the end of the log.
        attempt: Only records of this attempt.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    stream: LogStream | None = None
    since: LogTime | None = None
    attempt: LogAttempt | None = None


# A tuple, because a log has many records, and a tuple is created in a fifth of the time.
class LogRecord(NamedTuple):
    """A line of a log, or a part of one.

    Attributes:
        at: When the runtime read the line; None if the runtime did not write it.
        stream: "stdout" or "stderr"; None if the runtime did not write the line.
        is_partial: Whether the next record of the stream continues the line.
        attempt: The attempt that wrote it.
        content: The bytes of the line, without the line feed.
    """

    at: str | None
    stream: str | None
    is_partial: bool
    attempt: int
    content: bytes

    @property
    def text(self) -> bytes:
        """The content as the container wrote it, with the line feed unless it is partial."""
        return self.content if self.is_partial else self.content + b"\n"


def read_records(data: bytes) -> Iterator[LogRecord | None]:
    """Parse the records of a piece of a log; yield None where records are missing.

    Raises:
        ValueError: The data is not a sequence of records.
    """
    end = 0
    while end < len(data):
        found = _RECORD.match(data, end)
        if found is None:
            raise ValueError(f"expected a log record, got {data[end : end + 60]!r}")
        end = found.end()
        at, stream, tag, attempt, content = found.groups()
        if tag is None:
            yield None
            continue
        is_partial = tag == b"P"
        if at is None:
            yield LogRecord(None, None, is_partial, int(attempt), content)
        else:
            yield LogRecord(at.decode(), stream.decode(), is_partial, int(attempt), content)


def write_record(record: LogRecord) -> bytes:
    """Encode a record so that `read_records` can read it."""
    at, stream = (record.at or "-").encode(), (record.stream or "-").encode()
    tag = b"P" if record.is_partial else b"F"
    return b"%b %b %b %d %b\n" % (at, stream, tag, record.attempt, record.content)


def select_records(
    records: Iterable[LogRecord | None], selection: LogSelection
) -> Iterator[LogRecord | None]:
    """Yield the selected records, and None where records are missing."""
    stream = None if selection.stream is None else selection.stream.value
    since = selection.since
    for record in records:
        if record is not None:
            if stream is not None and record.stream != stream:
                continue
            if selection.attempt not in {None, record.attempt}:
                continue
            if since is not None and (record.at is None or record.at < since):
                continue
            since = None
        yield record


def log_time(text: str) -> str:
    """Convert an RFC 3339 time to the form in records: UTC, with nine fractional digits.

    Args:
        text: A time with any offset and up to nine fractional digits.

    Raises:
        ValueError: The text is not such a time.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a time such as 2026-11-26T14:07:25Z, got {text[:100]!r}")
    date, time, fraction, offset = found.groups()
    offset = "+00:00" if offset in "Zz" else offset
    try:
        local = dt.datetime.fromisoformat(f"{date}T{time}{offset}")
        moment = local.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected a valid date and time, got {text!r}") from error
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}.{fraction or '':0<9}Z"
