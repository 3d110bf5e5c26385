"""The canonical form of RFC 8785, with the examples of the RFC."""

import math
import struct
from dataclasses import dataclass
from enum import Enum

import kakuri_json
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_json import EncodeError


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
    ],
)
def test_canonical_number_is_spelled_as_in_rfc_8785(bits, text):
    number = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert kakuri_json.canonical(number) == text.encode()


def test_canonical_keys_are_ordered_by_utf16_code_units():
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}
    assert list(kakuri_json.loads(kakuri_json.canonical(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


class Half(Enum):
    HALF = 0.5
    BIG = 1e21


@dataclass
class Sized:
    b: float
    a: Half


def test_canonical_objects_and_literals_have_no_white_space():
    assert kakuri_json.canonical([Sized(56.0, Half.BIG), None, True, "\x0f\n'€"]) == (
        '[{"a":1e+21,"b":56},null,true,"\\u000f\\n\'€"]'.encode()
    )


@pytest.mark.parametrize("value", [2**53 + 1, 10**400, math.nan, math.inf, "\ud800", {"\ud800": 1}])
def test_canonical_of_value_without_exact_double_or_text_raises_encode_error(value):
    with pytest.raises(EncodeError):
        kakuri_json.canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_canonical_number_is_parsed_as_the_same_number(number):
    assert float(kakuri_json.canonical(number)) == number
