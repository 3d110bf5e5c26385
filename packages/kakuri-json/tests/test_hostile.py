"""Hostile documents, concurrent threads, and types that affect each other."""

import decimal
import sys
import threading
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Annotated, ClassVar, Generic, Literal, TypedDict, TypeVar
from uuid import UUID

import annotated_types as at
import kakuri_json
import pytest
from kakuri_json import (
    EventKind,
    IncrementalParser,
    JSONSyntaxError,
    Limits,
    Options,
    UnsupportedTypeError,
    ValidationError,
)
from kakuri_json._decode.codec import Codec
from kakuri_json._decode.layouts import USUAL
from kakuri_json._types.annotations import shape_of

T = TypeVar("T")


class Month(IntEnum):
    JANUARY = 1
    FEBRUARY = 2
    DECEMBER = 12


@pytest.mark.parametrize("kind", [list[Literal[1, 12, 2]], list[Month]])
def test_choice_that_begins_like_another_choice_is_decoded(kind):
    assert kakuri_json.decode(b"[12,1,2]", type=kind) == [12, 1, 2]


def test_choice_in_object_that_begins_like_another_choice_is_decoded():
    assert kakuri_json.decode(b'{"a":12}', type=dict[str, Month]) == {"a": Month.DECEMBER}


@pytest.mark.parametrize(
    ("text", "printed"), [(b"-0", "0.0"), (b" -0 ", "0.0"), (b"-0.0", "-0.0"), (b"-0e0", "-0.0")]
)
def test_negative_zero_keeps_its_sign_only_as_a_float(text, printed):
    assert repr(kakuri_json.decode(text, type=float)) == printed


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Annotated[decimal.Decimal, at.Predicate(lambda value: value % 7 == 0)], '"7e30"'),
        (at.IsFinite[int], "9" * 400),
        (Annotated[datetime, at.Timezone(zoneinfo.ZoneInfo("UTC"))], '"0001-01-01T00:00:00+09:00"'),
    ],
)
def test_constraint_that_cannot_be_computed_is_a_fault(kind, text):
    with pytest.raises(ValidationError):
        kakuri_json.decode(text, type=kind)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31t10:00:00.123456789z", datetime(2026, 1, 31, 10, 0, 0, 123456, UTC)),
        ("2026-01-31T10:00:00.5+00:00", datetime(2026, 1, 31, 10, 0, 0, 500000, UTC)),
        ("2026-01-31T10:00:00+05:60", None),
        ("2026-01-31T10:00:00+24:00", None),
        ("2026-01-31T24:00:00Z", None),
        ("2026-01-31T23:59:60Z", None),
        ("2026-01-31T10:00:00.Z", None),
        ("2026-01-31T10:00:00", None),
    ],
)
def test_datetime_is_decoded_as_in_rfc_3339(text, value):
    if value is None:
        with pytest.raises(ValidationError, match="expected a date and time with offset"):
            kakuri_json.decode(f'"{text}"', type=datetime)
    else:
        assert kakuri_json.decode(f'"{text}"', type=datetime) == value


@pytest.mark.parametrize(
    ("zone", "holds"),
    [(UTC, False), ("Asia/Tokyo", True), ("Europe/Berlin", False), (None, False), (..., True)],
)
def test_timezone_constraint_compares_the_offset(zone, holds):
    kind = Annotated[datetime, at.Timezone(zone)]
    text = b'"2026-01-31T10:00:00+09:00"'
    if holds:
        assert kakuri_json.decode(text, type=kind) == datetime(2026, 1, 31, 1, tzinfo=UTC)
    else:
        with pytest.raises(ValidationError, match="offset"):
            kakuri_json.decode(text, type=kind)


class Small(at.GroupedMetadata):
    def __iter__(self) -> Iterator[object]:
        return iter([at.Ge(0), at.Lt(8)])


def test_grouped_metadata_applies_each_constraint():
    assert kakuri_json.decode("7", type=Annotated[int, Small()]) == 7
    with pytest.raises(ValidationError, match="expected an integer below 8, got 8"):
        kakuri_json.decode("8", type=Annotated[int, Small()])


@pytest.mark.parametrize("space", ["", " "])
def test_set_of_numbers_with_equal_hashes_is_rejected(space):
    modulus = 2**61 - 1
    text = f"[{','.join(str(modulus * number) for number in range(1, 202))}{space}]"
    assert len(kakuri_json.decode(text, type=list[int])) == 201
    with pytest.raises(ValidationError, match="expected at most 100 repeated hashes"):
        kakuri_json.decode(text, type=frozenset[int])


@pytest.mark.parametrize("count", [110, 300])
@pytest.mark.parametrize("kind", [UUID, decimal.Decimal])
def test_object_with_keys_of_equal_hashes_is_rejected(kind, count):
    numbers = [(2**61 - 1) * number for number in range(1, count)]
    keys = [UUID(int=number) if kind is UUID else number for number in numbers]
    text = "{" + ",".join(f'"{key}":0' for key in keys) + "}"
    with pytest.raises(ValidationError, match="expected at most 100 repeated hashes"):
        kakuri_json.decode(text, type=dict[kind, int])


@pytest.mark.parametrize("text", ["[[1]]", " [ [1] ] "])
def test_set_of_arrays_is_a_fault(text):
    with pytest.raises(ValidationError, match="expected items that can be in a set"):
        kakuri_json.decode(text, type=set[list[int]])


def test_type_whose_classes_occur_in_many_places_is_compiled_in_bounded_time():
    cls = make_dataclass("Level", [("x", int, 0)])
    for _ in range(40):  # 2**40 places
        cls = make_dataclass("Level", [("a", cls | None, None), ("b", cls | None, None)])
    assert kakuri_json.decode("{}", type=cls) == cls()
    assert kakuri_json.decode("{}", type=cls, limits=Limits(max_depth=99)) == cls()
    assert kakuri_json.encode(cls()) == b'{"a":null,"b":null}'


@pytest.mark.parametrize("levels", [20, 200])
def test_encode_of_nested_classes_does_not_need_the_stack(levels):
    value, cls = 1, int
    for _ in range(levels):
        cls = make_dataclass("Level", [("a", cls)])
        value = cls(value)
    kakuri_json.decode(kakuri_json.dumps(value, indent=0), type=cls)  # its type has been read

    def at(frames):
        return kakuri_json.encode(value) if frames == 0 else at(frames - 1)

    expected = b'{"a":' * levels + b"1" + b"}" * levels
    assert at(0) == at(sys.getrecursionlimit() - 120) == expected


@dataclass
class Point:
    x: int


def test_values_after_the_last_reported_fault_are_not_converted():
    @dataclass
    class Listening:
        name: Annotated[int, at.Predicate(lambda value: seen.append(value) is not None)]

    seen: list[int] = []
    with pytest.raises(ValidationError) as caught:
        kakuri_json.convert([{"name": number} for number in range(1000)], type=list[Listening])
    assert len(caught.value.faults) == 100
    assert seen == list(range(100))
    with pytest.raises(ValidationError) as caught:
        kakuri_json.convert([["x"] * 1000, None], type=list[list[int] | None])
    assert len(caught.value.faults) == 100


@dataclass
class Box(Generic[T]):
    value: T
    box: "Box[T] | None" = None


def test_generic_class_that_contains_itself_is_decoded_without_arguments():
    assert kakuri_json.decode('{"value":"a","box":{"value":1}}', type=Box) == Box("a", Box(1))


class Pair(TypedDict):
    one: int
    two: int


@pytest.mark.parametrize("text", ['{"two":2,"one":1}', '{"two":2, "one":1 }', '{"one":1,"two":2}'])
def test_typed_dict_has_its_keys_in_declared_order(text):
    for _ in range(2):  # the slow path, then what it learned
        assert list(kakuri_json.decode(text, type=Pair)) == ["one", "two"]


@pytest.mark.parametrize(
    ("one", "other", "text", "value"),
    [
        (int | float, float | int, "1", 1),
        (str | date, date | str, '"2026-01-31"', date(2026, 1, 31)),
        (str | UUID, UUID | str, f'"{UUID(int=1)}"', UUID(int=1)),
        (bytes | decimal.Decimal, decimal.Decimal | bytes, '"1234"', decimal.Decimal(1234)),
    ],
)
def test_union_in_any_order_decodes_to_the_same_member(one, other, text, value):
    # They are equal, so a codec made for one serves the other.
    for kind in (one, other, list[one]):
        read = kakuri_json.decode(f"[{text}]" if kind == list[one] else text, type=kind)
        read = read[0] if kind == list[one] else read
        assert (type(read), read) == (type(value), value)


@dataclass
class Holder:
    inside: "Inside"
    other: complex


@dataclass
class Inside:
    holder: Holder | None = None


def test_class_that_refers_to_unsupported_class_stays_unsupported():
    for kind in (Holder, Inside, Holder):
        with pytest.raises(UnsupportedTypeError, match="got <class 'complex'>"):
            kakuri_json.decode("{}", type=kind)


def test_class_first_used_by_two_threads_is_decoded_by_both():
    results = []
    other = threading.Thread(
        target=lambda: results.append(kakuri_json.decode('{"x":1}', type=Renaming))
    )

    def rename(name):
        # The class is being read: the other thread has to wait, so this one cannot wait for it.
        if not results and not other.is_alive():
            other.start()
            other.join(0.1)
        return name

    @dataclass
    class Renaming:
        __json__: ClassVar[Options] = {"rename": rename}
        x: int

    results.append(kakuri_json.decode('{"x":1}', type=Renaming))
    other.join()
    assert results == [Renaming(1), Renaming(1)]


@pytest.mark.parametrize("pieces", [[b"null"], [b"n", b"u", b"l", b"l"]])
def test_incremental_parser_accepts_literal_longer_than_max_digits(pieces):
    parser = IncrementalParser(limits=Limits(max_digits=3))
    for piece in pieces:
        assert parser.next_event().kind is EventKind.NEED_DATA
        parser.receive_data(piece)
    parser.receive_data(b"")
    assert parser.next_event() == (EventKind.VALUE, None)


def test_incremental_parser_rejects_long_word_before_its_end():
    parser = IncrementalParser()
    parser.receive_data(b"x" * 21)
    with pytest.raises(JSONSyntaxError, match=f"expected a value, got '{'x' * 20}'"):
        parser.next_event()


def test_incremental_parser_quotes_word_that_arrived_in_pieces():
    parser = IncrementalParser()
    for piece in (b"N", b"a", b"N"):
        parser.receive_data(piece)
        assert parser.next_event().kind is EventKind.NEED_DATA
    parser.receive_data(b"")
    with pytest.raises(JSONSyntaxError, match="expected a finite number, got 'NaN'"):
        parser.next_event()


def test_codec_learns_equal_layouts_once():
    codec = Codec(shape_of(Point), Point)
    codec.read("{}")
    codec.learn('{"x": 1}')
    codec.learn('{"x": 2}')
    assert len(codec._known) == len(codec._readers) == 2
    assert USUAL in codec._known
