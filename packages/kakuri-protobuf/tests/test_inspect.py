"""What is shown of bytes whose type is not known."""

import pytest
from kakuri_protobuf import DecodeError, inspect

SHOWN = [
    ("", ""),
    ("089601", "1: 150"),
    ("08ffffffffffffffffff01", "1: 18446744073709551615 (int64 -1)"),
    ("0a0568656c6c6f", '1: "hello"'),
    ("0a03610a22", '1: "a\\n\\""'),
    ("12020801", "2 {\n  1: 1\n}"),
    ("1202ff00", "2: 2 bytes ff 00"),
    ("1200", '2: ""'),
    ("3d01000000", "7: 0x00000001"),
    ("410100000000000080", "8: 0x8000000000000001"),
    ("63100364", "12 group {\n  2: 3\n}"),
    ("fa070161", '127: "a"'),
    ("0a8001" + "61" * 128, '1: "' + "a" * 128 + '"'),
]


@pytest.mark.parametrize(("data", "expected"), SHOWN)
def test_inspect_shows_fields_one_a_line(data, expected):
    assert inspect(bytes.fromhex(data)) == expected


def test_long_values_are_truncated():
    assert inspect(b"\x0a\xff\x01" + b"a" * 255) == f'1: "{"a" * 200}…"'


@pytest.mark.parametrize("data", ["08", "0a0561", "0c", "0e01", "00", "63"])
def test_bytes_that_are_not_a_message_raise_decode_error_with_their_position(data):
    with pytest.raises(DecodeError) as caught:
        inspect(bytes.fromhex("0801" + data))
    assert caught.value.position == 2


def test_message_nested_beyond_max_depth_is_shown_as_bytes():
    data = b""
    for _ in range(60):
        data = b"\x0a" + bytes([len(data)]) + data if len(data) < 128 else data
    assert inspect(data).startswith("1 {")
