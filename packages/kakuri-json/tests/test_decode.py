from dataclasses import dataclass
from typing import Annotated

import annotated_types as at
import pytest
from kakuri_json import (
    JSONError,
    JSONSyntaxError,
    Limits,
    ValidationError,
    convert,
    decode,
    decode_lines,
    loads,
)


@dataclass
class Point:
    x: int
    y: list[int]


def test_decode_without_type_returns_plain_values():
    assert decode(b'{"x": [1, 2.5, null, "a"]}') == {"x": [1, 2.5, None, "a"]}
    assert decode("[]") == []


def test_decode_with_positional_type_returns_instance():
    assert decode(b'{"x":1,"y":[]}', Point) == Point(1, [])
    assert decode(b'{"x":1,"y":[]}', type=Point) == Point(1, [])


def test_convert_and_decode_lines_with_positional_type_return_instances():
    assert convert({"x": 1, "y": []}, Point) == Point(1, [])
    assert list(decode_lines(b'{"x":1,"y":[]}', Point)) == [Point(1, [])]


def test_error_position_counts_the_bytes_of_bytes_and_the_characters_of_text():
    text = '{"x":1,"é":?}'
    for data, position in ((text, 11), (text.encode(), 12)):
        with pytest.raises(JSONSyntaxError) as caught:
            decode(data, Point)
        assert caught.value.position == position
    for data, position in (('["é",?]', 5), ('["é",?]'.encode(), 6)):
        with pytest.raises(JSONSyntaxError) as caught:
            decode(data, list[str])
        assert caught.value.position == position


def of_one_character(text):
    return loads(text, limits=Limits(max_length=1))


def test_value_error_of_a_predicate_is_a_fault():
    for data in ('["éé"]', '["éé"]'.encode()):
        with pytest.raises(ValidationError, match=r"\$\[0\]: expected a string for which of_one"):
            decode(data, list[Annotated[str, at.Predicate(of_one_character)]])


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '[{"b":[{"a":1,"a":2}]}]'])
@pytest.mark.parametrize("kind", [object, dict[str, object], list[object], Point])
def test_duplicate_keys_are_an_error_wherever_they_are(text, kind):
    members = f'{{"x":1,"y":[],"z":{text}}}'
    for document in (text, f"[{text}]", f'{{"m":{text}}}', members):
        with pytest.raises(JSONError):
            decode(document, kind)
    if kind is not Point:
        with pytest.raises(JSONSyntaxError, match="every key of an object once, got 'a' again"):
            decode(f"[{text}]" if kind == list[object] else f'{{"m":{text}}}', kind)


@pytest.mark.parametrize("length", [0, 1500, 5000])
def test_duplicate_keys_in_a_skipped_short_remainder_are_an_error(length):
    document = f'{{"x":1,"y":[],"pad":"{"p" * length}","unknown":{{"a":1,"a":2}}}}'
    with pytest.raises(JSONSyntaxError, match="every key of an object once, got 'a' again"):
        decode(document, Point)


@pytest.mark.parametrize(
    ("length", "error"), [(2047, JSONSyntaxError), (2048, ValidationError), (2049, ValidationError)]
)
def test_rejected_value_is_read_in_full_only_where_less_than_two_kib_follow(length, error):
    """From there on, an expression checks its grammar, which allows duplicate keys."""
    skipped = '{"a":1,"a":2}'
    rest = skipped + ',"y":[]}' + " " * (length - len(skipped) - 8)
    assert len(rest) == length
    with pytest.raises(error):
        decode('{"x":1,"unknown":' + rest, Point)
