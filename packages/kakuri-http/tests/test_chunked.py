"""Where lines of chunked content may end, however the bytes are cut."""

import pytest
from kakuri_http import Limits, RemoteProtocolError
from kakuri_http.core._bodies import ChunkedReader


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
