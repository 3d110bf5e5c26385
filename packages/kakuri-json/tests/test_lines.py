"""Newline-delimited documents."""

from dataclasses import dataclass

import kakuri_json
import pytest
from kakuri_json import JSONSyntaxError, LimitError, ValidationError


@dataclass(frozen=True)
class Point:
    x: int


DATA = b'{"x":1}\r\n {"x": 2} \n{"x":3}'


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_decode_lines_of_chunks_cut_anywhere_yields_each_document(size):
    chunks = [DATA[i : i + size] for i in range(0, len(DATA), size)]
    assert list(kakuri_json.decode_lines(chunks, type=Point)) == [Point(1), Point(2), Point(3)]
    assert list(kakuri_json.decode_lines(chunks)) == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_decode_lines_ends_lines_only_at_lf():
    data = '"a\u0085b\u2028"\n"\\n\\u001c"\n'.encode()
    assert list(kakuri_json.decode_lines([data])) == ["a\x85b\u2028", "\n\x1c"]
    assert list(kakuri_json.decode_lines([])) == []


def test_decode_lines_error_has_the_line_of_the_stream():
    lines = kakuri_json.decode_lines([DATA, b'\n{"x":}'], type=Point)
    assert [next(lines) for _ in range(3)] == [Point(1), Point(2), Point(3)]
    with pytest.raises(JSONSyntaxError) as caught:
        next(lines)
    assert (caught.value.line, caught.value.column) == (4, 6)
    with pytest.raises(ValidationError) as faulty:
        list(kakuri_json.decode_lines([b'{"x":1}\n{"x":"1"}\n'], type=Point))
    assert (faulty.value.faults[0].line, faulty.value.faults[0].column) == (2, 6)
    with pytest.raises(JSONSyntaxError, match="expected a value"):
        list(kakuri_json.decode_lines([b"1\n\n2\n"]))


@pytest.mark.parametrize("chunks", [[b"12345678\n"], [b"1234", b"5678"], [b"1234567", b"8\n"]])
def test_decode_lines_of_line_longer_than_max_line_raises_limit_error(chunks):
    with pytest.raises(LimitError) as caught:
        list(kakuri_json.decode_lines(chunks, max_line=7))
    assert caught.value.limit == "max_line"
    with pytest.raises(LimitError, match="got more at line 3, column 1"):
        list(kakuri_json.decode_lines([b"1\n2\n", *chunks], max_line=7))
    assert list(kakuri_json.decode_lines([b"1234567\n1"], max_line=7)) == [1234567, 1]


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_decode_lines_of_bytes_reads_all_lines(make):
    assert list(kakuri_json.decode_lines(make(b"1\n[2]\n3"), type=object)) == [1, [2], 3]


def test_decode_lines_of_str_raises_type_error():
    with pytest.raises(TypeError, match="expected bytes or chunks of bytes, got str"):
        list(kakuri_json.decode_lines("1\n2"))


def test_decode_lines_accepts_lines_of_1_mib_by_default():
    line = b'"' + b"x" * (2**20 - 2) + b'"'
    assert [len(text) for text in kakuri_json.decode_lines([line, b"\n", line])] == [2**20 - 2] * 2
    with pytest.raises(LimitError) as caught:
        list(kakuri_json.decode_lines([line, b" \n"]))
    assert (caught.value.limit, caught.value.maximum) == ("max_line", 2**20)


def test_decode_lines_with_arguments_of_wrong_type_raises_type_error():
    with pytest.raises(TypeError, match="expected bytes or chunks of bytes, got int"):
        next(kakuri_json.decode_lines(3))
    with pytest.raises(TypeError, match="expected an integer as max_line, got None"):
        next(kakuri_json.decode_lines(DATA, max_line=None))
