"""The documents of the API as this command reads them: their fields, and the type of each.

Fields that are not named here are accepted as they are, because a later server may send more. A
field that is missing is an error where it is used.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from kakuri_json import JSONError, loads

from kakuri._exits import Unreachable
from kakuri._text import printable

BAD_RESPONSE = "bad_answer"
"""Code of the error that a response is not what the API describes."""

_MAX_NUMBER = 2**63 - 1
_MAX_EXIT_CODE = 2**31 - 1
_YEARS = range(1970, 9999)
"""Years in which every time can be converted to local time."""


class Leaf(NamedTuple):
    """A value that is checked as a whole: what is expected, and the check."""

    expected: str
    is_valid: Callable[[Any], bool]


Schema = Leaf | dict[str, Any] | list[Any]
"""A leaf, an object as a dict of schemas, or an array as a list with its items' schema."""


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return moment.tzinfo is not None and moment.year in _YEARS


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) <= _MAX_NUMBER


def _are_texts(values: Any) -> bool:
    return all(isinstance(each, str) for each in values)


NAME = Leaf("text without control characters", _is_name)
TEXT = Leaf("text", lambda value: isinstance(value, str))
FLAG = Leaf("true or false", lambda value: isinstance(value, bool))
NUMBER = Leaf("a whole number below 2^63", _is_number)
EXIT_CODE = Leaf("an exit code", lambda value: type(value) is int and abs(value) <= _MAX_EXIT_CODE)
TIME = Leaf("a time like 2026-01-31T12:00:00Z", _is_time)
TEXTS = Leaf("an array of text", lambda value: isinstance(value, list) and _are_texts(value))
MAP = Leaf(
    "an object of text", lambda value: isinstance(value, dict) and _are_texts(value.values())
)

NAMES = Leaf(
    "an object of text without control characters",
    lambda value: isinstance(value, dict) and all(map(_is_name, (*value, *value.values()))),
)

REMOVAL = {"zone": NAME, "container": NAME, "log_bytes": NUMBER, "verified_by": NAME}
SPEC = {
    "id": NAME, "image": TEXT, "runtime_class": NAME, "memory_mb": NUMBER,
    "cpu_millicores": NUMBER, "command": TEXTS, "args": TEXTS, "env": MAP, "working_dir": TEXT,
    "user": NAME, "labels": MAP, "restart_policy": NAME, "max_restarts": NUMBER, "pull": NAME,
}  # fmt: skip
STATUS = SPEC | {
    "state": NAME, "reason": TEXT, "message": TEXT, "exit_code": EXIT_CODE,
    "address": NAME, "started_at": TIME, "ended_at": TIME, "restarts": NUMBER,
    "image_digest": NAME, "desired": NAME, "restart_at": TIME, "existing": FLAG,
    "version": NUMBER, "created_at": TIME, "changed_at": TIME, "spec": SPEC, "removed_at": TIME,
    "removal": REMOVAL, "removed": REMOVAL, "isolation": NAMES, "pulled_bytes": NUMBER,
}  # fmt: skip
WORKLOADS = {"workloads": [STATUS], "next": NAME}
DRY_RUN = {
    "dry_run": FLAG, "change": NAME, "workload": SPEC, "image": {"state": NAME, "digest": NAME},
}  # fmt: skip
HISTORY = {
    "id": NAME,
    "transitions": [{
        "at": TIME, "state": NAME, "reason": TEXT, "message": TEXT, "exit_code": EXIT_CODE,
        "restarts": NUMBER, "count": NUMBER,
    }],
}  # fmt: skip
NODE = {
    "name": NAME, "state": NAME, "version": NAME, "runtime": NAME, "simulated": FLAG,
    "runtime_available": FLAG, "workloads": NUMBER, "message": TEXT, "handlers": NAMES,
    "memory_mb": NUMBER, "memory_mb_used": NUMBER, "cpu_millicores": NUMBER,
    "cpu_millicores_used": NUMBER, "store": NAME, "started_at": TIME, "event_index": NUMBER,
    "last_heard": TIME, "reason": TEXT,
}  # fmt: skip
NODES = {"nodes": [NODE]}
INDEX = {"name": NAME, "version": NAME}
EVENT = {
    "index": NUMBER, "at": TIME, "type": NAME, "id": NAME, "state": NAME, "reason": TEXT,
    "message": TEXT, "exit_code": EXIT_CODE, "attempt": NUMBER, "desired": NAME, "removal": REMOVAL,
    "available": FLAG, "version": NAME, "trace": NAME, "oldest": NUMBER,
    "store_id": NAME,
}  # fmt: skip
RECORD = {
    "at": NAME, "type": NAME, "stream": NAME, "attempt": NUMBER, "line": TEXT,
    "partial": FLAG, "base64": TEXT,
}  # fmt: skip
PROBLEM = {
    "detail": TEXT,
    "code": TEXT,
    "trace": TEXT,
    "oldest": NUMBER,
    "newest": NUMBER,
    "store_id": NAME,
}


class Document(dict[str, Any]):
    """A JSON object of the API; a lookup of a missing field raises Unreachable."""

    def __init__(self, fields: Mapping[str, Any], what: str, place: str) -> None:
        super().__init__(fields)
        self._what, self._place = what, place

    def __missing__(self, name: str) -> NoReturn:
        where = f"{self._what}: {self._place}" if self._place != "$" else self._what
        raise Unreachable(f"{where} has no field {name!r}", code=BAD_RESPONSE)


def read_document(text: bytes, what: str, schema: dict[str, Any]) -> Document:
    """Return a JSON object of the API.

    Args:
        text: The object.
        what: What it is, for errors.
        schema: Its fields.

    Raises:
        Unreachable: It is not a JSON object, or one of its fields has another type.
    """
    try:
        document = loads(text)
    except JSONError as error:
        reason = str(error).partition("\n")[0]  # without the excerpt of the text
        message = f"{what} is not valid JSON: {printable(reason)}"
        raise Unreachable(message, code=BAD_RESPONSE) from error
    if not isinstance(document, dict):
        raise Unreachable(f"{what} is not a JSON object", code=BAD_RESPONSE)
    return _object(document, schema, what, "$")


def schema_of(method: str, path: str, params: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the schema of the document with which the API responds to a request."""
    if path == "/workloads":
        if method == "GET":
            return WORKLOADS
        return DRY_RUN if ("dry_run", "true") in params else STATUS
    if path.startswith("/workloads/"):
        return HISTORY if path.count("/") == 3 and path.endswith("/history") else STATUS
    if path == "/nodes":
        return NODES
    return NODE if path.startswith("/nodes/") else INDEX


def _object(value: dict[str, Any], schema: dict[str, Any], what: str, place: str) -> Document:
    document = Document(value, what, place)
    for name in value.keys() & schema.keys():
        kind, each = schema[name], value[name]
        if not isinstance(kind, Leaf):
            document[name] = _read(each, kind, what, f"{place}.{name}")
        elif not kind.is_valid(each):
            raise _unexpected(kind.expected, each, what, f"{place}.{name}")
    return document


def _read(value: Any, schema: dict[str, Any] | list[Any], what: str, place: str) -> Any:
    """Return an object, or an array of objects, whose fields were checked."""
    if isinstance(schema, list):
        if not isinstance(value, list):
            raise _unexpected("an array", value, what, place)
        return [_read(each, schema[0], what, f"{place}[{number}]")
                for number, each in enumerate(value)]  # fmt: skip
    if not isinstance(value, dict):
        raise _unexpected("an object", value, what, place)
    return _object(value, schema, what, place)


def _unexpected(expected: str, value: Any, what: str, place: str) -> Unreachable:
    kinds = {type(None): "null", bool: "a boolean", list: "an array", dict: "an object"}
    got = kinds.get(type(value)) or _shortened(repr(value))
    return Unreachable(f"{what}: {place}: expected {expected}, got {got}", code=BAD_RESPONSE)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
