"""Constraints in Annotated are applied, or the type is unsupported; none is ignored."""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import annotated_types as at
import kakuri_json
import msgspec
import pytest
from kakuri_json import UnsupportedTypeError, ValidationError


@dataclass(frozen=True)
class Mark:
    """Any object with attributes of these names is a constraint."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: Any = None
    max_length: Any = None
    pattern: Any = None
    description: Any = None


class OwnPredicate(at.Predicate):
    pass


class OnClass:
    pattern = "a+"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Annotated[str, re.compile("a+")], '"aa"', '"ab"'),
        (Annotated[str, re.compile("A+", re.IGNORECASE)], '"aA"', '"ab"'),
        (Annotated[str, re.compile("a+"), at.MinLen(2)], '"aa"', '"a"'),
        (Annotated[str, Mark(pattern="a+")], '"aa"', '"aab"'),
        (Annotated[str, Mark(pattern="a|b")], '"b"', '"bb"'),
        (
            Annotated[str, Mark(pattern=re.compile("A+", re.IGNORECASE), min_length=2)],
            '"aa"',
            '"bb"',
        ),
        (
            Annotated[str, Mark(pattern=re.compile("A+", re.IGNORECASE), min_length=2)],
            '"aa"',
            '"a"',
        ),
        (Annotated[str, OnClass], '"aa"', '"ab"'),
        (Annotated[str, msgspec.Meta(pattern="^a", min_length=1)], '"a"', '""'),
        (Annotated[int, msgspec.Meta(ge=1, le=3)], "3", "4"),
        (Annotated[dt.datetime, msgspec.Meta(tz=True)], '"2026-01-01T00:00:00Z"', "1"),
        (Annotated[dt.datetime, msgspec.Meta(tz=False)], None, '"2026-01-01T00:00:00Z"'),
        (Annotated[int, OwnPredicate(lambda value: value != 3)], "2", "3"),
        (Annotated[Any, at.Predicate(bool)], "1", "0"),
        (Annotated[int, at.Gt(1), at.Lt(3)], "2", "3"),
        (Annotated[int, Mark(gt=1.5)], "2", "1"),
        (Annotated[float, Mark(multiple_of=0.5)], "1.5", "1.2"),
        (Annotated[Decimal, Mark(multiple_of=Decimal("0.1"), lt=1)], '"0.3"', '"0.25"'),
        (Annotated[float, Mark(multiple_of=0.1)], "0.3", "0.25"),
        (Annotated[float, Mark(multiple_of=0.01)], "1e300", "1e-300"),
        (Annotated[float, Mark(multiple_of=-2.5)], "-7.5", "7"),
        (Annotated[float, Mark(multiple_of=30)], "0", "3"),
        (Annotated[int, Mark(multiple_of=2.5)], str(10**400), "3"),
        (Annotated[Decimal, Mark(multiple_of=Decimal("0.01"))], '"1e30"', '"1e-999999"'),
        (Annotated[Decimal, Mark(multiple_of=Decimal("7e2"))], '"1.4e3"', '"1e999999"'),
        (Annotated[Decimal, Mark(ge=0)], '"0"', '"-1"'),
        (Annotated[str, Mark(gt="a")], '"b"', '"a"'),
        (Annotated[bytes, Mark(max_length=1)], '"YQ=="', '"YWE="'),
        (Annotated[dt.date, Mark(ge=dt.date(2026, 1, 1))], '"2026-01-01"', '"2025-12-31"'),
        (Annotated[UUID, Mark(gt=UUID(int=1))], f'"{UUID(int=2)}"', f'"{UUID(int=1)}"'),
        (Annotated[list[int], at.Len(1, 2)], "[1,2]", "[1,2,3]"),
        (Annotated[list[int], at.Len(1, 2)], "[1]", "[]"),
        (Annotated[tuple[int, ...], Mark(max_length=0)], "[]", "[1]"),
        (Annotated[set[int], Mark(max_length=1)], "[1]", "[1,2]"),
        (Annotated[dict[str, int], Mark(max_length=1)], '{"a":1}', '{"a":1,"b":2}'),
        (Annotated[dict[str, int], Mark(min_length=1)], '{"a":1}', "{}"),
        (dict[Annotated[str, Mark(pattern="a+")], int], '{"a":1}', '{"b":1}'),
        (list[Annotated[str, Mark(pattern="a+")]], '["a"]', '["b"]'),
        (Annotated[int | None, Mark(ge=1)], "null", "0"),
        (Annotated[list[int] | None, Mark(max_length=1)], "[1]", "[1,2]"),
        (Annotated[Annotated[int, Mark(ge=2)] | None, Mark(le=3)], "2", "1"),
        (Annotated[Annotated[int, Mark(ge=2)] | None, Mark(le=3)], "3", "4"),
    ],
    ids=str,
)
def test_constraint_in_annotated_is_applied(kind, good, bad):
    @dataclass
    class Holder:
        field: kind
        other: int = 0

    for _ in range(2):
        if good is not None:
            kakuri_json.decode(good, type=kind)
            kakuri_json.decode(f'{{"field":{good}}}', type=Holder)
            # After a fault elsewhere, the document is read again value by value.
            with pytest.raises(ValidationError) as caught:
                kakuri_json.decode(f'{{"field":{good},"other":"x"}}', type=Holder)
            assert [fault.path for fault in caught.value.faults] == ["$.other"]
        for text, wrong in ((bad, kind), (f'{{"field":{bad}}}', Holder)):
            with pytest.raises(ValidationError):
                kakuri_json.decode(text, type=wrong)
    kakuri_json.schema(kind)


class Color(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "kind",
    [
        Annotated[int, Mark(ge="a")],
        Annotated[int, Mark(ge=float("nan"))],
        Annotated[str, Mark(ge=1)],
        Annotated[int | str, Mark(ge=1)],
        Annotated[bool, Mark(ge=1)],
        Annotated[None, Mark(ge=1)],
        Annotated[Color, Mark(max_length=3)],
        Annotated[Color, Mark(pattern="r.*")],
        Annotated[Literal["a"], Mark(max_length=3)],
        Annotated[Any, Mark(max_length=3)],
        Annotated[Any, Mark(ge=3)],
        Annotated[list[int], Mark(pattern="a")],
        Annotated[list[int], Mark(ge=1)],
        Annotated[dict[str, int], Mark(multiple_of=1)],
        Annotated[int, Mark(max_length=1)],
        Annotated[int, Mark(pattern="1+")],
        Annotated[int, Mark(multiple_of=0)],
        Annotated[float, Mark(multiple_of=float("nan"))],
        Annotated[int, Mark(multiple_of="a")],
        Annotated[str, Mark(max_length=-1)],
        Annotated[str, Mark(max_length=1.5)],
        Annotated[str, Mark(max_length=True)],
        Annotated[str, Mark(min_length="1")],
        Annotated[str, Mark(pattern="(")],
        Annotated[str, Mark(pattern=1)],
        Annotated[str, Mark(pattern=b"a")],
        Annotated[str, re.compile(b"a")],
        Annotated[bytes, re.compile(b"a")],
        Annotated[dt.date, Mark(ge=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))],
        Annotated[dt.datetime, Mark(ge=dt.datetime(2026, 1, 1))],  # noqa: DTZ001
        Annotated[dt.date, at.Timezone(None)],
        Annotated[int, at.Timezone(...)],
        Annotated[dt.datetime, at.Timezone("Not/AZone")],
        Annotated[int, at.Ge],
        Annotated[str, at.MinLen],
        Annotated[str, Mark(min_length=property(len))],
    ],
    ids=str,
)
def test_constraint_that_does_not_fit_raises_when_type_is_first_used(kind):
    for use in (kind, list[kind]):
        with pytest.raises(UnsupportedTypeError):
            kakuri_json.decode("1", type=use)


def test_array_longer_than_max_length_is_rejected_before_conversion():
    converted = []
    item = Annotated[int, at.Predicate(lambda value: converted.append(value) is None)]
    kind = Annotated[list[item], at.MaxLen(3)]
    for text in ("[1,2,3,4,5,6]", "[ 1,2,3,4,5,6]"):
        with pytest.raises(ValidationError) as caught:
            kakuri_json.decode(text, type=kind)
        assert caught.value.faults == (
            ("$", "expected an array of length 3 or less, got an array", 1, 1),
        )
        assert max(converted, default=0) <= 3
    converted.clear()
    with pytest.raises(ValidationError):
        kakuri_json.convert([1, 2, 3, 4], type=kind)
    assert converted == []


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"ge": 1, "le": 5}, "an integer from 1 to 5"),
        ({"ge": 1, "lt": 5}, "an integer of at least 1 and below 5"),
        ({"gt": 0, "le": 5}, "an integer above 0 and of at most 5"),
        ({"ge": 1, "le": 5, "lt": 4}, "an integer of at least 1 and of at most 5 and below 4"),
        ({"ge": 0, "gt": 0, "le": 5}, "an integer of at least 0 and above 0 and of at most 5"),
        ({"ge": 2, "multiple_of": 2}, "an integer of at least 2 that is a multiple of 2"),
    ],
)
def test_fault_names_all_bounds_of_a_constraint(bounds, expected):
    with pytest.raises(ValidationError) as caught:
        kakuri_json.decode("-1", type=Annotated[int, Mark(**bounds)])
    assert caught.value.faults[0].message == f"expected {expected}, got -1"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(float, "2", 2.0), (float, "2.5", 2.5), (int, "2", 2), (float, "1e1", 10.0)],
)
@pytest.mark.parametrize("constraint", [Mark(), Mark(ge=1), Mark(gt=0), Mark(le=100)])
def test_number_with_a_constraint_has_its_type(kind, constraint, text, value):
    @dataclass
    class Holder:
        value: Annotated[kind, constraint]

    for _ in range(3):
        found = kakuri_json.decode(f'{{"value":{text}}}', type=Holder).value
        assert (type(found), found) == (kind, value)
