import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_workload import printable

LETTERS = st.text(st.characters(exclude_categories=()), max_size=40)


@given(LETTERS, st.integers(1, 50))
def test_printable_result_is_printable_bounded_and_stable(text, max_length):
    shown = printable(text, max_length)
    assert shown.isprintable()
    assert len(shown) <= max_length
    assert printable(shown, max_length) == shown
    shown.encode()  # no lone surrogate is left


@pytest.mark.parametrize("category", ["Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Cn"])
def test_printable_escapes_every_character_of_a_category_that_acts_on_a_terminal(category):
    found = [chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) == category]
    assert found
    for character in found[:2000]:
        assert printable(character, 16) == ascii(character)[1:-1]


def test_printable_leaves_ordinary_text_unchanged():
    text = "pull access denied für 图像 – it's “private”"
    assert printable(text, 100) is text


def test_printable_cuts_long_text_with_an_ellipsis():
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"
    assert printable("\x1b[2J" * 3, 10) == "\\x1b[2J\\x…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abcde", "abcde"), ("abcdef", "abcd…"), ("a\x1b", "a\\x1b"), ("ab\x1b", "ab\\x…"),
        ("\x1bé", "\\x1bé"), ("abcd\x1b", "abcd…"), ("abc\x1bd", "abc\\…"), ("", ""),
    ],
)  # fmt: skip
def test_printable_text_has_at_most_the_characters_that_it_may_have(text, shown):
    assert printable(text, 5) == shown
