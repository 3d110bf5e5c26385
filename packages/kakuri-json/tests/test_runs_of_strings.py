"""Arrays of many strings and numbers are read in runs: the result must be the same as one by one."""

import json
import random
from fractions import Fraction

import kakuri_json
import pytest

_SPACES = ["", " ", "\n    ", "\t"]


@pytest.mark.parametrize("space", _SPACES)
def test_loads_of_strings_with_escapes_equals_the_standard_library(space):
    dice = random.Random(8259)
    letters = 'ab ,"\\/\n\x00\x1fé世🌊'
    strings = ["".join(dice.choices(letters, k=dice.randrange(9))) for _ in range(600)]
    texts = [json.dumps(one, ensure_ascii=dice.random() < 0.5) for one in strings]
    slashed = [text.replace("/", "\\/") for text in texts]
    assert kakuri_json.loads(f"[{space}{(',' + space).join(slashed)}]") == strings


def test_loads_of_strings_with_changing_white_space_returns_all():
    text = "[" + "".join(f'"\\n{n}",{" " * (n % 3)}' for n in range(100)) + '"end"]'
    assert kakuri_json.loads(text) == [*(f"\n{n}" for n in range(100)), "end"]


@pytest.mark.parametrize("space", _SPACES)
@pytest.mark.parametrize(
    ("escape", "message"),
    [
        (r"\ud83d", "a pair of surrogates"),
        (r" \udc01", "a pair of surrogates"),
        (r"\u12", "four hexadecimal digits"),
        (r"\u\",\"", "four hexadecimal digits"),
        (r"\x41", "one of the escapes"),
        ("\n", "the escape"),
    ],
)
def test_loads_with_wrong_escape_after_many_strings_explains_it(space, escape, message):
    good = f'"\\u00e9",{space}' * 100
    text = f'[{good}"a{escape}",{space}"b",{space}"c"]'
    with pytest.raises(kakuri_json.JSONSyntaxError, match=message) as caught:
        kakuri_json.loads(text)
    assert caught.value.position == 1 + len(good) + 2 + (escape[0] == " ")


def test_loads_with_comma_after_many_strings_names_the_trailing_comma():
    with pytest.raises(kakuri_json.JSONSyntaxError, match="']' after a trailing comma"):
        kakuri_json.loads("[" + '"a", ' * 40 + "]")


def test_loads_of_integers_with_spaces_returns_all():
    assert kakuri_json.loads(str(list(range(-50, 200)))) == list(range(-50, 200))


def _near_the_middle() -> list[str]:
    """Return decimals of up to 18 digits that are close to the middle of two doubles."""
    dice = random.Random(754)
    found = []
    for _ in range(300):
        middle = Fraction(2 * dice.randrange(2**52, 2**53) + 1, 2) * Fraction(2) ** -dice.randrange(
            4, 20
        )
        scale = dice.randrange(1, 6)
        digits = int(middle * 10**scale) + dice.randrange(2)
        found.append(f"{digits}e-{scale}")
    return found


@pytest.mark.parametrize(
    "texts",
    [
        _near_the_middle(),
        ["-65.613616999999977", "0.1", "-0.0", "0e9", "1e22", "1e23", "5e-324", "1.7976931348623157e308"],
        ["9007199254740993.0", "123456789012345678e-22", "999999999999999999.0", "1e-22", "1.5E+3"],
    ],
)  # fmt: skip
def test_loads_of_decimals_returns_the_nearest_doubles(texts):
    got = kakuri_json.loads(f"[{','.join(texts)}]")
    assert [repr(one) for one in got] == [repr(float(text)) for text in texts]
