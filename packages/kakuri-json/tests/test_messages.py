"""Messages of the agent protocol: tagged unions, omitted defaults, constraints, positions of faults."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, ClassVar, Literal

import kakuri_json
import pytest
from kakuri_json import Fault, ValidationError


@dataclass(frozen=True, slots=True)
class Text:
    pattern: str
    max_length: int
    description: str


@dataclass(frozen=True, slots=True)
class Range:
    ge: int
    le: int


Id = Annotated[str, Text("[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", 63, "a label of a-z, 0-9 and '-'")]
Quantity = Annotated[int, Range(1, 2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Workload:
    id: Id
    image: str
    runtime_class: str
    memory_mb: Quantity
    cpu_millicores: Quantity


class State(Enum):
    PENDING = "Pending"
    RUNNING = "Running"


class Message:
    __slots__ = ()
    __json__: ClassVar = {"tag": "type", "omit_defaults": True}


@dataclass(frozen=True, slots=True)
class StartWorkload(Message):
    workload: Workload


@dataclass(frozen=True, slots=True)
class GetStatus(Message):
    id: Id


@dataclass(frozen=True, slots=True)
class Status(Message):
    __json__: ClassVar = {"unknown": "ignore"}
    id: Id
    state: State
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None


AnyMessage = StartWorkload | GetStatus | Status

WORKLOAD = Workload("wl-123", "nginx:latest", "edera-zone", 512, 500)
START = (
    b'{"type":"StartWorkload","workload":{"id":"wl-123","image":"nginx:latest",'
    b'"runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":500}}'
)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (StartWorkload(WORKLOAD), START),
        (GetStatus("wl-1"), b'{"type":"GetStatus","id":"wl-1"}'),
        (Status("wl-123", State.PENDING), b'{"type":"Status","id":"wl-123","state":"Pending"}'),
        (
            Status("a", State.RUNNING, reason="x", exit_code=0),
            b'{"type":"Status","id":"a","state":"Running","reason":"x","exit_code":0}',
        ),
    ],
)
def test_message_is_encoded_and_decoded(message, line):
    assert kakuri_json.encode(message) == line
    assert kakuri_json.decode(line, type=AnyMessage) == message
    assert kakuri_json.decode(line.decode(), type=type(message)) == message


def test_every_fault_has_its_path_and_position():
    text = """{"type": "StartWorkload",
 "workload": {"id": "A", "image": 1, "memory_mb": "512",
   "cpu_millicores": true, "extra": {}}}"""
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(text, type=AnyMessage)
    integer = "an integer from 1 to 2147483647"
    assert caught.value.faults == (
        Fault("$.workload.id", "expected a label of a-z, 0-9 and '-', got 'A'", 2, 21),
        Fault("$.workload.image", "expected a string, got 1", 2, 35),
        Fault("$.workload.memory_mb", f"expected {integer}, got '512'", 2, 51),
        Fault("$.workload.cpu_millicores", f"expected {integer}, got true", 3, 22),
        Fault(
            "$.workload.extra",
            "expected one of 'id', 'image', 'runtime_class', 'memory_mb', 'cpu_millicores', "
            "got 'extra'",
            3,
            37,
        ),
        Fault("$.workload.runtime_class", "expected a string, got nothing", 2, 14),
    )


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("imgae", "; did you mean 'image'?"),
        ("Image", "; did you mean 'image'?"),
        ("memoryMb", "; did you mean 'memory_mb'?"),
        ("memory-mb", "; did you mean 'memory_mb'?"),
        ("runtime", "; did you mean 'runtime_class'?"),
        ("volumes", ""),
        ("", ""),
        ("image" * 1000, ""),
    ],
)
def test_fault_of_unknown_field_suggests_a_similar_known_field(key, suggestion):
    document = {"type": "StartWorkload", "workload": {key: 1}}
    with pytest.raises(ValidationError) as from_value:
        kakuri_json.convert(document, type=AnyMessage)
    with pytest.raises(ValidationError) as from_text:
        kakuri_json.decode(kakuri_json.dumps(document), type=AnyMessage)
    for caught in (from_value, from_text):
        message = caught.value.faults[0].message
        assert message.startswith("expected one of 'id', 'image', ")
        assert message.partition(", got ")[2].endswith(suggestion or ("'", "…"))
        assert ("did you mean" in message) == bool(suggestion)


def test_only_the_first_faults_have_a_suggestion():
    keys = {f"{'x' * number}image": 1 for number in range(30)} | {"imgae": 1}
    with pytest.raises(ValidationError) as caught:
        kakuri_json.convert(
            {"type": "StartWorkload", "workload": {"imgae": 1, **keys}}, type=AnyMessage
        )
    suggested = ["did you mean" in fault.message for fault in caught.value.faults]
    assert suggested[0]
    assert not any(suggested[10:])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id":"a"}', "expected one of 'StartWorkload', 'GetStatus', 'Status', got nothing"),
        ('{"type":1}', "expected one of 'StartWorkload', 'GetStatus', 'Status', got 1"),
        ("42", "expected an object, got 42"),
    ],
)
def test_document_without_known_tag_is_a_fault(line, message):
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode(line, type=AnyMessage)
    assert [fault.message for fault in caught.value.faults] == [message]


def test_class_with_unknown_ignore_skips_unknown_fields():
    line = '{"type":"Status","new":[1],"id":"a","state":"Running"}'
    assert kakuri_json.decode(line, type=Status) == Status("a", State.RUNNING)


def test_field_of_one_literal_is_a_tag():
    @dataclass
    class Cat:
        lives: int
        kind: Literal["cat"] = "cat"

    @dataclass
    class Dog:
        name: str
        kind: Literal["dog"] = "dog"

    assert kakuri_json.decode('{"kind":"dog","name":"x"}', type=Cat | Dog) == Dog("x")
    assert kakuri_json.convert({"kind": "cat", "lives": 9}, type=Cat | Dog) == Cat(9)
    assert kakuri_json.encode(Cat(9)) == b'{"lives":9,"kind":"cat"}'


@dataclass
class Unset:
    kind: Literal[None] = None  # noqa: PYI061 - only a literal is a tag


@dataclass
class Half:
    kind: Literal[0.5] = 0.5


def test_tag_may_be_any_literal():
    for message in (Unset(), Half()):
        data = kakuri_json.encode(message)
        assert kakuri_json.decode(data, type=Unset | Half) == message
        assert kakuri_json.convert(kakuri_json.loads(data), type=Unset | Half) == message
