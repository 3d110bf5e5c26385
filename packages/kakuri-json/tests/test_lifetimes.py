"""Classes that are created at run time are freed after use."""

# ruff: noqa: UP045 - these spellings are what is tested

import enum
import gc
import pickle
import typing
import weakref
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Generic, Literal, NewType, Optional, TypedDict, TypeVar

import annotated_types as at
import kakuri_json
import pytest
from kakuri_json._decode.codec import BY_IDENTITY, codec_of

T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    value: T


@dataclass
class Lasting:
    a: int


def record(number):
    return make_dataclass(f"Made{number}", [("a", int)]), {"a": 1}


def frozen(number):
    return make_dataclass(f"Made{number}", [("a", int)], frozen=True, slots=True), {"a": 1}


def recursive(number):
    cls = make_dataclass(f"Made{number}", [("a", int), ("b", "Made | None", None)])
    cls.__annotations__["b"] = Optional[cls]
    return cls, {"a": 1}


def choice(number):
    return enum.Enum(f"Made{number}", {"A": "a"}), "a"


def flags(number):
    return enum.Flag(f"Made{number}", ["A"]), 1


def typed_dict(number):
    return TypedDict(f"Made{number}", {"a": int}), {"a": 1}


USES = {
    "class": lambda cls, value: (cls, value),
    "list": lambda cls, value: (list[cls], [value]),
    "dict": lambda cls, value: (dict[str, cls], {"k": value}),
    "optional": lambda cls, value: (cls | None, value),
    "old optional": lambda cls, value: (Optional[cls], value),
    "tuple": lambda cls, value: (tuple[int, cls], [1, value]),
    "annotated": lambda cls, value: (Annotated[list[cls], at.MinLen(1)], [value]),
    "generic": lambda cls, value: (Box[cls], {"value": value}),
    "new type": lambda cls, value: (NewType("Made", cls), value),
    "literal": lambda cls, value: (
        (Literal[(*cls,)], value) if issubclass(cls, enum.Enum) else (cls, value)
    ),
    "predicate": lambda cls, value: (Annotated[cls, at.Predicate(lambda _: cls)], value),
    "beside another": lambda cls, value: (tuple[Lasting, cls], [{"a": 1}, value]),
    "nested generic": lambda cls, value: (list[Box[list[cls]]], [{"value": [value]}]),
}


@pytest.fixture(scope="module")
def frozen_heap():
    """Exclude the existing objects from collections, which would take ten times as long with them."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.parametrize("make", [record, frozen, recursive, choice, flags, typed_dict])
@pytest.mark.parametrize("use", list(USES))
def test_class_is_garbage_collected_after_use(make, use):
    def run(number):
        cls, value = make(number)
        kind, document = USES[use](cls, value)
        text = kakuri_json.dumps(document)
        for _ in range(2):
            decoded = kakuri_json.decode(text.encode(), type=kind)
        kakuri_json.decode(f" {text}", type=kind)
        kakuri_json.convert(document, type=kind)
        kakuri_json.schema(kind)
        kakuri_json.encode(decoded)
        return weakref.ref(cls)

    references = [run(number) for number in range(5)]
    for forget in typing._cleanups:  # typing itself caches recent subscriptions
        forget()
    gc.collect()
    alive = sum(reference() is not None for reference in references)
    # The types that a generic class of the program was used with stay, a bounded number of them.
    assert alive == 0 or (use.endswith("generic") and alive <= 5)


def test_codec_is_the_same_for_equal_types():
    for one, other in (
        (list[int], list[int]),
        (Box[int] | None, Optional[Box[int]]),
        (int | str, str | int),
        (Annotated[int, at.Ge(1)], Annotated[int, at.Ge(1)]),
        (dict[str, list[Box[int]]], dict[str, list[Box[int]]]),
    ):
        first = codec_of(one)
        assert codec_of(other) is first
        assert codec_of(one) is first
    for one, other in (
        (Literal[1], Literal[True]),
        (list[Literal[1]], list[Literal[True]]),
        (Annotated[int, at.Ge(1)], Annotated[int, at.Ge(2)]),
        (tuple[int], tuple[int, int]),
        (list[int], set[int]),
    ):
        assert codec_of(one) is not codec_of(other)


def test_identity_of_a_freed_type_is_removed_from_the_cache():
    before = len(BY_IDENTITY)

    def run():
        cls, _ = record(0)
        kakuri_json.decode("[]", type=list[cls])

    for _ in range(20):
        run()
    gc.collect()
    assert len(BY_IDENTITY) <= before + 1


def test_subclass_and_copy_of_a_class_have_their_own_codecs():
    @dataclass
    class Base:
        a: int

    assert kakuri_json.encode(Base(1)) == b'{"a":1}'

    @dataclass
    class Sub(Base):
        b: int = 2

    slotted = dataclass(slots=True)(Base)
    copied = dataclass(type("Copied", (), dict(Base.__dict__)))
    assert kakuri_json.encode(Sub(1)) == b'{"a":1,"b":2}'
    assert kakuri_json.decode(b'{"a":1,"b":3}', type=Sub) == Sub(1, 3)
    for cls in (slotted, copied):
        assert kakuri_json.encode(cls(5)) == b'{"a":5}'
        assert type(kakuri_json.decode(b'{"a":1}', type=cls)) is cls


def test_attributes_of_a_used_class_can_be_pickled():
    # Pickle a class of `__main__` like cloudpickle and dill: by value, with its attributes.
    @dataclass(frozen=True)
    class Point:
        x: Annotated[int, at.Ge(1)]

    assert kakuri_json.decode(kakuri_json.encode(Point(1)), type=Point) == Point(1)
    added = {name: value for name, value in vars(Point).items() if name.startswith("__kakuri")}
    pickled = pickle.dumps(added)
    assert len(pickled) < 200
    other = dataclass(frozen=True)(
        type("Other", (), {"__annotations__": {"x": int}, **pickle.loads(pickled)})
    )
    assert kakuri_json.decode(kakuri_json.encode(other(0)), type=other) == other(0)
