"""What the query of a request may ask for, read by the rules of a document."""

import re
from dataclasses import dataclass
from typing import Annotated, TypeVar

from kakuri_http import Request
from kakuri_json import Fault, StructureError, convert
from kakuri_registry import Range, WorkloadState
from kakuri_rpc import MAX_PAGE, MAX_TAIL, LabelSelector

NUMBERS = frozenset({"limit", "tail"})
SWITCHES = {"": True, "true": True, "false": False}
"""What may be said of `follow`; to name it is enough."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a request for a page may ask for."""

    limit: Annotated[int, Range(ge=1, le=MAX_PAGE)] = MAX_PAGE
    after: str = ""
    state: WorkloadState | None = None
    label: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a request for a log may ask for: its last lines, and what is yet to come."""

    tail: Annotated[int, Range(ge=0, le=MAX_TAIL)] | None = None
    follow: bool = False


Q = TypeVar("Q", PageQuery, LogQuery)


def read_query(request: Request, query_type: type[Q]) -> Q:
    """Read the query so that its faults read like a document's. Raises JSONError."""
    given: dict[str, object] = {}
    for name, text in request.query_pairs:
        if name in given:
            raise StructureError((Fault(f"$.{name}", "expected it once, got it again"),))
        if name in NUMBERS and re.fullmatch("[0-9]{1,9}", text):
            given[name] = int(text)
        elif name == "follow":
            given[name] = SWITCHES.get(text, text)
        else:
            given[name] = text
    return convert(given, type=query_type)
