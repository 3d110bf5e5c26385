"""Compiled expressions take linear time, counted in steps of a matcher written in Python.

The matcher walks the syntax tree that `re` creates, and backtracks as `re` does.
"""

import math
import re
import re._constants as codes
import re._parser as sre
import warnings
from dataclasses import dataclass, field, make_dataclass, replace
from typing import Annotated

import kakuri_json
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from kakuri_json._decode.codec import codec_of
from kakuri_json._decode.compile_decoder import NO_MATCH, compile_decoder
from kakuri_json._decode.layouts import USUAL, Layout
from kakuri_json._decode.patterns import embed, longest_match
from kakuri_json._syntax.scanning import LATIN_FIRST, PLAIN
from kakuri_json._types.shapes import Constrained, Constraint, Scalar


@dataclass(frozen=True, slots=True)
class Words:
    pattern: str


@dataclass(frozen=True, slots=True)
class Item:
    id: Annotated[str, Words("[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")]
    count: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    name: str
    tags: list[str]
    items: list[Item]
    table: dict[str, int]
    reason: str | None = None
    message: str | None = None
    item: Item | None = None
    nested: list[list[int]] = field(default_factory=list)


class Steps:
    """Matches text against a parsed expression and counts its steps."""

    def __init__(self, text):
        self.text = text
        self.count = 0

    def ends(self, tokens, at, index=0):
        """Yield every position where tokens[index:] can end, in the order of `re`."""
        if index == len(tokens):
            yield at
            return
        for end in self.one(*tokens[index], at):
            yield from self.ends(tokens, end, index + 1)

    def first(self, tokens, at):
        return next(self.ends(tokens, at), None)

    def one(self, code, what, at):  # noqa: C901
        self.count += 1
        text = self.text
        match code:
            case codes.LITERAL | codes.NOT_LITERAL | codes.IN:
                if at < len(text) and self.holds(code, what, ord(text[at])):
                    yield at + 1
            case codes.BRANCH:
                for branch in what[1]:
                    yield from self.ends(branch, at)
            case codes.SUBPATTERN:
                yield from self.ends(what[3], at)
            case codes.ATOMIC_GROUP:
                end = self.first(what, at)
                if end is not None:
                    yield end
            case codes.POSSESSIVE_REPEAT:
                low, high, body = what
                times = 0
                while times < high and (end := self.first(body, at)) is not None:
                    at, times = end, times + 1
                if times >= low:
                    yield at
            case codes.MAX_REPEAT:
                low, high, body = what
                places = [at]
                while len(places) <= high and (end := self.first(body, places[-1])) is not None:
                    places.append(end)
                yield from reversed(places[low:])
            case codes.ASSERT:
                if self.first(what[1], at) is not None:
                    yield at
            case codes.ASSERT_NOT:
                if self.first(what[1], at) is None:
                    yield at
            case _:
                raise AssertionError(f"{code} in an expression")

    def holds(self, code, what, character):
        if code is codes.LITERAL:
            return character == what
        if code is codes.NOT_LITERAL:
            return character != what
        negate = what[0] == (codes.NEGATE, None)
        inside = any(
            character == value if kind is codes.LITERAL else value[0] <= character <= value[1]
            for kind, value in what[negate:]
        )
        return inside != negate


def steps(layout, text):
    shape = codec_of(Order).shape
    reader = compile_decoder(shape, layout)
    expression = reader.__globals__["match"].__self__
    watched = Steps(text)
    end = watched.first(sre.parse(expression.pattern), 0)
    assert (end == len(text)) == (expression.fullmatch(text) is not None)
    return watched.count


def near_misses(size):
    head = '{"name":"n","tags":[],"items":[],"table":{}'
    return {
        "name": '{"name":"' + "x" * size,
        "tags": '{"name":"n","tags":[' + '"x",' * (size // 4) + "]",
        "items": '{"name":"n","tags":[],"items":[' + '{"id":"a"},' * (size // 11) + "x",
        "an id": '{"name":"n","tags":[],"items":[{"id":"' + "a-" * (size // 2),
        "table": '{"name":"n","tags":[],"items":[],"table":{' + '"k":1,' * (size // 6) + '"k":x',
        "spaces": '{"name"' + " " * size + ";",
        "escapes": '{"name":"' + "\\n" * (size // 2) + "\\",
        "nested": head + ',"nested":[' + "[1,2]," * (size // 6) + "[",
        "end": head + ',"reason":"' + "x" * size + '","message":"y"]',
    }


@pytest.mark.parametrize("layout", [USUAL, Layout(None, spaced=True, escaped=True)], ids=repr)
@pytest.mark.parametrize("name", list(near_misses(8)))
def test_near_miss_takes_steps_in_proportion_to_its_length(layout, name):
    half = steps(layout, near_misses(2**12)[name])
    whole = steps(layout, near_misses(2**13)[name])
    assert whole <= 2.1 * half + 100
    assert whole <= 12 * 2**13


@pytest.mark.parametrize("name", ["an id", "escapes", "spaces"])
def test_near_miss_of_64_kib_takes_steps_in_proportion_to_its_length(name):
    assert steps(USUAL, near_misses(2**16)[name]) <= 12 * 2**16


def test_near_miss_raises_error_of_the_general_path():
    for text in near_misses(2**16).values():
        with pytest.raises(kakuri_json.JSONError):
            kakuri_json.decode(text, type=Order)


PIECES = st.sampled_from(
    ["a", "b", "[ab]*+", "[ab]++", "c{1,2}+", "(a)", "(?:a|b)", "a?", "(?!b)", "(?=a)"]
)
EXPRESSIONS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["{0,3}", "{0,9}", "{1,2}"])).map(
            lambda pair: f"(?>(?:{pair[0]}){pair[1]})"
        ),
        inner.map(lambda one: f"(?:,{one}|)"),
        inner.map(lambda one: f"(?>{one})"),
    ),
    max_leaves=5,
)


# The matcher of these tests tries every way, so a random expression may take long.
@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, st.text("abc,", max_size=8))
def test_atomic_groups_of_this_interpreter_match_correctly(pattern, text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = re.match(pattern, text)
        end = Steps(text).first(sre.parse(pattern), 0)
    assert (found.end() if found else None) == end


@pytest.mark.parametrize(
    ("pattern", "inside"),
    [
        ("[a-z]+", "(?>[a-z]+)"),
        ("(a|b)*c{1,2}", "(?>(?:a|b)*c{1,2})"),
        (r"\d\w\.\-[-a\d.]", r"(?>\d\w\.\-[-a\d.])"),
        ("(?:x)?y z", "(?>(?:x|)y z)"),
        ('a"', None),
        (".", None),
        ("^a", None),
        ("a$", None),
        ("[^a]", None),
        ("[!-~]", None),
        ("[--~]", None),
        ("[+-]", "(?>[+-])"),
        (r"[\!-~]", None),
        (r"[\d-~]", None),
        ('["]', None),
        (r"[\\]", None),
        (r"\\", None),
        (r"\"", None),
        (r"\s", None),
        (r"\W", None),
        (r"[\S]", None),
        (r"(a)\1", None),
        ("(?=a)", None),
        ("(?P<n>a)", None),
        ("(?i:a)", None),
        ("[]a]", None),
        ("[[a]", None),
        ("[]", None),
        ("[a", None),
        ("a{x", None),
        ("a\n", None),
        ("x\\", None),
        ("a" * 200, None),
    ],
)
def test_embed_returns_only_patterns_that_cannot_leave_the_string(pattern, inside):
    assert embed(pattern) == inside


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("", 0),
        ("a", 1),
        ("[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", 63),
        ("a|bcd|e", 3),
        ("(ab|c){2,3}x", 7),
        ("a{3}b{2,}?", math.inf),
        (r"\d{2}\.[\w\-]", 4),
        ("a{,4}+b??", 5),
        ("x(a*|)", math.inf),
        ("a+", math.inf),
        ("(?:){5}(|a)(?:)*(?:){2,}", 1),
        ("a{0}", 0),
        ("a{}", math.inf),  # re treats the braces as literals
        ("{}", math.inf),
        ("a|(?:{}b){2}", math.inf),
        ("a{0}{}", math.inf),
    ],
)
def test_longest_match_includes_groups_and_quantifiers(pattern, longest):
    assert longest_match(embed(pattern)) == longest


@given(st.data(), st.sampled_from(["(ab|c){2,3}x", "[a-c]{1,4}(?:-[0-9]{2})?", "a|bcd|e"]))
def test_no_match_is_longer_than_the_longest(data, pattern):
    text = data.draw(st.from_regex(pattern, fullmatch=True))
    assert len(text) <= longest_match(embed(pattern))


_PIECES = (
    "a", "(", "(?:", ")", "|", "?", "*", "+", "{", "}", "{2}", "{,3}", "{1,2}", "{}", "{,}", "[ab]",
    "[{|)*]", r"\d", r"\(", r"\|", "-",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
@example("{}")
@example("a{0}{}+")
def test_longest_match_is_never_shorter_than_the_width_that_re_computes(pattern):
    try:
        re.compile(pattern)
    except re.error:
        assume(False)
    inside = embed(pattern)
    assume(inside is not None)
    _, widest = sre.parse(inside).getwidth()
    assert longest_match(inside) >= widest


@pytest.mark.parametrize(("longest", "is_compared"), [(62, True), (63, False)])
def test_length_that_a_pattern_implies_is_not_compared(longest, is_compared):
    label = "[a-z](?:[a-z]{0,61}[a-z])?"
    checks = (
        Constraint(re.compile(label).fullmatch, "", pattern=label, of_text=True),
        Constraint(lambda text: len(text) <= longest, "", max_length=longest),
    )
    read = compile_decoder(Constrained(Scalar("string"), checks), USUAL)
    assert read(f'"{"a" * longest}"') == "a" * longest
    assert read(f'"{"a" * (longest + 1)}"') is NO_MATCH
    assert ("len" in read.__code__.co_names) is is_compared


@pytest.mark.parametrize(
    ("bounds", "good", "bad"),
    [
        ({"ge": 1}, ["1", "9", "123456789012345678"], ["0", "-1", "01", "-0", "+1", ""]),
        ({"gt": 0}, ["1"], ["0", "-1"]),
        ({"ge": 2}, ["2", "10"], ["0", "1", "-2"]),
        ({"ge": 0}, ["0", "7"], ["-0", "-1", "00"]),
        ({"gt": -1, "le": 9}, ["0", "9"], ["10", "-1"]),
        ({"ge": -1}, ["-1", "0"], ["-2"]),
        ({"ge": 1, "multiple_of": 2}, ["2"], ["1", "0"]),
        ({"ge": True}, ["1"], ["0"]),
    ],
)
def test_integer_with_a_lower_bound_matches_the_numbers_that_satisfy_it(bounds, good, bad):
    def holds(value):
        return (
            value >= bounds.get("ge", value)
            and value > bounds.get("gt", value - 1)
            and value <= bounds.get("le", value)
            and value % bounds.get("multiple_of", 1) == 0
        )

    shape = Constrained(Scalar("integer"), (Constraint(holds, "", **bounds),))
    read = compile_decoder(shape, USUAL)
    assert [read(text) for text in good] == [int(text) for text in good]
    assert [text for text in bad if read(text) is not NO_MATCH] == []


def test_embedded_pattern_never_matches_beyond_its_string():
    @dataclass
    class Odd:
        a: Annotated[str, Words("[^x]*")]
        b: str

    assert kakuri_json.decode('{"a":"1","b":"2"}', type=Odd) == Odd("1", "2")
    reader = compile_decoder(codec_of(Odd).shape, USUAL)
    assert reader('{"a":"x","b":"2"}') is NO_MATCH


@pytest.mark.parametrize(
    ("kind", "bounds", "good", "bad"),
    [
        ("integer", {"ge": 2}, "2", "1"),
        ("integer", {"gt": 2, "lt": 5}, "4", "5"),
        ("number", {"ge": 2, "le": 5}, "2.5", "5.5"),
        ("string", {"min_length": 1, "max_length": 2}, '"ab"', '"abc"'),
    ],
)
def test_integer_bound_is_compared_without_a_call(kind, bounds, good, bad):
    called = []
    shape = Constrained(Scalar(kind), (Constraint(called.append, "", **bounds),))
    read = compile_decoder(shape, USUAL)
    assert read(good) is not NO_MATCH
    assert read(bad) is NO_MATCH
    assert called == []


def test_expression_with_more_than_eight_strings_uses_classes_that_compile_fast():
    every = [chr(code) for code in range(0x11_0000)]
    assert list(filter(re.compile(PLAIN).fullmatch, every)) == list(
        filter(re.compile(LATIN_FIRST).fullmatch, every)
    )
    for count, used, unused in ((8, PLAIN, LATIN_FIRST), (9, LATIN_FIRST, PLAIN)):
        kind = make_dataclass("Wide", [(f"f{number}", str) for number in range(count)])
        value = kind(*"abcdefghi"[:count])
        text = kakuri_json.dumps(value)
        read = compile_decoder(codec_of(kind).shape, USUAL)
        assert read(text) == value
        mixed = replace(value, f0="aé日a😀", f1="日", f7="")
        assert read(kakuri_json.dumps(mixed)) == mixed
        assert read(text.replace("a", "日\n")) is NO_MATCH
        pattern = read.__globals__["match"].__self__.pattern
        assert used[:-2] in pattern
        assert unused[:-2] not in pattern
