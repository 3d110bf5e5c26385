"""Logs as they are read: line by line, and over breaks of the connection."""

from collections.abc import Callable, Iterator
from typing import Any

from kakuri._client import API, Params
from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._outage import Outage
from kakuri._schemas import RECORD, read_document
from kakuri._watch import path_of

GAP = "kakuri-log-gap"

Line = tuple[str, bytes]
"""The time at which a line was written, and its bytes with the line feed, if it has one."""


def read_log(invocation: Invocation, api: API, workload_id: str, params: Params) -> Iterator[bytes]:
    """Yield a log as it is now, byte for byte; report if a part was removed."""
    with api.stream(path_of(workload_id, "/log"), params) as response:
        yield from response
        if response.trailers and response.trailers.get(GAP):
            report_gap(invocation, workload_id)


def follow_lines(
    invocation: Invocation, api: API, workload_id: str, params: Params
) -> Iterator[Line]:
    """Yield the lines of a log, and new ones until the workload has ended for good.

    After a break of the connection, the log goes on at the next line: none is lost or repeated.

    Raises:
        CommandError: The first request is refused, or got no response.
    """
    query = [*params, ("timestamps", "true")]
    yield from _resumed(invocation, api, workload_id, query, _split_time)


def follow_records(
    invocation: Invocation, api: API, workload_id: str, params: Params
) -> Iterator[Line]:
    """Yield the log's records, each a JSON document on a line; as `follow_lines`."""
    query = [*params, ("format", "ndjson")]
    yield from _resumed(invocation, api, workload_id, query, _record_time)


def _resumed(
    invocation: Invocation,
    api: API,
    workload_id: str,
    params: Params,
    split: Callable[[bytes], Line],
) -> Iterator[Line]:
    outage = Outage(invocation, api.name)
    position = _Position()
    query = list(params)
    while True:
        try:
            with api.stream(path_of(workload_id, "/log"), query) as response:
                outage.ended()
                position.reopened()
                for at, line in map(split, _lines(response)):
                    if position.is_new(at):
                        yield at, line
                if response.trailers and response.trailers.get(GAP):
                    report_gap(invocation, workload_id)
                return
        except Unreachable as error:
            if not position.has_begun:
                raise
            outage.failed(error)
            query = position.resumed(list(params))


class _Position:
    """How far a log was read: the time of the last line, and how many lines have that time."""

    def __init__(self) -> None:
        self.has_begun = False
        self._at = ""
        self._count = 0
        self._seen_again = 0

    def reopened(self) -> None:
        """Begin to count the lines that come again."""
        self._seen_again = self._count if self._at else 0
        self.has_begun = True

    def is_new(self, at: str) -> bool:
        """Record a line, and return whether it comes for the first time."""
        if not at:
            return True  # a mark, which has no time
        if at == self._at and self._seen_again:
            self._seen_again -= 1
            return False
        self._seen_again = 0
        self._count = self._count + 1 if at == self._at else 1
        self._at = at
        return True

    def resumed(self, query: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the query for what follows the last line."""
        if not self._at:
            return query
        kept = [pair for pair in query if pair[0] not in ("since", "tail")]
        return [*kept, ("since", self._at)]


def _lines(pieces: Any) -> Iterator[bytes]:
    """Yield the lines of a stream; the last one may have no line feed."""
    buffer = b""
    for piece in pieces:
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if buffer:
        yield buffer


def _split_time(line: bytes) -> Line:
    at, _, text = line.partition(b" ")
    return at.decode(errors="replace"), text


def _record_time(line: bytes) -> Line:
    return str(record_of(line).get("at", "")), line


def record_of(line: bytes) -> dict[str, Any]:
    """Return a record; Unreachable if it is not what the API describes."""
    return read_document(line, "a record of the log", RECORD)


def report_gap(invocation: Invocation, workload_id: str) -> None:
    """Report on standard error that a part of a log was removed before it was read."""
    invocation.note(
        f"{workload_id}: a part of the log was removed before it could be read", "yellow"
    )
