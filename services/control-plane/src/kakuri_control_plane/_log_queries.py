"""The query parameters of logs: which lines, in which form."""

import datetime as dt
import re
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from kakuri_daemon.api import QueryError
from kakuri_json import Fault
from kakuri_rpc import MAX_TAIL
from kakuri_workload import LogAttempt, LogSelection, LogStream, Range, log_time

_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_UNITS = 86_400, 3600, 60, 1


@dataclass(frozen=True, slots=True)
class _SinceText:
    """The form of `since`, for `Annotated`; `since_time` also checks leap years."""

    pattern: str = (
        r"(?!0000)[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
        r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
        r"(?:[Zz]|[-+ ](?:[01][0-9]|2[0-3]):[0-5][0-9])"
        r"|(?=[0-9])(?:[0-9]{1,6}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m)?(?:[0-9]{1,9}s)?"
    )
    description: str = (
        "a time such as 2026-11-26T14:07:25Z or a duration such as 90s, 10m, 1h30m or 2d"
    )


class LogFormat(Enum):
    """The form of a log in a response."""

    TEXT = "text"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Parameters of a log.

    With `tail` and `follow` alone, the response has the bytes that the container wrote.

    Attributes:
        tail: Number of last lines; with a selection, of the selected lines.
        follow: Whether to wait for more.
        timestamps: Whether each line begins with its time.
        stream: Only lines of this stream.
        since: Only what was written since this time (RFC 3339), or within this duration, such as
            90s, 10m, 1h30m or 2d.
        attempt: Only lines of this attempt.
        format: The form of the response.
        removed: Whether to read the log of the workload that was removed last.
    """

    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    follow: bool = False
    timestamps: bool = False
    stream: LogStream | None = None
    since: Annotated[str, _SinceText()] | None = None
    attempt: LogAttempt | None = None
    format: LogFormat = LogFormat.TEXT
    removed: bool = False

    def records(self, now: float) -> LogSelection | None:
        """Return which records are needed for the answer; None if it has the plain bytes.

        Args:
            now: Seconds since the epoch, from which a duration is counted back.

        Raises:
            QueryError: `since` is neither a time nor a duration.
        """
        since = None if self.since is None else since_time(self.since, now)
        selection = LogSelection(self.stream, since, self.attempt)
        is_plain = self.format is LogFormat.TEXT and not self.timestamps
        return None if is_plain and selection == LogSelection() else selection


def since_time(text: str, now: float) -> str:
    """Return a time, or a duration before now, as the time of a record.

    A `+` that was not escaped in the query arrives as a space.

    Args:
        text: An RFC 3339 time, or a duration such as 90s, 10m, 1h30m or 2d.
        now: Seconds since the epoch.

    Raises:
        QueryError: The text is neither.
    """
    found = _DURATION.fullmatch(text)
    if text and found is not None:
        counts = [int(count or 0) for count in found.groups()]
        seconds = sum(count * unit for count, unit in zip(counts, _UNITS, strict=True))
        earliest = dt.datetime.fromtimestamp(max(now - seconds, 0), dt.UTC)
        return log_time(earliest.isoformat())
    try:
        return log_time(text.replace(" ", "+"))
    except ValueError:
        message = f"expected {_SinceText().description}, got {text[:100]!r}"
        raise QueryError([Fault("query.since", message)]) from None
