import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_zones.logs._format import MAX_HEADER, LinePosition, decode, decode_start

TIME = b"2016-10-06T00:17:09.669794202Z"
RAW = [
    b"no header at all\n",
    b"\n",
    b"2016-10-06 00:17:09Z stdout F a space for the T\n",
    b"2016-10-06T00:17:09.6697942021Z stdout F ten digits\n",
    TIME + b" stdin F no such stream\n",
    TIME + b" stdout X no such tag\n",
    TIME + b" stdout PF two tags without a colon\n",
    TIME + b" stdout F\n",
    TIME + b" stdout\n",
    TIME + b" stdout F:" + b"t" * 200 + b" tags without end\n",
    b"\x00\xff\x80 binary\n",
]


def whole(data, *, is_final=True):
    """Decode a whole file at once."""
    decoded = decode(data, LinePosition.START, is_final=is_final)
    assert decoded.consumed == len(data) or not is_final
    return decoded.content


def in_pieces(data, sizes):
    """Decode as a reader does, in blocks of these sizes."""
    content, offset, line_position = b"", 0, LinePosition.START
    held = 0
    sizes = iter(sizes)
    while offset + held < len(data):
        held += next(sizes, len(data))
        block = data[offset : offset + held]
        decoded = decode(block, line_position, is_final=offset + held >= len(data))
        content += decoded.content
        offset += decoded.consumed
        held -= decoded.consumed
        held = max(held, 0)
        line_position = decoded.line_position
    return content


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (TIME + b" stdout F text\n", b"text\n"),
        (TIME + b" stderr F text\n", b"text\n"),
        (TIME + b" stdout P text\n", b"text"),
        (TIME + b" stdout F \n", b"\n"),
        (TIME + b" stdout P \n", b""),
        (TIME + b" stdout F:other:tags text\n", b"text\n"),
        (TIME + b" stdout P:other text\n", b"text"),
        (b"2016-10-06T00:17:09Z stdout F no fraction\n", b"no fraction\n"),
        (b"2016-10-06T00:17:09.1Z stdout F one digit\n", b"one digit\n"),
        (b"2016-10-06T00:17:09.5+02:00 stdout F not UTC\n", b"not UTC\n"),
        (TIME + b" stdout F  two spaces \r\n", b" two spaces \r\n"),
        (TIME + b" stdout F \x00\xff\xfe\x1b[0m\n", b"\x00\xff\xfe\x1b[0m\n"),
        *((line, line) for line in RAW),
    ],
)
def test_line_decodes_to_what_the_container_wrote(line, content):
    assert whole(line) == content
    assert whole(line * 3) == content * 3
    assert in_pieces(line * 3, [1] * len(line * 3)) == content * 3


def test_pieces_of_a_long_line_are_joined():
    data = b"".join(
        TIME + b" stdout %b %b\n" % (tag, piece)
        for tag, piece in [(b"P", b"a" * 16384), (b"P", b"b" * 16384), (b"F", b"c")]
    )
    assert whole(data) == b"a" * 16384 + b"b" * 16384 + b"c\n"


def test_lines_of_two_streams_keep_the_order_of_the_log():
    data = TIME + b" stdout P out \n" + TIME + b" stderr F err\n" + TIME + b" stdout F more\n"
    assert whole(data) == b"out err\nmore\n"


def test_line_after_an_invalid_line_is_decoded():
    data = b"cut of" + TIME + b" stdout F lost its start\n" + TIME + b" stdout F next\n"
    assert whole(data) == b"cut of" + TIME + b" stdout F lost its start\nnext\n"


def test_content_is_decoded_before_its_line_has_ended():
    decoded = decode(TIME + b" stdout F half", LinePosition.START)
    assert (decoded.content, decoded.line_position) == (b"half", LinePosition.FULL)
    assert decode(b" done\n", LinePosition.FULL).content == b" done\n"
    assert decode(b" done\n", LinePosition.PARTIAL).content == b" done"


def test_incomplete_header_is_left_for_the_next_block():
    decoded = decode(b"x\n2016-10", LinePosition.START)
    assert (decoded.content, decoded.consumed, decoded.line_position) == (
        b"x\n",
        2,
        LinePosition.START,
    )
    assert decode(b"2016-10", LinePosition.START, is_final=True).content == b"2016-10"
    assert decode(b"x" * MAX_HEADER, LinePosition.START).content == b"x" * MAX_HEADER


def test_first_line_is_decoded_up_to_the_limit():
    line = TIME + b" stdout P abc\nrest"
    first = decode_start(line, 2)
    assert (first.content, first.line_position) == (b"ab", LinePosition.PARTIAL)
    assert line[first.consumed :] == b"c\nrest"
    third = decode_start(line, 3)
    assert (third.content, third.line_position) == (b"abc", LinePosition.START)
    assert line[third.consumed :] == b"rest"
    line = TIME + b" stdout F abc\nrest"
    assert decode_start(line, 3).line_position is LinePosition.FULL
    assert decode_start(line, 4).line_position is LinePosition.START
    assert decode_start(b"raw\n", 9).content == b"raw\n"
    assert decode_start(b"raw", 9).consumed == 0
    assert decode_start(b"raw", 2, is_final=True).content == b"ra"


LINES = st.lists(
    st.tuples(
        st.sampled_from(
            [TIME + b" stdout F ", TIME + b" stderr F ", TIME + b" stdout P:x ", b"raw ", b""]
        ),
        st.binary(max_size=300).map(lambda data: data.replace(b"\n", b"")),
    ),
    max_size=20,
)


@given(LINES, st.lists(st.integers(1, 400), max_size=60))
def test_file_split_anywhere_decodes_to_the_same_content(lines, sizes):
    data = b"".join(header + content + b"\n" for header, content in lines)
    expected = whole(data)
    assert in_pieces(data, sizes) == expected
    if b"" not in [header for header, _ in lines]:
        assert expected == b"".join(
            content if b" P" in header else re.sub(b"^2016.* F ", b"", header) + content + b"\n"
            for header, content in lines
        )


@given(st.binary(max_size=2000), st.lists(st.integers(1, 100)))
def test_decoder_accepts_arbitrary_bytes(data, sizes):
    assert len(whole(data)) <= len(data)
    assert in_pieces(data, sizes) == whole(data)
