"""The query parameters of the API, validated as JSON documents are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from kakuri_http import Request
from kakuri_json import Fault, ValidationError, convert
from kakuri_registry import Range

MAX_GRACE = 3600
DEFAULT_GRACE = 10
"""Seconds before a container that is stopped is killed."""

MAX_TAIL = 1_000_000
MAX_LOG_BYTES = 1_048_576
MAX_LOG_WAIT = 30
"""Seconds that a request waits for more of a log: less than the timeout of clients."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NoQuery:
    """No parameters."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Parameters of a list: whether a stream of changes follows."""

    watch: bool = False


@dataclass(frozen=True, slots=True)
class EndQuery:
    """Parameters of a stop or a removal."""

    grace_seconds: Annotated[int, Range(ge=0, le=MAX_GRACE)] = DEFAULT_GRACE


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Parameters of a log: `tail` and `follow` for people, the others for programs.

    With `bounded`, the log ends where it ended at the first read with these cursors.
    """

    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    follow: bool = False
    after: str | None = None
    limit: Annotated[int, Range(ge=1, le=MAX_LOG_BYTES)] | None = None
    wait: Annotated[int, Range(ge=0, le=MAX_LOG_WAIT)] | None = None
    bounded: bool = False

    @property
    def is_for_programs(self) -> bool:
        """Whether to answer with one part and the cursor after it, and not with a stream."""
        return self.bounded or (self.after, self.limit, self.wait) != (None, None, None)


def _number(text: str) -> object:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else text


def _flag(text: str) -> object:
    """Return the value of a flag; `?watch` is the same as `?watch=true`."""
    return {"": True, "true": True, "false": False}.get(text, text)


_READERS: dict[str, Callable[[str], object]] = {
    "watch": _flag,
    "follow": _flag,
    "bounded": _flag,
    "grace_seconds": _number,
    "tail": _number,
    "limit": _number,
    "wait": _number,
}


def read_query(request: Request, kind: type[T]) -> T:
    """Return a request's query parameters. Raises kakuri_json.ValidationError with every fault."""
    given: dict[str, Any] = {}
    for name, text in request.query_pairs:
        if name in given:
            raise ValidationError((Fault(f"$.{name}", "expected it once, got it again"),))
        given[name] = _READERS.get(name, str)(text)
    return convert(given, type=kind)
