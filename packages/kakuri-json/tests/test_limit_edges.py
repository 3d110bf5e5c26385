"""Each limit applies to every function: the maximum is accepted, one more is not."""

import tracemalloc
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import kakuri_json
import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MultipleOf
from kakuri_json import LimitError, Limits

LIMITS = Limits(max_depth=4, max_digits=6, max_length=80, max_keys=3)


@dataclass
class Ignoring:
    __json__: ClassVar = {"unknown": "ignore"}
    known: int = 0


@dataclass
class Tree:
    children: "list[Tree]"


def as_type(kind):
    return lambda text, limits: kakuri_json.decode(text, type=kind, limits=limits)


WAYS = {
    "loads": lambda text, limits: kakuri_json.loads(text, limits=limits),
    "any": as_type(Any),
    "dict": as_type(dict[str, Any]),
    "dict of integers": as_type(dict[str, int]),
    "unknown": as_type(Ignoring),
}


@pytest.mark.parametrize("way", WAYS)
def test_object_with_more_than_max_keys_is_rejected(way):
    for number in (3, 4):
        text = "{" + ",".join(f'"k{key}":{key}' for key in range(number)) + "}"
        if number == 3:
            assert WAYS[way](text, LIMITS)
            assert WAYS[way](" " + text.replace(",", " , "), LIMITS)
            continue
        for spelled in (text, text.replace(",", " , ")):
            with pytest.raises(LimitError) as caught:
                WAYS[way](spelled, LIMITS)
            assert (caught.value.limit, caught.value.maximum) == ("max_keys", 3)
    assert WAYS[way]('{"a":1,"b":2,"c":3}', LIMITS)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "dict of integers"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"x":', "}")])
def test_document_deeper_than_max_depth_is_rejected(way, opening, closing):
    for levels in (3, 4):
        inner = opening * levels + "1" + closing * levels
        text = f'{{"x":{inner}}}'
        if levels == 3:
            WAYS[way](text, LIMITS)
            WAYS[way](f'{{"x":[],"y":[[]],"z":{inner}}}', LIMITS)
            continue
        with pytest.raises(LimitError) as caught:
            WAYS[way](text, LIMITS)
        assert (caught.value.limit, caught.value.maximum) == ("max_depth", 4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", ["123456", "-12345"])
def test_number_longer_than_max_digits_is_rejected(way, number):
    WAYS[way](f'{{"x":{number},"y":{number}}}', LIMITS)
    with pytest.raises(LimitError) as caught:
        WAYS[way](f'{{"x":{number},"y":{number}0}}', LIMITS)
    assert (caught.value.limit, caught.value.maximum) == ("max_digits", 6)


class Fraction(float):
    pass


@pytest.mark.parametrize("encode", [kakuri_json.dumps, kakuri_json.encode, kakuri_json.canonical])
@pytest.mark.parametrize(
    ("number", "longer"),
    [
        (123456, 1234567),
        (-12345, -123456),
        (12.345, 12.3456),
        (-0.125, -0.1255),
        (Fraction(12.345), Fraction(12.3456)),
    ],
)
def test_number_longer_than_max_digits_is_not_encoded(encode, number, longer):
    assert kakuri_json.loads(encode([number], limits=LIMITS), limits=LIMITS) == [number]
    with pytest.raises(LimitError) as caught:
        encode([longer], limits=LIMITS)
    assert (caught.value.limit, caught.value.maximum) == ("max_digits", 6)


@pytest.mark.parametrize("way", WAYS)
def test_document_longer_than_max_length_is_rejected(way):
    WAYS[way]('{"x":1' + " " * 73 + "}", LIMITS)
    with pytest.raises(LimitError) as caught:
        WAYS[way]('{"x":1' + " " * 74 + "}", LIMITS)
    assert (caught.value.limit, caught.value.maximum) == ("max_length", 80)


def nested(levels):
    value = {"children": []}
    for _ in range(levels // 2 - 1):
        value = {"children": [value]}
    return value


def test_convert_of_value_deeper_than_max_depth_is_rejected():
    assert kakuri_json.convert(nested(4), type=Tree, limits=LIMITS)
    siblings = {"children": [nested(2)] * 20}
    assert kakuri_json.convert(siblings, type=Tree, limits=LIMITS)
    # Values that have ended do not allow others to be deeper.
    for value in (nested(6), {"children": [*[nested(2)] * 5, nested(4)]}):
        with pytest.raises(LimitError) as caught:
            kakuri_json.convert(value, type=Tree, limits=LIMITS)
        assert (caught.value.limit, caught.value.maximum) == ("max_depth", 4)
    for way in ("any", "dict", "unknown"):
        with pytest.raises(LimitError):
            WAYS[way]('{"a":[[1],[2],[3],[[[4]]]]}', LIMITS)


def spelled(value):
    return kakuri_json.dumps(value).replace(",", " , ")


def test_decode_of_text_deeper_than_max_depth_is_rejected():
    limits = LIMITS._replace(max_length=10_000)
    for value in (nested(4), {"children": [nested(2)] * 20}, {"children": [{"children": []}] * 9}):
        assert kakuri_json.decode(spelled(value), type=Tree, limits=limits)
    for value in (nested(6), {"children": [*[nested(2)] * 5, nested(4)]}):
        with pytest.raises(LimitError, match="at most 4 levels"):
            kakuri_json.decode(spelled(value), type=Tree, limits=limits)


@dataclass
class Pair:
    children: "Annotated[list[Pair], MaxLen(2)]"


def test_container_with_too_many_items_does_not_change_the_depth():
    limits, empty = Limits(max_depth=6), {"children": []}
    too_many, fitting = {"children": [empty] * 3}, {"children": [empty]}
    assert kakuri_json.decode(spelled({"children": [fitting] * 2}), type=Pair, limits=limits)
    with pytest.raises(kakuri_json.ValidationError, match="length 2 or less"):
        kakuri_json.decode(spelled({"children": [too_many, fitting]}), type=Pair, limits=limits)
    too_deep = {"children": [{"children": [{}]}]}
    for first in (fitting, too_many):
        with pytest.raises(LimitError, match="at most 6 levels"):
            kakuri_json.decode(spelled({"children": [first, too_deep]}), type=Pair, limits=limits)


def test_default_limits_match_the_documentation():
    assert Limits() == (512, 4300, 67_108_864, 100_000)


def test_large_value_of_the_wrong_kind_is_skipped_in_little_memory():
    text = '{"known":[' + ",".join(["[1,2]"] * 50_000) + "]}"
    with pytest.raises(kakuri_json.ValidationError):  # fills the caches
        kakuri_json.decode('{"known":[' + "1," * 2_000 + "1]}", type=Ignoring)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(kakuri_json.ValidationError, match="expected an integer, got an array"):
            kakuri_json.decode(text, type=Ignoring)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # 50,000 pairs as lists would take 4 MB


@pytest.mark.parametrize(
    ("constraints", "good", "bad", "message"),
    [
        ((Ge(2),), (2, 3), (1,), "an integer of at least 2"),
        ((Gt(2),), (3,), (2,), "an integer above 2"),
        ((Le(2),), (2, 1), (3,), "an integer of at most 2"),
        ((Lt(2),), (1,), (2,), "an integer below 2"),
        ((MultipleOf(3),), (0, 3, -3), (1, 2), "an integer that is a multiple of 3"),
    ],
)
def test_bound_is_applied_and_the_fault_names_it(constraints, good, bad, message):
    kind = Annotated[(int, *constraints)]
    for value in good:
        assert kakuri_json.decode(str(value), type=kind) == value
        assert kakuri_json.convert(value, type=kind) == value
    for value in bad:
        with pytest.raises(kakuri_json.ValidationError) as from_text:
            kakuri_json.decode(str(value), type=kind)
        with pytest.raises(kakuri_json.ValidationError) as from_value:
            kakuri_json.convert(value, type=kind)
        for caught in (from_text, from_value):
            assert caught.value.faults[0].message == f"expected {message}, got {value}"


@dataclass
class First:
    __json__: ClassVar = {"tag": "type", "unknown": "ignore"}
    value: Any = None


@dataclass
class Second:
    __json__: ClassVar = {"tag": "type"}
    inner: "First | Second | None" = None


def message(place, fields, tag):
    return f'{{"type":"{tag}",{fields}}}' if place == "first" else f'{{{fields},"type":"{tag}"}}'


@pytest.mark.parametrize("place", ["first", "last"])
def test_tag_at_any_position_is_found_and_adds_no_depth(place):
    limits, kind = LIMITS._replace(max_length=1000), First | Second
    fitting = message(place, '"value":[[[]]],"other":[[{}],{"x":1}]', "First")
    assert kakuri_json.decode(fitting, type=kind, limits=limits) == First([[[]]])
    both = kakuri_json.decode(f"[{fitting},{fitting}]", type=list[kind])
    assert both == [First([[[]]]), First([[[]]])]
    for field in ("value", "other"):
        deep = message(place, f'"{field}":[[[[]]]]', "First")
        with pytest.raises(LimitError, match="at most 4 levels"):
            kakuri_json.decode(deep, type=kind, limits=limits)
    text = '{"type":"Second"}'
    for levels in range(2, 6):
        text = message(place, f'"inner":{text}', "Second")
        if levels <= 4:
            assert kakuri_json.decode(text, type=kind, limits=limits)
    with pytest.raises(LimitError, match="at most 4 levels"):
        kakuri_json.decode(text, type=kind, limits=limits)


@pytest.mark.parametrize("place", ["first", "last"])
def test_tag_that_is_unknown_or_missing_is_a_fault(place):
    with pytest.raises(kakuri_json.ValidationError, match="expected one of 'First', 'Second'"):
        kakuri_json.decode(message(place, '"value":[[1]]', "Third"), type=First | Second)
    with pytest.raises(kakuri_json.ValidationError, match="got nothing"):
        kakuri_json.decode('{"value":[[1]],"other":{"type":1}}', type=First | Second)


@dataclass
class Numbered:
    __json__: ClassVar = {"tag": "type"}
    number: int


@dataclass
class Defaulted:
    __json__: ClassVar = {"tag": "type"}
    number: int = 1


@pytest.mark.parametrize("kind", [First, Numbered, Defaulted])
@pytest.mark.parametrize("place", ["first", "last"])
def test_class_with_a_tag_is_rejected_without_it(kind, place):
    name = "value" if kind is First else "number"
    for _ in range(2):  # the layout that was learned is tried first
        known = message(place, f'"{name}":1', kind.__name__)
        assert kakuri_json.decode(known, type=kind) == kind(1)
        for text in (f'{{"{name}":1}}', f'{{"Type":"{kind.__name__}","{name}":1}}'):
            with pytest.raises(kakuri_json.ValidationError) as caught:
                kakuri_json.decode(text, type=kind)
            assert f"$.type: expected '{kind.__name__}', got nothing" in str(caught.value)


def test_fault_does_not_change_the_depth():
    text = '[{},{"x":[[1]]},{"type":"Third","x":[1]},{"x":1},{},{},{},{}]'
    with pytest.raises(kakuri_json.ValidationError) as caught:
        kakuri_json.decode(text, type=list[First | Second], limits=LIMITS)
    assert len(caught.value.faults) == 8
