from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_tcp import IncompleteLine, LineDecoder, LineTooLong

LIMIT = 8


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b"a\n", [b"a"]),
        (b"a\r\nb\n", [b"a", b"b"]),
        (b"\n\r\n", [b"", b""]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\xc2\x85\x0b\x0c\x1c\n", [b"\xc2\x85\x0b\x0c\x1c"]),
        (b"\x1d\x1e\x00\xe2\x80\xa8\n", [b"\x1d\x1e\x00\xe2\x80\xa8"]),
        (b"12345678\r\n", [b"12345678"]),
        (b"1234567\r\r\n", [b"1234567\r"]),
        (b"a\nbc", [b"a"]),
        (b"", []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_decoder_returns_the_same_lines_for_every_split(decode, stream, lines, size):
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    assert decode(chunks) == (lines, None)


@pytest.mark.parametrize(
    "stream", [b"123456789\n", b"123456789", b"12345678\rx", b"12345678\r\r\n", b"123456789\r\n"]
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_line_over_the_limit_raises_after_the_lines_before_it(decode, stream, size):
    stream = b"a\nb\n" + stream
    lines, error = decode([stream[i : i + size] for i in range(0, len(stream), size)])
    assert lines == [b"a", b"b"]
    assert isinstance(error, LineTooLong)
    assert error.limit == LIMIT


def test_line_over_the_limit_raises_line_too_long_before_its_end():
    decoder = LineDecoder(limit=LIMIT)
    decoder.receive_data(b"12345678\r")
    assert decoder.next_line() is None
    decoder.receive_data(b"x")
    with pytest.raises(LineTooLong):
        decoder.next_line()


def test_end_inside_a_line_is_an_error_after_the_lines_before_it():
    decoder = LineDecoder()
    decoder.receive_data(b"a\nbc")
    decoder.receive_eof()
    assert decoder.next_line() == b"a"
    with pytest.raises(IncompleteLine) as caught:
        decoder.next_line()
    assert caught.value.size == 2


def test_end_between_lines_returns_none(decode):
    assert decode([b"a\n"], eof=True) == ([b"a"], None)
    assert decode([], eof=True) == ([], None)


def test_decoder_raises_the_same_error_again():
    decoder = LineDecoder(limit=1)
    decoder.receive_data(b"abc\n")
    for _ in range(2):
        with pytest.raises(LineTooLong):
            decoder.next_line()
        decoder.receive_data(b"d\n")


@given(
    st.lists(st.binary(max_size=6).filter(lambda b: b"\n" not in b)), st.lists(st.integers(0, 30))
)
def test_random_splits_give_the_same_lines(decode, lines, cuts):
    stream = b"".join(line + b"\r\n" for line in lines)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert decode(chunks, eof=True, limit=100) == (lines, None)


@pytest.mark.parametrize("reads", [0, 1, 2, 5])
def test_decoder_returns_the_same_lines_for_every_split_and_rhythm_of_reads(reads):
    """Up to `reads` lines are taken after each chunk, and the others at the end."""
    stream, lines = b"a\nbc\r\n\nd\ne", [b"a", b"bc", b"", b"d"]
    ends = [2, 6, 7, 9]
    for cuts in range(1 << (len(stream) - 1)):
        edges = [0, *(i + 1 for i in range(len(stream) - 1) if cuts >> i & 1), len(stream)]
        decoder = LineDecoder(limit=5)
        found = []
        for start, end in pairwise(edges):
            decoder.receive_data(stream[start:end])
            for _ in range(reads):
                line = decoder.next_line()
                if line is None:
                    break
                found.append(line)
            assert decoder.buffered == end - (ends[len(found) - 1] if found else 0)
        while (line := decoder.next_line()) is not None:
            found.append(line)
        assert (found, decoder.buffered) == (lines, 1)


def test_buffered_is_the_number_of_unread_bytes():
    decoder = LineDecoder(limit=100)
    assert (decoder.buffered, decoder.has_unread) == (0, False)
    decoder.receive_data(b"ab\ncd")
    assert (decoder.buffered, decoder.has_unread) == (5, True)
    decoder.receive_data(b"efg\n")
    decoder.receive_data(b"h")
    assert decoder.buffered == 10
    assert decoder.next_line() == b"ab"
    assert decoder.buffered == 7
    assert decoder.next_line() == b"cdefg"
    assert decoder.buffered == 1
    assert decoder.next_line() is None
    assert (decoder.buffered, decoder.has_unread) == (1, False)


@pytest.mark.parametrize(
    ("chunks", "held"),
    [
        ([], 0), ([b"ab\n"], 0), ([b"ab\n", b"c\n"], 0), ([b"ab\ncd"], 2), ([b"ab"], 2),
        ([b"a", b"b"], 2), ([b"a", b"b\n"], 0),
    ],
)  # fmt: skip
def test_decoder_buffers_only_an_unfinished_line_once_all_lines_are_read(chunks, held):
    decoder = LineDecoder(limit=100)
    for chunk in chunks:
        decoder.receive_data(chunk)
    while decoder.next_line() is not None:
        pass
    assert (decoder.buffered, decoder.has_unread) == (held, False)
    assert decoder.has_partial_line == (held > 0)


@pytest.mark.parametrize("chunks", [[b"abc\n", b"d\n"], [b"abc", b"d\n"], [b"x\nabc\nd"]])
def test_decoder_buffers_nothing_after_an_error(chunks):
    decoder = LineDecoder(limit=2)
    for chunk in chunks:
        decoder.receive_data(chunk)
    while decoder.has_unread:
        with suppress(LineTooLong):
            decoder.next_line()
    with pytest.raises(LineTooLong):
        decoder.next_line()
    assert (decoder.buffered, decoder.has_unread, decoder.has_partial_line) == (0, False, False)
