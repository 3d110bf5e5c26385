"""The query parameters of each request, decoded like a document."""

import copyreg
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar

from kakuri_http import Request
from kakuri_json import Fault, ValidationError, convert
from kakuri_registry import Range, WorkloadState
from kakuri_rpc import MAX_PAGE, MAX_TAIL, LabelSelector

STATES = frozenset(state.value for state in WorkloadState)
NUMBERS = frozenset({"limit", "tail"})
SWITCHES = {"": True, "true": True, "1": True, "false": False, "0": False}
"""The values of `follow`, in any case; to name it is enough."""

OR_NULL = " or null, got "
"""What a message says of a field that a document may set to null, as a query can't."""


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


@dataclass(frozen=True, slots=True)
class NoQuery:
    """What a request may ask for that takes no parameters."""


class QueryError(Exception):
    """A query has faults.

    Attributes:
        faults: all that is wrong, each with its path, like `query.state`.

    """

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


Q = TypeVar("Q", PageQuery, LogQuery, NoQuery)


def read_query(request: Request, query_type: type[Q]) -> Q:
    """Return a request's query, read by the rules of a document.

    Raises:
        QueryError: a parameter is unknown, repeated, or not what it has to be.

    """
    if not request.query_string:
        return query_type()
    known = {field.name for field in fields(query_type)}
    given: dict[str, object] = {}
    repeated: dict[str, Fault] = {}
    for name, text in request.query_pairs:
        if name in given and name in known:
            repeated[name] = Fault(f"query.{name}", "expected it once, got it again")
        given[name] = _value(name, text)
    if query_type is NoQuery and given:
        message = "expected no parameters for this path and method"
        raise QueryError(Fault(f"query.{name}", message) for name in given)
    # Which value of a repeated parameter was meant is not known, so none of them is a fault.
    once = {name: value for name, value in given.items() if name not in repeated}
    faults = list(repeated.values())
    try:
        query = convert(once, type=query_type)
    except ValidationError as error:
        faults.extend(map(_of_query, error.faults))
        raise QueryError(faults) from error
    if repeated:
        raise QueryError(faults)
    return query


def _value(name: str, text: str) -> object:
    if name in NUMBERS and re.fullmatch("[0-9]{1,9}", text):
        return int(text)
    if name == "follow":
        return SWITCHES.get(text.lower(), text)
    if name == "state" and text.lower() in STATES:
        return text.lower()  # the agent's protocol writes `Running`
    return text


def _of_query(fault: Fault) -> Fault:
    """Return a fault of a converted query as one of the query itself."""
    path = "query" + fault.path.removeprefix("$")
    return Fault(path, fault.message.replace(OR_NULL, ", got "))
