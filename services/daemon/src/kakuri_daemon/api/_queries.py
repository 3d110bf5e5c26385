"""Query parameters, converted and validated by the rules of JSON documents.

A query's type is a dataclass. A parameter's text becomes what a document would have in its place:

| annotation | text | value |
| --- | --- | --- |
| bool | empty, `true`, `1`, `false`, `0`, in any case | True, False |
| int | one to 16 digits | the number |
| Enum | one of its values, in any case | the value |
| anything else | any | the text |

Other text is passed on unchanged, so that the error quotes it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from kakuri_http import Request
from kakuri_json import Fault, ValidationError, convert
from kakuri_workload import CopyableError

BOOLEANS = {"": True, "true": True, "1": True, "false": False, "0": False}
"""The texts of a bool, in lower case; a parameter without a value is true."""

OR_NULL = " or null, got "
"""Part of the message for an optional field, which a document can set to null and a query can't."""

Q = TypeVar("Q")


class QueryError(CopyableError):
    """A query has faults.

    Attributes:
        faults: All of them, each with its path, such as `query.state`.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


def read_query(request: Request, query_type: type[Q]) -> Q:
    """Return a request's query as an instance of a dataclass.

    Args:
        request: The request.
        query_type: A frozen dataclass, each of whose fields has a default.

    Raises:
        QueryError: A parameter is unknown, repeated or invalid. All faults are reported at once;
            of a repeated parameter only the repetition, because it is unknown which value is meant.
    """
    readers = _readers(query_type)  # type: ignore[arg-type]  # mypy does not see that it is hashable
    given: dict[str, object] = {}
    repeated: dict[str, Fault] = {}
    for name, text in request.query_pairs:
        if name in given and name in readers:
            repeated[name] = Fault(f"query.{name}", "expected one value, got several")
        given[name] = readers[name](text) if name in readers else text
    faults = list(repeated.values())
    try:
        query = convert(
            {name: value for name, value in given.items() if name not in repeated}, type=query_type
        )
    except ValidationError as error:
        raise QueryError([*faults, *map(_query_fault, error.faults)]) from error
    if faults:
        raise QueryError(faults)
    return query


def refuse_query(request: Request) -> None:
    """Raise QueryError with a fault for each parameter of a request that takes none."""
    if names := dict(request.query_pairs):
        message = "expected no parameters for this path and method"
        raise QueryError(Fault(f"query.{name}", message) for name in names)


@cache
def _readers(query_type: type[Any]) -> dict[str, Callable[[str], object]]:
    annotations = get_type_hints(query_type)
    return {field.name: _reader(annotations[field.name]) for field in fields(query_type)}


def _reader(annotation: Any) -> Callable[[str], object]:
    types = get_args(annotation) or (annotation,)
    if bool in types:
        return lambda text: BOOLEANS.get(text.lower(), text)
    if int in types:
        return lambda text: int(text) if re.fullmatch("[0-9]{1,16}", text) else text
    for each in types:
        if isinstance(each, type) and issubclass(each, Enum):
            values = {member.value for member in each}
            return lambda text: text.lower() if text.lower() in values else text
    return str


def _query_fault(fault: Fault) -> Fault:
    """Return a fault of the converted value as a fault of the query."""
    path = "query" + fault.path.removeprefix("$")
    return Fault(path, fault.message.replace(OR_NULL, ", got "))
