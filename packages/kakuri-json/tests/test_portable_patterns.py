"""Patterns of schemas mean the same in ECMA-262 and in Python."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kakuri_json._portable_patterns import portable

TEXTS = ["", "a", "A", "ab", "aab", "b", "a\n", "\n", "\0", "\r", "\u2028", "\x1c", " ", "z-z", "-"]
PATTERNS = {
    "[a-z]+": "^(?:[a-z]+)$",
    r"a\Z": "^(?:a$)$",
    r"a$\n?": r"^(?:a(?=\n?$)\u000a?)$",
    r"[^\0]*": r"^(?:[^\u0000]*)$",
    ".": r"^(?:[^\n])$",
    "(?s:.)": r"^(?:(?:[\s\S]))$",
    r"[^\s]": (
        r"^(?:[^\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])$"
    ),
    "(?i:k8s-[a-c])": r"^(?:(?:[Kk]8[Ss]-[a-cA-C]))$",
    "(?i)[^x]": "^(?:[^Xx])$",
    "(?P<name>a|bc)+?": "^(?:(?:(?:(?:a|bc)))+?)$",
    "(?:ab){2}a{1,3}b{2,}": "^(?:(?:ab){2}a{1,3}b{2,})$",
    r"(?=a)(?!ab)(?<=^)(?<!b)\w\b": r"^(?:(?=a)(?!ab)(?<=^)(?<!b)[\w]\b)$",
    r"[\]\[\\^-]\.\-": r"^(?:[\]\[\\\^\-]\.-)$",
    "é😀": "^(?:\\u00e9😀)$",
}


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS.items())
def test_portable_pattern_finds_what_the_pattern_matches(pattern, expected):
    assert portable(pattern) == expected
    # Python's `$` also matches before a final line feed, which that of ECMA-262 does not.
    found = re.compile(expected.replace("$", r"\Z"))
    for text in [*TEXTS, "k8s-a", "K8S-C", "abababb", "x", "X", "]", "^.-", "é😀", "bcbc"]:
        assert (found.search(text) is None) == (re.fullmatch(pattern, text) is None), text


@pytest.mark.parametrize(
    "pattern",
    ["(?>a)", "a*+", r"(a)\1", r"(a)?(?(1)b|c)", "(?m:^a)", "(?i:é)", "(?i:[a-é])"],
)
def test_pattern_without_a_counterpart_is_not_portable(pattern):
    assert portable(pattern) is None


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_portable_pattern_of_literal_text_finds_the_text(text):
    found = portable(re.escape(text))
    assert found is not None
    assert re.search(found, text)
    assert not re.search(found, text + "x")
