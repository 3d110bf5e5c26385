"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypedDict, assert_type

import kakuri_json
from kakuri_json import (
    Event,
    EventKind,
    Fault,
    IncrementalParser,
    JSONError,
    JSONSyntaxError,
    LimitError,
    Limits,
    Options,
    ValidationError,
    decode,
    decode_lines,
    encode,
)


@dataclass(frozen=True, slots=True)
class Start:
    __json__: ClassVar[Options] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}
    id: str
    memory_mb: int = 512


@dataclass(frozen=True, slots=True)
class Stop:
    __json__: ClassVar[Options] = {"tag": "type", "rename": str.upper}
    id: str


class Table(TypedDict, total=False):
    name: str


def documents_become_values(data: bytes, path: Path) -> None:
    assert_type(kakuri_json.loads(data), Any)
    assert_type(kakuri_json.loads("{}", duplicate_keys="last", limits=Limits(max_depth=9)), Any)
    assert_type(decode(data), Any)
    assert_type(decode(memoryview(data), limits=None), Any)
    with path.open("rb") as file:
        assert_type(kakuri_json.load(file), Any)


def documents_become_instances_of_the_type(data: bytes) -> None:
    assert_type(decode(data, Start), Start)
    assert_type(decode(data, type=Start, limits=Limits()), Start)
    assert_type(decode(data, list[Start]), list[Start])
    assert_type(decode(data, Start | Stop), Start | Stop)
    assert_type(decode(data, int | None), int | None)
    assert_type(decode(data, Table), Table)
    assert_type(kakuri_json.convert({"id": "a"}, Stop), Stop)


def lines_become_instances_of_the_type(data: bytes) -> None:
    assert_type(decode_lines(data), Iterator[Any])
    assert_type(decode_lines([data], Start | Stop), Iterator[Start | Stop])
    assert_type(decode_lines(io.BytesIO(data), type=Stop, max_line=100), Iterator[Stop])


def values_become_documents(value: Start) -> None:
    assert_type(encode(value), bytes)
    assert_type(encode([value], indent=2, sort_keys=True, limits=Limits(max_keys=9)), bytes)
    assert_type(kakuri_json.dumps({"a": value}, indent=None), str)
    assert_type(kakuri_json.canonical(1.5, limits=None), bytes)
    kakuri_json.dump(value, io.BytesIO(), indent=2)


def types_are_described() -> None:
    assert_type(kakuri_json.schema(Start | Stop), dict[str, Any])
    schemas = kakuri_json.Schemas("#/components/schemas/")
    assert_type(schemas.decoded(Start | Stop), dict[str, Any])
    assert_type(schemas.encoded(list[Start]), dict[str, Any])
    assert_type(schemas.definitions, dict[str, dict[str, Any]])


def documents_arrive_in_pieces(chunk: bytes) -> None:
    parser = IncrementalParser(max_string=100)
    parser.receive_data(chunk)
    event = parser.next_event()
    assert_type(event, Event)
    assert_type(event.kind, EventKind)
    assert_type(event.value, Any)
    assert_type(parser.buffered, int)


def errors_say_what_is_wrong(data: bytes) -> None:
    try:
        decode(data, Start)
    except ValidationError as error:
        assert_type(error.faults, tuple[Fault, ...])
        assert_type(error.faults[0].line, int | None)
    except JSONSyntaxError as error:
        assert_type(error.position, int | None)
        assert_type(error.expected, str)
    except LimitError as error:
        assert_type(error.maximum, int)
    except JSONError:
        raise


def misspelled_names_are_reported() -> None:
    print(kakuri_json.no_such_name)  # type: ignore[attr-defined]
