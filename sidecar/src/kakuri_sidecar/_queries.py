"""What requests may ask for behind their `?`, read by the rules of a document."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from kakuri_http import Request
from kakuri_json import Fault, StructureError, convert
from kakuri_registry import Range

MAX_GRACE = 3600
DEFAULT_GRACE = 10
"""Seconds that a container may take to end by itself."""

MAX_TAIL = 1_000_000
MAX_LOG_BYTES = 1_048_576
MAX_LOG_WAIT = 30
"""Seconds that a request for more of a log is held: less than clients wait for an answer."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NoQuery:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Of a list: whether to go on with what changes."""

    watch: bool = False


@dataclass(frozen=True, slots=True)
class EndQuery:
    """Of a request to stop or to remove."""

    grace_seconds: Annotated[int, Range(ge=0, le=MAX_GRACE)] = DEFAULT_GRACE


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Of a log: for people `tail` and `follow`, for programs the rest.

    bounded: read to the end that the log has at the first of such reads, and no further.
    """

    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    follow: bool = False
    after: str | None = None
    limit: Annotated[int, Range(ge=1, le=MAX_LOG_BYTES)] | None = None
    wait: Annotated[int, Range(ge=0, le=MAX_LOG_WAIT)] | None = None
    bounded: bool = False

    @property
    def is_for_programs(self) -> bool:
        """Whether one piece is asked for, and where the next one begins."""
        return self.bounded or (self.after, self.limit, self.wait) != (None, None, None)


def _number(text: str) -> object:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else text


def _flag(text: str) -> object:
    """Read a flag, which may stand alone."""
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
    """Read a request's query. Raises kakuri_json.StructureError with every fault."""
    given: dict[str, Any] = {}
    for name, text in request.query_pairs:
        if name in given:
            raise StructureError((Fault(f"$.{name}", "expected it once, got it again"),))
        given[name] = _READERS.get(name, str)(text)
    return convert(given, type=kind)
