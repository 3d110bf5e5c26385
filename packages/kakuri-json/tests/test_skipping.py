"""Values that are skipped are checked like all others, in documents of any length."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from kakuri_json import JSONError, JSONSyntaxError, Limits, decode, loads


@dataclass(frozen=True)
class Bounds:
    max_length: int


@dataclass
class Strict:
    id: str


@dataclass
class Ignoring:
    __json__ = {"unknown": "ignore"}  # noqa: RUF012 a dict is what readers of the README write
    id: str


@dataclass
class Cat:
    __json__ = {"tag": "kind", "tag_value": "cat"}  # noqa: RUF012
    name: str


@dataclass
class Dog:
    __json__ = {"tag": "kind", "tag_value": "dog"}  # noqa: RUF012
    name: str


PLACES: dict[str, tuple[Any, str]] = {
    "unknown field": (Strict, '{"id":"a","other":VALUE}'),
    "ignored field": (Ignoring, '{"id":"a","other":VALUE}'),
    "ignored field before": (Ignoring, '{"other":VALUE,"id":"a"}'),
    "value of another type": (Strict, '{"id":VALUE}'),
    "item of another type": (list[str], "[VALUE]"),
    "key of a mapping": (dict[str, int], '{"a":VALUE}'),
    "item too many": (Annotated[list[Any], Bounds(1)], "[1,VALUE]"),
    "item after a tuple's last": (tuple[int, int], "[1,2,VALUE]"),
    "member too many": (Annotated[dict[str, Any], Bounds(1)], '{"a":1,"b":VALUE}'),
    "field before the tag": (Cat | Dog, '{"name":VALUE,"kind":"cow"}'),
    "field after an unknown tag": (Cat | Dog, '{"kind":"cow","name":VALUE}'),
    "tag": (Cat | Dog, '{"kind":VALUE}'),
}
FAULTS = [
    '{"a":1,"a":2}',
    '[{"a":{"b":1,"b":1}}]',
    r'{"a":1,"\u0061":1}',
    '[{"a":1},{"a":1,"b":2,"a":3}]',
    "[[1e999]]",
    r'["\ud800"]',
    f"[{'1' * 301}]",
    "[[[[[[[[1]]]]]]]]",
    '[{"a":1,"b":2,"c":3,"d":4}]',
    "[1,]",
]
LIMITS = Limits(max_digits=300, max_depth=8, max_keys=3)


@pytest.mark.parametrize("length", [0, 3000, 30_000])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", PLACES)
def test_fault_inside_a_skipped_value_is_the_one_that_loads_reports(place, fault, length):
    kind, around = PLACES[place]
    text = around.replace("VALUE", fault) + " " * length
    with pytest.raises(JSONError) as expected:
        loads(text, limits=LIMITS)
    with pytest.raises(type(expected.value)) as raised:
        decode(text, kind, limits=LIMITS)
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize("length", [0, 3000])
def test_key_that_is_twice_in_an_ignored_value_is_rejected_under_the_default_limits(length):
    text = f'{{"id":"a","other":[{{"a":1,"a":2}}],"more":"{"x" * length}"}}'
    with pytest.raises(JSONSyntaxError, match="every key of an object once"):
        decode(text.encode(), Ignoring)
