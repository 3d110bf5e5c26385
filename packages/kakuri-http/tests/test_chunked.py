"""Where lines of chunked content may end, however the bytes are cut."""

import pytest
from kakuri_http import Limits, RemoteProtocolError
from kakuri_http.core._bodies import ChunkedReader

SHORT = b"1\r\nx\r\n" * 20_000


@pytest.mark.parametrize(
    "before",
    [b"", b"2", b"2;a=b", b"2\r\nok", b"2\r\nok\r\n", b"0\r\n", b"0\r\nT", b"0\r\nT: 1\r\n"],
)
def test_bare_line_feed_as_the_first_byte_of_a_read_is_rejected(before):
    """A peer that accepts it would see a line end where this one sees none."""
    reader = ChunkedReader(Limits())
    buffered, position = before, 0
    while True:
        piece, position = reader.read(buffered, position)
        if piece is None:
            break
    with pytest.raises(RemoteProtocolError):
        reader.read(buffered[position:] + b"\n", 0)


def read_all(reader, data):
    """Return the pieces of content in the data, and where the next one would begin."""
    pieces, position = [], 0
    while True:
        piece, position = reader.read(data, position)
        if piece is None:
            return pieces, position
        pieces.append(piece)


def test_short_chunks_that_arrive_together_are_joined_into_a_few_pieces():
    reader = ChunkedReader(Limits())
    pieces, position = read_all(reader, SHORT + b"0\r\n\r\n")
    assert b"".join(pieces) == b"x" * 20_000
    assert len(pieces) == 2
    assert reader.has_ended
    assert position == len(SHORT) + 5


@pytest.mark.parametrize(
    ("after", "content"),
    [(b"a;b\r\n0123456789\r\n0\r\n\r\n", b"0123456789"), (b"000\r\nT: 1\r\n\r\n", b""),
     (b"F\r\n0123456789abcde\r\n0\r\n\r\n", b"0123456789abcde")],
)  # fmt: skip
def test_content_is_the_same_however_short_chunks_are_cut(after, content):
    data = b"1\r\nx\r\n02\r\nyz\r\n" + after
    for cut in range(len(data) + 1):
        reader = ChunkedReader(Limits())
        first, position = read_all(reader, data[:cut])
        rest, _ = read_all(reader, data[position:])
        assert b"".join(first + rest) == b"xyz" + content
        assert reader.has_ended


@pytest.mark.parametrize("after", [b"1\r\nxx", b"-1\r\nx", b"g\r\n", b"\nx", b"1 \r\nx\r\n"])
def test_content_before_a_chunk_that_is_invalid_is_returned_before_the_error(after):
    reader = ChunkedReader(Limits())
    data = b"1\r\na\r\n1\r\nb\r\n" + after
    piece, position = reader.read(data, 0)
    assert piece is not None
    assert piece.startswith(b"ab")
    with pytest.raises(RemoteProtocolError):
        reader.read(data, position)


def test_extensions_of_earlier_chunks_are_counted_against_the_content_of_joined_ones():
    limits = Limits(chunk_extensions=8)
    reader = ChunkedReader(limits)
    with_extension = b"1;abcdefg\r\nx\r\n"  # eight bytes, of which its content allows one
    pieces, _ = read_all(reader, (with_extension + b"1\r\nx\r\n" * 7) * 3 + b"0\r\n\r\n")
    assert b"".join(pieces) == b"x" * 24
    assert reader.has_ended
