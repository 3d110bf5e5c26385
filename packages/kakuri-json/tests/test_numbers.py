"""Numbers: both ways of reading them return what the interpreter reads, at every edge of 64 bits."""

import sys

import kakuri_json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import JSONSyntaxError, LimitError, Limits
from kakuri_json._syntax import numbers
from kakuri_json._syntax.scanning import COMPILED

LIMITS = Limits()

POWERS = [2**bits for bits in (31, 32, 53, 59, 62, 63, 64, 65, 127)]
POWERS += [10**digits for digits in (15, 16, 17, 18, 19, 20, 21, 22, 23, 309)]
INTEGERS = [power + change for power in POWERS for change in (-1, 0, 1)]
FRACTIONS = [
    "",
    ".0",
    ".5",
    ".000",
    f".{'0' * 40}1",
    f".{'9' * 17}",
    f".{'9' * 18}",
    f".{'1' * 40}",
]
EXPONENTS = ["", "e0", "E-1", "e+22", "e-22", "e23", "e-23", "e0001", "e-00000000000000000001"]
EXTREMES = [
    "0", "-0", "0.0", "-0.0", "0e5", "-0e-5", "0e999", "0e99999999999999999999",
    "-0e-99999999999999999999", "1e-999999999999", "1E-9223372036854775808",
    "1e-9223372036854775809", "1e-18446744073709551616", "2.2250738585072011e-308", "5e-324",
    "1.7976931348623157e308", f"0.{'0' * 400}1e400", f"1{'0' * 400}e-400",
]  # fmt: skip
TOO_LARGE = [
    "1E400", "-1E400", "1e309", "1e999999999999", "1e9223372036854775807",
    "1e9223372036854775808", "1e18446744073709551617", f"1{'0' * 400}.0",
]  # fmt: skip


def read(text):
    """Return what both ways of reading a number return, which have to agree."""
    number, end = numbers.read_number(text, 0, LIMITS.max_digits, LIMITS)
    again, its_end = numbers._read_digits(text, 0, LIMITS.max_digits, LIMITS)
    assert (repr(number), end) == (repr(again), its_end)
    return number, end


def as_interpreter(text):
    return (float if set(text) & set(".eE") else int)(text)


def check(text):
    """Check a number alone, before other characters, and in documents."""
    expected = repr(as_interpreter(text))
    for after in ("", ",", "]", " ", "x", "-"):
        number, end = read(text + after)
        assert (repr(number), end) == (expected, len(text))
    for form in ("{}", "[{}]", '{{"a":{}}}', "[1,{},2]"):
        parsed = kakuri_json.loads(form.format(text))
        assert repr(parsed) == form.format(expected).replace('"', "'").replace(":", ": ").replace(
            ",", ", "
        )
    many = kakuri_json.loads(f"[{','.join([text] * 40)}]")
    assert list(map(repr, many)) == [expected] * 40


@pytest.mark.parametrize("integer", INTEGERS)
def test_number_at_an_edge_of_64_bits_is_exact(integer):
    for sign in ("", "-"):
        for fraction in FRACTIONS:
            for exponent in EXPONENTS:
                text = f"{sign}{integer}{fraction}{exponent}"
                number, end = (None, 0)
                try:
                    number, end = read(text)
                except JSONSyntaxError:
                    assert float(text) in (float("inf"), float("-inf"))
                else:
                    assert (repr(number), end) == (repr(as_interpreter(text)), len(text))
    check(str(integer))
    check(str(-integer))


@pytest.mark.parametrize("text", EXTREMES)
def test_number_with_extreme_exponent_is_read_as_the_interpreter_does(text):
    check(text)


@pytest.mark.parametrize("text", TOO_LARGE)
def test_number_beyond_a_double_is_rejected_with_any_exponent(text):
    for read_one in (numbers.read_number, numbers._read_digits):
        with pytest.raises(JSONSyntaxError, match="a number within the range of a double"):
            read_one(text, 0, LIMITS.max_digits, LIMITS)
    with pytest.raises(JSONSyntaxError, match="a number within the range of a double"):
        kakuri_json.loads(f"[{text}]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-", (None, 0)), ("-x", (None, 0)), ("x", (None, 0)), (".5", (None, 0)), ("+1", (None, 0)),
        ("01", (0, 1)), ("-01", (0, 2)), ("00", (0, 1)), (f"0{'9' * 30}", (0, 1)),
        ("1.", (1, 1)), ("1.e5", (1, 1)), ("1e", (1, 1)), ("1e+", (1, 1)), ("1.5e-", (1.5, 3)),
    ],
)  # fmt: skip
def test_number_ends_before_what_is_not_part_of_it(text, expected):
    assert read(text) == expected


def test_number_with_more_characters_than_allowed_is_rejected_in_both_ways():
    limits = Limits(max_digits=25)
    for text in ("1" * 25, f"-{'1' * 22}.5", f"1e{'0' * 22}1"):
        for read_one in (numbers.read_number, numbers._read_digits):
            assert read_one(text, 0, 25, limits)[1] == 25
            with pytest.raises(LimitError):
                read_one(f"{text}1", 0, 25, limits)


def test_number_of_any_length_stays_within_64_bits_while_it_is_read():
    # Compiled, the variables are integers of C, whose overflow is undefined.
    largest = 0

    def trace(frame, event, _argument):
        nonlocal largest
        if frame.f_code is getattr(numbers._read_digits, "__code__", None):
            if event == "return":
                values = [frame.f_locals.get(name, 0) for name in ("number", "power", "exponent")]
                largest = max([largest, *map(abs, values)])
            return trace
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for digits in range(1, 60):
            nines = "9" * digits
            for text in (nines, f"0.{nines}", f"1e-{nines}", f"{nines}.{nines}e-{nines}"):
                numbers._read_digits(text, 0, LIMITS.max_digits, LIMITS)
    finally:
        sys.settrace(before)
    assert largest < 2**63
    assert COMPILED or largest >= 10**18 - 1  # the numbers were seen


digits = st.text("0123456789", min_size=1, max_size=25)
literals = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**22).map(str) | st.integers(0, 2**64).map(str) | st.integers(0, 99).map(str),
    st.just("") | digits.map(".{}".format),
    st.just("") | st.builds("{}{}".format, st.sampled_from("eE"), st.integers(-330, 280)),
)


@settings(max_examples=500, deadline=None)
@given(literals)
def test_generated_number_is_read_as_the_interpreter_does(text):
    assert (repr(read(text)[0]), read(text)[1]) == (repr(as_interpreter(text)), len(text))


@settings(max_examples=100, deadline=None)
@given(st.lists(literals, min_size=1, max_size=60))
def test_array_of_generated_numbers_is_read_as_the_interpreter_does(texts):
    parsed = kakuri_json.loads(f"[{','.join(texts)}]")
    assert list(map(repr, parsed)) == [repr(as_interpreter(text)) for text in texts]
    assert list(map(repr, kakuri_json.loads(f"[{' , '.join(texts)} ]"))) == list(map(repr, parsed))
