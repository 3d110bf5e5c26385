from dataclasses import dataclass

from kakuri_json import convert, decode, decode_lines


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
