import copy
import io
import math
import pickle

import pytest
from kakuri_json import JSONSyntaxError, LimitError, Limits, decode, dumps, encode, load, loads

CALLS = [
    lambda limits: loads("1", limits=limits),
    lambda limits: load(io.BytesIO(b"1"), limits=limits),
    lambda limits: decode("1", limits=limits),
    lambda limits: dumps(1, limits=limits),
    lambda limits: encode(1, limits=limits),
]


def test_loads_of_unknown_duplicate_keys_policy_raises_value_error():
    with pytest.raises(ValueError, match="expected duplicate_keys 'error' or 'last', got 'first'"):
        loads("{}", duplicate_keys="first")


@pytest.mark.parametrize("call", CALLS)
def test_limits_of_wrong_type_raise_type_error(call):
    with pytest.raises(TypeError, match=r"^expected Limits as limits, got {'max_depth': 5}$"):
        call({"max_depth": 5})


@pytest.mark.parametrize("name", Limits._fields)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("5", TypeError, "expected an integer as {}, got '5'"),
        (None, TypeError, "expected an integer as {}, got None"),
        (True, TypeError, "expected an integer as {}, got True"),
        (math.nan, TypeError, "expected an integer as {}, got nan"),
        (-1, ValueError, "expected at least 0 as {}, got -1"),
    ],
)
def test_limit_that_is_not_a_count_raises_type_or_value_error(name, value, error, message):
    for create in (Limits, Limits()._replace):
        with pytest.raises(error, match=message.format(name)):
            create(**{name: value})


def test_limits_can_be_replaced_copied_and_compared():
    limits = Limits()._replace(max_depth=3)
    assert repr(limits).startswith("Limits(max_depth=3, max_digits=4300, ")
    assert limits == Limits(3) == copy.copy(limits) == pickle.loads(pickle.dumps(limits))
    assert type(limits) is Limits
    assert Limits(0, 0, 0, 0).max_keys == 0


@pytest.mark.parametrize("call", CALLS)
def test_limits_of_none_are_the_defaults(call):
    assert call(None) == call(Limits())


class Chunks(io.RawIOBase):
    """A file whose `read` returns at most three bytes, as a pipe's may."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.consumed = 0

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(min(size, 3))
        self.consumed += len(part)
        return part


def test_load_reads_file_in_parts_to_its_end():
    assert load(Chunks(b'{"id": [1, 2, "\xc3\xa9"]}')) == {"id": [1, 2, "é"]}


def test_load_of_document_beyond_max_length_stops_after_one_more_byte():
    file = Chunks(b"[" + b" " * 100 + b"]")
    with pytest.raises(LimitError) as raised:
        load(file, limits=Limits(max_length=10))
    assert raised.value.limit == "max_length"
    assert file.consumed == 11


def test_load_applies_the_policy_for_duplicate_keys():
    assert load(io.BytesIO(b'{"a":1,"a":2}'), duplicate_keys="last") == {"a": 2}
    with pytest.raises(JSONSyntaxError, match="every key of an object once"):
        load(io.BytesIO(b'{"a":1,"a":2}'))


def test_load_of_path_raises_type_error():
    with pytest.raises(TypeError, match=r"expected a file opened in binary mode, got str$"):
        load("document.json")


def test_load_of_text_file_raises_type_error():
    with pytest.raises(TypeError, match="expected a file opened in binary mode, got str"):
        load(io.StringIO("{}"))
