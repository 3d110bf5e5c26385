"""Reads logs record by record, and resumes when the connection breaks.

A followed log is read as JSON records: a part of what a container wrote, or a mark. Records have
times, and a new connection continues after the last one. A long line is sent in parts, so memory is
bounded.
"""

import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kakuri._client import API, Params, path_of
from kakuri._exits import CommandError, Unreachable
from kakuri._invocation import Invocation
from kakuri._line_stream import split_lines
from kakuri._outage import OutageTracker
from kakuri._schemas import BAD_RESPONSE, RECORD, read_document

GAP = "kakuri-log-gap"

_UNSAFE = r"[\x7f-\x9f\u2028\u2029]"
"""Characters that the API escapes although JSON allows them: DEL, C1 controls, line separators."""

Record = tuple[str, bytes]
"""The time of a record, and the record as a line of JSON."""


def read_log(invocation: Invocation, api: API, workload_id: str, params: Params) -> Iterator[bytes]:
    """Yield a log as it is now, byte for byte; report if a part was removed."""
    path = path_of(workload_id, "/log")
    with api.stream(path, params, content_type="text/plain") as response:
        yield from response
        if response.trailers and response.trailers.get(GAP):
            report_gap(invocation, workload_id)


def follow_text(
    invocation: Invocation,
    api: API,
    workload_id: str,
    params: Params,
    *,
    has_times: bool = False,
    is_known: bool = False,
) -> Iterator[bytes]:
    """Yield the text of a log, and new text until the workload has ended for good.

    After a break of the connection, it continues as `follow_records` does.

    Args:
        invocation: Reports breaks.
        api: The control plane.
        workload_id: The workload.
        params: The parameters of the query that select records.
        has_times: Whether each line begins with its time, and marks are lines of their own.
        is_known: Whether the workload is known to exist: then an outage at the start is retried.

    Raises:
        CommandError: A request was refused, an outage lasted too long, or the first request of an
            unknown workload got no response.
    """
    text = TimedText().of if has_times else content_of
    for record, _ in _followed(invocation, api, workload_id, params, is_known=is_known):
        if piece := text(record):
            yield piece


def follow_records(
    invocation: Invocation, api: API, workload_id: str, params: Params
) -> Iterator[Record]:
    """Yield the records of a log, and new ones until the workload has ended for good.

    After the connection breaks, the log resumes after the last byte that was read.

    Raises:
        CommandError: The first request is refused, or got no response.
    """
    for record, line in _followed(invocation, api, workload_id, params):
        yield str(record.get("at", "")), line


def _followed(
    invocation: Invocation, api: API, workload_id: str, params: Params, *, is_known: bool = False
) -> Iterator[tuple[dict[str, Any], bytes]]:
    outages = OutageTracker(invocation, api.name)
    position = _Position()
    position.has_begun = is_known
    path = path_of(workload_id, "/log")
    params = query = [*params, ("format", "ndjson")]
    while True:
        try:
            with api.stream(path, query, content_type="application/x-ndjson") as response:
                outages.response_began()
                position.reopened()
                for line in _complete_lines(response):
                    record = record_of(line)
                    at = str(record.get("at", ""))
                    if position.precedes_last(at):
                        continue
                    content = content_of(record)
                    seen = position.advance(at, len(content))
                    if not seen:
                        yield record, line
                    elif seen < len(content):
                        yield _without_beginning(record, content[seen:])
                if response.trailers and response.trailers.get(GAP):
                    report_gap(invocation, workload_id)
                return
        except Unreachable as error:
            if not position.has_begun:
                raise
            outages.attempt_failed(error)
            query = position.resumed(params)
        except CommandError:
            outages.response_completed()
            raise


def _complete_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream; raise Unreachable if it ends within one, cut off by a proxy."""
    for line in split_lines(pieces, "a record of the log"):
        if not line.endswith(b"\n"):
            raise Unreachable("the log ended within a record", code="no_answer")
        yield line


class _Position:
    """How far a log was read: the time of the last record, and how many bytes have that time.

    Bytes are counted, not records, because the agent may cut a long line elsewhere when it is read
    again. A log is resumed from the time of its last record, so if the clock was set back or both
    streams were written at once, the server first sends earlier records with later times again.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self._at = self._latest = ""
        self._size = 0
        self._seen_again = 0
        self._is_before_last = False

    def reopened(self) -> None:
        """Expect the bytes with the last time again, which the server sends first."""
        self._seen_again = self._size
        self._is_before_last = self._at < self._latest
        self.has_begun = True

    def precedes_last(self, at: str) -> bool:
        """Return whether a record with this time comes before the last one that was read."""
        if self._is_before_last:
            # A time later than any so far is new: the last record was removed in the meantime.
            self._is_before_last = at != self._at and at <= self._latest
        return self._is_before_last

    def advance(self, at: str, size: int) -> int:
        """Record the bytes of a record, and return how many of them were read before."""
        if not at:
            return 0  # a mark, which has no time
        if at != self._at:
            self._at, self._size, self._seen_again = at, 0, 0
            self._latest = max(self._latest, at)
        seen = min(self._seen_again, size)
        self._seen_again -= seen
        self._size += size - seen
        return seen

    def resumed(self, query: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the query for what follows the last record."""
        if not self._at:
            return query
        kept = [pair for pair in query if pair[0] not in ("since", "tail")]
        return [*kept, ("since", self._at)]


def _without_beginning(record: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a copy of a record with only the last part of its content, and its line of JSON."""
    from kakuri_json import encode  # noqa: PLC0415 (only after a break in a long line)

    end = content if record.get("partial") else content[:-1]
    shortened = {name: value for name, value in record.items() if name != "base64"}
    shortened["line"] = end.decode(errors="replace")
    if shortened["line"].encode() != end:
        shortened["base64"] = binascii.b2a_base64(end, newline=False).decode()
    line = re.sub(_UNSAFE, lambda found: f"\\u{ord(found[0]):04x}", encode(shortened).decode())
    return shortened, f"{line}\n".encode()


class TimedText:
    """Renders records as the API does with `?timestamps`: a time before lines, marks as lines."""

    def __init__(self) -> None:
        self._open: tuple[object, object] | None = None  # the source of an incomplete line

    def of(self, record: dict[str, Any]) -> bytes:
        """Return the text of a record or a mark."""
        if "line" not in record:
            attempt = f"attempt {record.get('attempt')}"
            mark = {"gap": "gap", "attempt": attempt}.get(record.get("type", ""))
            return self._end_line() + f"--- {mark}\n".encode() if mark else b""
        source = record.get("stream"), record.get("attempt")
        before = b""
        if self._open != source:
            before = self._end_line() + f"{record.get('at', '-')} ".encode()
        self._open = source if record.get("partial") else None
        return before + content_of(record)

    def _end_line(self) -> bytes:
        end = b"" if self._open is None else b"\n"
        self._open = None
        return end


def content_of(record: dict[str, Any]) -> bytes:
    """Return what a container wrote, byte for byte; empty for a mark.

    Raises:
        Unreachable: `base64` is not valid base64.
    """
    if "line" not in record:
        return b""
    end = b"" if record.get("partial") else b"\n"
    if (encoded := record.get("base64")) is None:
        return str(record["line"]).encode() + end
    try:
        return binascii.a2b_base64(encoded) + end
    except ValueError as error:
        message = f"a record of the log: $.base64: expected base64, got {encoded!r:.60}"
        raise Unreachable(message, code=BAD_RESPONSE) from error


def record_of(line: bytes) -> dict[str, Any]:
    """Return a record; Unreachable if it is not what the API describes."""
    return read_document(line, "a record of the log", RECORD)


def report_gap(invocation: Invocation, workload_id: str) -> None:
    """Report on standard error that a part of a log was removed before it was read."""
    invocation.note(
        f"{workload_id}: a part of the log was removed before it could be read", "yellow"
    )
