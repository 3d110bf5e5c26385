"""The query parameters of the API; `kakuri_daemon.api.read_query` converts them."""

from dataclasses import dataclass
from typing import Annotated

from kakuri_daemon.api import QueryError
from kakuri_json import Fault
from kakuri_workload import (
    ImageReference,
    LogAttempt,
    LogSelection,
    LogStream,
    LogTime,
    PullPolicy,
    Range,
)

MAX_GRACE = 3600
DEFAULT_GRACE = 10
"""Seconds before a container that is stopped is killed."""

MAX_TAIL = 1_000_000
MAX_LOG_BYTES = 1_048_576
MAX_LOG_WAIT = 30
"""Seconds that a request waits for more of a log: less than the timeout of clients."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Parameters of a list: whether a stream of changes follows."""

    watch: bool = False


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """Parameters of the check of an image: the workload's fields `image` and `pull`."""

    image: ImageReference = ""
    pull: PullPolicy | None = None

    @property
    def reference(self) -> str:
        """The image. Raises QueryError if it was left out."""
        if not self.image:
            raise QueryError([Fault("query.image", "expected an image reference, got nothing")])
        return self.image


@dataclass(frozen=True, slots=True)
class StopQuery:
    """Parameters of a stop."""

    grace_seconds: Annotated[int, Range(ge=0, le=MAX_GRACE)] = DEFAULT_GRACE


@dataclass(frozen=True, slots=True)
class RemoveQuery(StopQuery):
    """Parameters of a removal; with `receipt`, the answer says what was removed."""

    receipt: bool = False


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Parameters of a log: `tail` and `follow` for people, the others for programs.

    With `bounded`, the log ends where it ended at the first read with these cursors. With
    `records`, the answer has records, which the last three parameters select.
    """

    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    follow: bool = False
    after: str | None = None
    limit: Annotated[int, Range(ge=1, le=MAX_LOG_BYTES)] | None = None
    wait: Annotated[int, Range(ge=0, le=MAX_LOG_WAIT)] | None = None
    bounded: bool = False
    records: bool = False
    stream: LogStream | None = None
    since: LogTime | None = None
    attempt: LogAttempt | None = None

    @property
    def is_for_programs(self) -> bool:
        """Whether to answer with one part and the cursor after it, and not with a stream."""
        given = self.after, self.limit, self.wait
        return self.bounded or self.records or given != (None, None, None)

    @property
    def selection(self) -> LogSelection | None:
        """Which records to return; None for the bytes that the container wrote.

        Raises:
            QueryError: Records are selected without `records`.
        """
        selection = LogSelection(self.stream, self.since, self.attempt)
        if self.records:
            return selection
        if selection != LogSelection():
            message = "expected ?records with stream, since or attempt, got them without it"
            raise QueryError([Fault("query.records", message)])
        return None
