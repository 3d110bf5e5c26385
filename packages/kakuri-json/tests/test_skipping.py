"""One expression checks the grammar of values that are skipped."""

import json

import kakuri_json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json._decode.text_cursor import skip_value

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-1e9, 1e9)
    | st.text('a"\\é\n', max_size=4)
)
containers = scalars
for _ in range(4):
    containers = st.lists(containers, max_size=3) | st.dictionaries(
        st.text("ab", max_size=2), containers, max_size=3
    )


@settings(max_examples=200, deadline=None)
@given(containers, st.sampled_from([None, 1]), st.booleans())
def test_skip_value_of_valid_container_returns_its_end(value, indent, escape):
    text = json.dumps(value, indent=indent, ensure_ascii=escape)
    assert skip_value(f"[{text}}}]", 1) == 1 + len(text)


@pytest.mark.parametrize(("levels", "is_matched"), [(1, True), (4, True), (5, False)])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_skip_value_matches_four_levels_of_nesting(levels, is_matched, opening, closing):
    text = opening * levels + "1" + closing * levels
    assert skip_value(text, 0) == (len(text) if is_matched else -1)


PIECES = [
    *'[]{},:"\\1-0.e \n',
    '"a"',
    '"a":',
    "1.5e",
    "tru",
    "true",
    "null",
    "\\u00e9",
    "\x01",
    "[]",
]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from("[{"), st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_skip_value_rejects_what_the_parser_rejects(bracket, rest):
    text = bracket + rest
    end = skip_value(text, 0)
    if end >= 0:
        kakuri_json.loads(text[:end], duplicate_keys="last")


@pytest.mark.parametrize(
    "text", ["[" * 10 + "]" * 10, "[1,]", '{"a":1,}', "[1 2]", "[01]", '["\x01"]', "[1.5e]", "["]
)
def test_skip_value_of_deep_or_invalid_container_returns_minus_one(text):
    assert skip_value(text, 0) == -1


def test_skip_value_of_many_items_uses_little_memory():
    text = "[" + "1," * 200_000 + "1]"
    assert skip_value(text, 0) == len(text)
