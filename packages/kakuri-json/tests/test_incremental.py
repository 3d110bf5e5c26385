"""The incremental parser agrees with loads, however the bytes are cut."""

import sys

import kakuri_json
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kakuri_json import EventKind, IncrementalParser, JSONError, JSONSyntaxError, LimitError, Limits

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('ab\\é"\U0001f600\n', max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def events(pieces, **settings):
    parser = IncrementalParser(**settings)
    found = []
    for piece in [*(piece for piece in pieces if piece), b""]:
        parser.receive_data(piece)
        while (event := parser.next_event()).kind is not EventKind.NEED_DATA:
            found.append(event)
            if event.kind is EventKind.END:
                return found
    raise AssertionError("no end")


def build(found):
    outer = [[]]
    keys = []
    for kind, value in found:
        match kind:
            case EventKind.KEY:
                keys.append(value)
                continue
            case EventKind.START_ARRAY | EventKind.START_OBJECT:
                outer.append([] if kind is EventKind.START_ARRAY else {})
                continue
            case EventKind.END_ARRAY | EventKind.END_OBJECT:
                value = outer.pop()
            case EventKind.END:
                break
        if isinstance(outer[-1], dict):
            outer[-1][keys.pop()] = value
        else:
            outer[-1].append(value)
    return outer[0][0]


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


@settings(max_examples=60, deadline=None)
@given(values, st.booleans(), st.integers(1, 7))
def test_events_of_document_cut_anywhere_build_what_loads_returns(value, pretty, size):
    data = kakuri_json.dumps(value, indent=1 if pretty else None).encode()
    for pieces in ([data], bytewise(data), [data[i : i + size] for i in range(0, len(data), size)]):
        built = build(events(pieces))
        assert built == value
        assert repr(built) == repr(value)


ESCAPES = rb'["\u0061\n\ud83d\ude00\\","\u00e9"]'


def test_escape_cut_anywhere_is_one_value():
    for cut in range(len(ESCAPES)):
        assert build(events([ESCAPES[:cut], ESCAPES[cut:]])) == ["a\n\U0001f600\\", "é"]
    assert build(events(bytewise(ESCAPES))) == ["a\n\U0001f600\\", "é"]


def next_events(piece):
    """Return the events of one piece, while more may follow."""
    parser = IncrementalParser()
    parser.receive_data(piece)
    found = []
    while (event := parser.next_event()).kind is not EventKind.NEED_DATA:
        found.append(event.value)
    return found


@pytest.mark.parametrize(
    ("string", "value"),
    [
        (rb'"a"', "a"),
        (rb'"\n"', "\n"),
        (rb'"\u0061"', "a"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\ude00\ud83d"', None),
        (rb'"\ud83d"', None),
        (rb'"\ud83dx"', None),
        (rb'"\ud83d\n', None),
        (rb'"\ud83dabcdef', None),
        (rb'"\u12g', None),
        (rb'"\x', None),
    ],
)
def test_string_is_reported_or_rejected_once_no_more_data_can_change_it(string, value):
    if value is None:
        with pytest.raises(JSONSyntaxError) as caught:
            next_events(string)
        assert caught.value.position == 1
    else:
        assert next_events(string) == [value]
        assert next_events(b"[" + string) == [None, value]


@pytest.mark.parametrize("digits", [rb"\u", rb"\ud", rb"\ud83", rb"\ud83d", rb"\ud83d\ude0"])
def test_escape_that_may_continue_waits_for_more_data(digits):
    assert next_events(b'"' + digits) == []


FAULTY = [
    b"",
    b" ",
    b"[1,]",
    b'{"a":1,}',
    b'{"a" 1}',
    b"[1 2]",
    b'{"a":1,"\\u0061":2}',
    b"[\n\n 01]",
    b"nul",
    b"-",
    b"1.",
    b"1e",
    b"NaN",
    b'"\\ud800x"',
    b'"\\ud800\\n"',
    b'"\\x"',
    b'"\\u12',
    b'"a\n"',
    b'"\xff"',
    b'"\xe2\x82',
    b"[1e999]",
    b"[",
    b"{",
    b'{"a"',
    b'{"a":',
    b"[1",
    b'{"a":1',
    b"1 2",
    b"]",
    b"{]",
    b"[}",
    b"{1:2}",
    b"\xef\xbb\xbf1",
    b"[truex]",
    b"[true1]",
    b'"\xc3\xa9\n',
    b'{"a":]',
    b"{// x",
    b'{"a":1,# x',
]


@pytest.mark.parametrize("data", FAULTY)
def test_invalid_document_raises_at_the_same_position_as_loads(data):
    with pytest.raises(JSONSyntaxError) as whole:
        kakuri_json.loads(data)
    for pieces in ([data], bytewise(data)):
        with pytest.raises(JSONSyntaxError) as caught:
            events(pieces)
        error = caught.value
        if "again" not in error.message:  # a duplicate key is reported as soon as it is read
            assert (error.position, error.line, error.column) == (
                whole.value.position,
                whole.value.line,
                whole.value.column,
            )


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"[",
                b"]",
                b"{",
                b"}",
                b",",
                b":",
                b'"a"',
                b'"',
                b"\\",
                b"1",
                b"-",
                b".5",
                b"e1",
                b"true",
                b" ",
                b"\n",
                b"\xc3",
                b"\xa9",
                b"\\u00",
                b"e9",
            ]
        ),
        max_size=12,
    )
)
def test_incremental_parser_accepts_the_same_documents_as_loads(pieces):
    data = b"".join(pieces)
    try:
        expected = kakuri_json.loads(data)
    except JSONError:
        expected = None
        for cut in (pieces, [data], bytewise(data)):
            with pytest.raises(JSONError):
                events(cut)
    else:
        for cut in (pieces, [data], bytewise(data)):
            assert build(events(cut)) == expected


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (b"[[[[", "max_depth"),
        (b"[123456", "max_digits"),
        (b'{"a":1,"b":2,"c":3', "max_keys"),
        (b'["' + b"x" * 11, "max_string"),
        (b'["' + b"\\n" * 11, "max_string"),
    ],
)
def test_incremental_parser_raises_limit_error_beyond_each_limit(data, limit):
    for pieces in ([data], bytewise(data)):
        with pytest.raises(LimitError) as caught:
            events(pieces, limits=Limits(max_depth=3, max_digits=5, max_keys=2), max_string=10)
        assert caught.value.limit == limit


@pytest.mark.parametrize(
    "data",
    [b"[[[1]]]", b"[12345,-1234]", b'{"a":1,"b":2}', b'["' + b"x" * 10 + b'",""]', b"12345"],
)
def test_incremental_parser_accepts_each_limit_itself(data):
    for pieces in ([data], bytewise(data)):
        found = events(pieces, limits=Limits(max_depth=3, max_digits=5, max_keys=2), max_string=10)
        assert build(found) == kakuri_json.loads(data)


def test_incremental_parser_of_more_digits_than_the_interpreter_converts_raises_limit_error():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(LimitError) as caught:
            events([b"[", b"9" * 700, b"]"])
    finally:
        sys.set_int_max_str_digits(before)
    error = caught.value
    assert (error.limit, error.maximum, error.position) == ("max_digits", 640, 1)


def test_incremental_parser_buffers_nothing_after_complete_values():
    parser = IncrementalParser()
    parser.receive_data(b"[")
    chunk = b'{"id":"wl-1","values":[1.5,2,null,"text"]},' * 100
    most = 0
    for _ in range(50):
        parser.receive_data(chunk)
        while parser.next_event().kind is not EventKind.NEED_DATA:
            pass
        most = max(most, parser.buffered)
    assert most == 0
    assert repr(parser) == "<IncrementalParser VALUE depth=1 buffered=0>"


def test_string_in_many_pieces_is_scanned_once():
    parser = IncrementalParser()
    parser.receive_data(b'"')
    for _ in range(1000):
        parser.receive_data(b"xxxx\\")
        assert parser.next_event().kind is EventKind.NEED_DATA
        assert len(parser._text) - parser._position == 1
        parser.receive_data(b"n")
        assert parser.next_event().kind is EventKind.NEED_DATA
        assert len(parser._text) == parser._position
    assert parser.buffered == 5000


@pytest.mark.parametrize("data", [b"1", b""])
def test_receive_data_after_the_end_raises_runtime_error(data):
    parser = IncrementalParser()
    parser.receive_data(b"1")
    parser.receive_data(b"")
    with pytest.raises(RuntimeError, match="after the end of the document"):
        parser.receive_data(data)
    assert parser.next_event() == (EventKind.VALUE, 1)
    assert [parser.next_event().kind for _ in range(2)] == [EventKind.END, EventKind.END]


@pytest.mark.parametrize("data", ["1", None, [], 1])
def test_receive_data_of_wrong_type_raises_type_error_and_changes_nothing(data):
    parser = IncrementalParser()
    with pytest.raises(TypeError, match=f"expected bytes as a chunk, got {type(data).__name__}"):
        parser.receive_data(data)
    parser.receive_data(memoryview(b"[]"))
    assert parser.next_event().kind is EventKind.START_ARRAY


def test_max_string_that_is_not_a_count_raises_type_or_value_error():
    with pytest.raises(TypeError, match="expected an integer as max_string, got '5'"):
        IncrementalParser(max_string="5")
    with pytest.raises(ValueError, match="expected at least 0 as max_string, got -1"):
        IncrementalParser(max_string=-1)


def test_incremental_parser_accepts_strings_of_1_mi_characters_by_default():
    parser = IncrementalParser()
    parser.receive_data(b'["' + b"x" * 2**20 + b'","' + b"x" * 2**20)
    kinds = [parser.next_event().kind for _ in range(3)]
    assert kinds == [EventKind.START_ARRAY, EventKind.VALUE, EventKind.NEED_DATA]
    parser.receive_data(b"x")
    with pytest.raises(LimitError) as caught:
        parser.next_event()
    assert (caught.value.limit, caught.value.maximum) == ("max_string", 2**20)
