from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import pytest
from kakuri_json import UnsupportedTypeError, decode, encode


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tagg": "type"}, "expected keys 'tag', 'tag_value', 'rename', .* got 'tagg'"),
        ({"tag": 1}, "expected a string for 'tag' in __json__ of .*, got 1"),
        ({"tag_value": None}, "expected a string for 'tag_value' .* got None"),
        ({"rename": "camel"}, "expected a mapping or a function for 'rename' .* got 'camel'"),
        ({"omit_defaults": 1}, "expected true or false for 'omit_defaults' .* got 1"),
        ({"unknown": "skip"}, "expected 'error' or 'ignore' for 'unknown' .* got 'skip'"),
        (["tag"], r"expected a dict as __json__ of .*, got \['tag'\]"),
    ],
)
def test_invalid_options_of_a_class_raise_unsupported_type_error(options, message):
    @dataclass
    class Point:
        __json__: ClassVar = options
        x: int

    with pytest.raises(UnsupportedTypeError, match=message):
        decode(b'{"x":1}', Point)
    with pytest.raises(UnsupportedTypeError, match=message):
        encode(Point(1))


def test_options_may_be_read_only_mappings():
    @dataclass
    class Point:
        __json__: ClassVar = MappingProxyType({"rename": MappingProxyType({"x": "left"})})
        x: int

    assert encode(Point(1)) == b'{"left":1}'


def test_rename_that_does_not_return_a_string_raises_unsupported_type_error():
    @dataclass
    class Point:
        __json__: ClassVar = {"rename": lambda _: 1}
        x: int

    with pytest.raises(UnsupportedTypeError, match=r"expected text as the JSON names .* got 1"):
        decode(b"{}", Point)
