"""What is printed, what is rejected, and that the parser accepts everything printed."""

import datetime as dt
import enum
import json
import sys
from collections import OrderedDict, UserDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import kakuri_json
import pytest
from kakuri_json import EncodeError, JSONError, LimitError, Limits


class Letter(str):
    __slots__ = ()


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    A = "a"


class Odd(enum.Enum):
    NONE = None
    TRUE = True
    HALF = 0.5


@dataclass
class Node:
    value: Any
    next: "Node | None" = None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (-5, "-5"),
        (1e16, "1e+16"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
        ('a"\\\n\x00\x1f\x7fé\u2028', '"a\\"\\\\\\n\\u0000\\u001f\x7fé\u2028"'),
        (["a", (1, [])], '["a",[1,[]]]'),
        ({"b": {}, "a": {"c": 1}}, '{"b":{},"a":{"c":1}}'),
        (OrderedDict(a=1), '{"a":1}'),
        (UserDict(a=1), '{"a":1}'),
        ({"b", "a"}, '["a","b"]'),
        (frozenset([(1, 2)]), "[[1,2]]"),
        (Letter("x"), '"x"'),
        ([Level.LOW, Name.A, *Odd], '[1,"a",null,true,0.5]'),
        ({Name.A: Level.LOW}, '{"a":1}'),
        (Decimal("1.50"), '"1.50"'),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 60, dt.UTC), '"2026-01-02T03:04:05.000060Z"'),
        (
            dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
            '"2026-01-02T00:00:00-03:00"',
        ),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
        (b"\xff\x00", '"/wA="'),
        (UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        (
            Node(1, Node([Node(2)])),
            '{"value":1,"next":{"value":[{"value":2,"next":null}],"next":null}}',
        ),
    ],
)
def test_dumps_returns_text_of_each_kind_of_value(value, text):
    assert kakuri_json.dumps(value) == text
    assert kakuri_json.encode(value) == text.encode()
    kakuri_json.loads(text)


def test_dumps_with_indent_and_sorted_keys():
    value = {"b": [1, [], {}], "a": Node(None)}
    assert kakuri_json.dumps(value, indent=2, sort_keys=True) == (
        '{\n  "a": {\n    "next": null,\n    "value": null\n  },\n'
        '  "b": [\n    1,\n    [],\n    {}\n  ]\n}'
    )


def _cycle():
    items: list[Any] = []
    items.append({"a": items})
    return items


def _deep_sets():
    value = frozenset()
    for _ in range(100_000):
        value = frozenset([value])
    return value


class Same(Mapping):
    """A mapping of two keys with the same text."""

    def __getitem__(self, key):
        return 1

    def __iter__(self):
        return iter(["a", Name.A])

    def __len__(self):
        return 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: float("nan"), "$: expected a finite number, got nan"),
        (lambda: [float("-inf")], "$[0]: expected a finite number, got -inf"),
        (lambda: Decimal("Infinity"), "$: expected a finite number, got Decimal('Infinity')"),
        (
            lambda: {"a": "\udc80"},
            "$.a: expected text that can be written as UTF-8, got the lone surrogate 0xdc80",
        ),
        (lambda: {1: 2}, "$[1]: expected a string as a key, got 1"),
        (lambda: {None: 2}, "$[null]: expected a string as a key, got null"),
        (lambda: Same(), "$: expected every key once, got keys with the same JSON form"),
        (_cycle, "$[0].a: expected a value without cycles, got list inside itself"),
        (
            lambda: dt.datetime(2026, 1, 1),  # noqa: DTZ001
            "$: expected a date and time with offset, got datetime.datetime(2026, 1, 1, 0, 0)",
        ),
        (
            lambda: Node,
            "$: expected a value with a JSON form, got <class 'test_printer.Node'> (type)",
        ),
        (lambda: 1j, "$: expected a value with a JSON form, got 1j (complex)"),
    ],
)
def test_dumps_of_value_without_json_form_raises_encode_error(make, message):
    with pytest.raises(EncodeError) as caught:
        kakuri_json.dumps(make())
    assert str(caught.value).replace("packages.kakuri-json.tests.", "") == message


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda bad: [1, [2, {"a": [], "b": bad}]], "$[1][1].b"),
        (lambda bad: {"a": {"b": 1}, "c d": (3, bad)}, "$['c d'][1]"),
        (lambda bad: Node("v", Node([bad])), "$.next.value[0]"),
        (lambda bad: {"a": {}, "b": {bad: 1}}, r"$.b['\ud800']"),
        (lambda bad: ["x"] * 20 + [bad], "$[20]"),
        (lambda bad: {"a": frozenset({"a", bad})}, "$.a"),
        (lambda bad: {"a": (frozenset({(1,), (1, bad)}),)}, "$.a[0]["),
    ],
)
@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"sort_keys": True}])
def test_encode_error_names_the_path_of_the_value(make, path, options):
    with pytest.raises(EncodeError) as caught:
        kakuri_json.dumps(make("\ud800"), **options)
    assert str(caught.value).startswith(path)
    if not options:
        with pytest.raises(EncodeError) as caught:
            kakuri_json.canonical(make("\ud800"))
        assert str(caught.value).startswith(path)


def test_encode_error_at_a_key_of_a_subclass_of_str_names_the_path_without_its_methods():
    class Hostile(str):
        __slots__ = ()

        def raises(self, *_: object) -> Any:
            raise ZeroDivisionError

        __len__ = __getitem__ = __format__ = __str__ = __repr__ = raises

    for key, path in [("a", r"\$\.a"), ("a b", r"\$\['a b'\]"), ("k" * 101, r"\$\['k{100}…'\]")]:
        with pytest.raises(EncodeError, match=f"^{path}: expected a finite number, got nan"):
            kakuri_json.dumps({Hostile(key): float("nan")})


def test_encode_error_of_a_cycle_ends_where_the_cycle_begins_again():
    items: list[Any] = [0]
    items.append({"a": items})
    with pytest.raises(EncodeError, match=r"^\$\.b\[1\]\.a: expected a value without cycles"):
        kakuri_json.dumps({"b": items})


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ([[[[]]]], "max_depth"),
        (Node(Node(Node(Node(1)))), "max_depth"),
        (123456, "max_digits"),
        ({"a": 1, "b": 2, "c": 3}, "max_keys"),
        ("x" * 40, "max_length"),
    ],
)
def test_dumps_beyond_limits_of_the_parser_raises_limit_error(value, limit):
    with pytest.raises(LimitError) as caught:
        kakuri_json.dumps(value, limits=Limits(3, 5, 40, 2))
    assert caught.value.limit == limit


@pytest.mark.parametrize("digits", [1, 2, 3, 10, 17, 18, 19, 20, 40, 309])
def test_dumps_of_integer_counts_its_digits_and_its_sign(digits):
    limits = Limits(max_digits=digits)
    for number in (10**digits - 1, 10 ** (digits - 1), -(10 ** (digits - 1)) + 1):
        assert kakuri_json.dumps([number], limits=limits) == f"[{number}]"
    for number in (10**digits, -(10 ** (digits - 1)), -(10**digits)):
        with pytest.raises(LimitError) as caught:
            kakuri_json.dumps([number], limits=limits)
        assert (caught.value.limit, caught.value.maximum) == ("max_digits", digits)


def test_every_printing_function_applies_the_default_limits():
    chain = None
    for _ in range(2000):
        chain = Node(1, chain)
    for value, limit in (
        (10**4300, "max_digits"),
        (Node(10**4300), "max_digits"),
        (chain, "max_depth"),
        (_deep_sets(), "max_depth"),
    ):
        with pytest.raises(LimitError) as caught:
            kakuri_json.encode(value)
        assert caught.value.limit == limit
    assert kakuri_json.loads(kakuri_json.dumps(10**4299)) == 10**4299


def test_dumps_of_any_value_raises_only_json_errors():
    assert issubclass(EncodeError, JSONError)
    assert issubclass(JSONError, ValueError)


@dataclass
class Texts:
    texts: list[str]


@dataclass
class Named:
    texts: dict[str, str]


@pytest.mark.parametrize("kind", [Texts, Named, None])
def test_dumps_of_list_of_strings_equals_each_string_alone(kind):
    texts = ["plain", "", 'a "quote"', "back\\slash", "\n\t\x00\x1f\x7f", "é😀", '","', "\\u0022"]
    value = dict.fromkeys(texts, 'x"y') if kind is Named else texts
    text = kakuri_json.encode(kind(value) if kind else value)
    assert json.loads(text) == ({"texts": value} if kind else value)
    assert kakuri_json.loads(text) == json.loads(text)
    assert kakuri_json.dumps(texts) == "[" + ",".join(map(kakuri_json.dumps, texts)) + "]"


@pytest.mark.parametrize("size", [15, 16, 17])
@pytest.mark.parametrize("kind", [list, tuple])
def test_dumps_of_nested_lists_of_strings_equals_each_list_alone(kind, size):
    texts = kind('a"b' for _ in range(size))
    alone = "[" + ",".join(['"a\\"b"'] * size) + "]"
    assert kakuri_json.dumps(texts) == alone
    assert kakuri_json.dumps([texts, 1, texts]) == f"[{alone},1,{alone}]"
    assert kakuri_json.dumps({"a": texts, "b": 2}) == f'{{"a":{alone},"b":2}}'


def test_dumps_of_list_with_lone_surrogate_names_the_string():
    with pytest.raises(kakuri_json.EncodeError, match="lone surrogate 0xd800"):
        kakuri_json.encode(Texts(["good", 'a "quote"', "bad\ud800"]))
    with pytest.raises(kakuri_json.EncodeError, match="lone surrogate 0xd800"):
        kakuri_json.dumps(["good", "bad\ud800"])


def test_dumps_of_more_digits_than_the_interpreter_converts_raises_limit_error():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert kakuri_json.dumps(10**639) == "1" + "0" * 639
        with pytest.raises(LimitError) as caught:
            kakuri_json.dumps(10**640)
    finally:
        sys.set_int_max_str_digits(before)
    assert (caught.value.limit, caught.value.maximum) == ("max_digits", 640)


@pytest.mark.parametrize("size", [0, 999, 1000, 2000])
@pytest.mark.parametrize("special", ['"', "\n", "\\"])
def test_dumps_of_text_of_any_length_with_a_lone_surrogate_raises_encode_error(size, special):
    text = "x" * size + special
    assert kakuri_json.loads(kakuri_json.dumps(text)) == text
    for broken in (text + "\ud800", "\udfff" + text):
        with pytest.raises(EncodeError, match="lone surrogate"):
            kakuri_json.dumps(broken)


@pytest.mark.parametrize("make", [list, tuple, lambda items: dict.fromkeys("a", items[0])])
def test_dumps_of_a_value_that_occurs_again_deeper_is_not_a_cycle(make):
    shared = make([1])
    value = [shared, [shared, [shared]]]
    alone = kakuri_json.dumps(shared)
    assert kakuri_json.dumps(value, limits=Limits(max_depth=4)) == f"[{alone},[{alone},[{alone}]]]"
    with pytest.raises(LimitError) as caught:
        kakuri_json.dumps(value, limits=Limits(max_depth=3))
    assert caught.value.limit == "max_depth"
