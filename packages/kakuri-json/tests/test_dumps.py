import io
from dataclasses import dataclass

import pytest
from kakuri_json import EncodeError, LimitError, Limits, dump, dumps, encode, load


@dataclass
class Point:
    x: int
    y: list[int]


VALUE = {"é": Point(1, [2, 3]), "a": ()}


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"sort_keys": True}, {"indent": 0}])
def test_encode_returns_utf8_of_what_dumps_returns(options):
    assert encode(VALUE, **options) == dumps(VALUE, **options).encode()


def test_encode_with_indent_writes_one_member_a_line():
    assert encode(Point(1, []), indent=1) == b'{\n "x": 1,\n "y": []\n}'


def test_dump_writes_what_encode_returns():
    file = io.BytesIO()
    dump(VALUE, file, indent=2, sort_keys=True)
    assert file.getvalue() == encode(VALUE, indent=2, sort_keys=True)
    file.seek(0)
    assert load(file) == {"é": {"x": 1, "y": [2, 3]}, "a": []}


class ShortWrites(io.RawIOBase):
    """An unbuffered file that accepts up to three bytes at a time, and `room` in all."""

    def __init__(self, room):
        self.room = room
        self.written = b""

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data[: min(3, self.room - len(self.written))])
        self.written += data
        return len(data) or None


def test_dump_to_unbuffered_file_writes_everything():
    file = ShortWrites(100)
    dump(VALUE, file)
    assert file.written == encode(VALUE)


def test_dump_to_unbuffered_file_that_would_block_raises_blocking_io_error():
    with pytest.raises(BlockingIOError):
        dump(VALUE, ShortWrites(4))


def test_dump_of_value_without_json_form_writes_nothing():
    file = io.BytesIO()
    with pytest.raises(EncodeError):
        dump([1, object()], file)
    assert file.getvalue() == b""


def test_dump_to_text_file_raises_type_error():
    with pytest.raises(TypeError):
        dump(1, io.StringIO())


def test_dump_to_path_raises_type_error():
    with pytest.raises(TypeError, match=r"expected a file opened in binary mode, got str$"):
        dump(1, "document.json")


@pytest.mark.parametrize("write", [dumps, encode])
@pytest.mark.parametrize(
    ("indent", "error", "message"),
    [
        ("  ", TypeError, r"expected indent as a number of spaces \(int\) or None, got str"),
        (True, TypeError, r"expected indent as a number of spaces \(int\) or None, got bool"),
        (-1, ValueError, "expected indent as 0 to 1000 spaces, got -1"),
        (10**30, ValueError, "expected indent as 0 to 1000 spaces, got 1000000"),
    ],
)
def test_indent_that_is_not_a_number_of_spaces_raises_type_or_value_error(
    write, indent, error, message
):
    with pytest.raises(error, match=message):
        write([1], indent=indent)


def test_encode_beyond_max_length_in_bytes_raises_limit_error():
    limits = Limits(max_length=6)
    assert encode("éé", limits=limits) == b'"\xc3\xa9\xc3\xa9"'
    assert dumps("ééé", limits=limits) == '"ééé"'
    with pytest.raises(LimitError, match="expected at most 6 characters or bytes"):
        encode("ééé", limits=limits)


def test_encode_of_dataclass_with_limits_writes_the_same_as_without():
    point = Point(1, [2])
    assert encode(point, limits=Limits(max_depth=2)) == encode(point)
    with pytest.raises(LimitError, match="levels of nesting"):
        encode(point, limits=Limits(max_depth=1))
