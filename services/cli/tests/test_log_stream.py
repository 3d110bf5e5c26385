"""Following a log over breaks of its connection."""

import json
from base64 import b64encode
from contextlib import contextmanager
from itertools import dropwhile

import pytest
from kakuri import _log_stream as stream
from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._line_stream import MAX_LINE, split_lines
from kakuri._outage import OutageTracker


def record(**fields):
    return json.dumps(fields).encode() + b"\n"


LINES = [("1", "a"), ("2", "b"), ("2", "c"), ("2", "b"), ("3", "d"), ("4", "e")]


class Response:
    trailers = None

    def __init__(self, pieces):
        self._pieces = pieces

    def __iter__(self):
        yield from self._pieces


class BrokenAPI:
    """Serves a log, and breaks the connection after a number of bytes, each time another one."""

    name = "here"

    def __init__(self, breaks, lines=LINES):
        self._breaks = list(breaks)
        self._lines = lines
        self.queries = []

    @contextmanager
    def stream(self, _path, params, *, content_type):
        query = dict(params)
        self.queries.append(query)
        since = query.get("since", "")
        later = dropwhile(lambda each: each[0] < since, self._lines)
        text = b"".join(record(at=at, line=line) for at, line in later)
        if not self._breaks:
            yield Response([text])
            return
        yield Response(self._broken(text, self._breaks.pop(0)))

    def _broken(self, text, size):
        yield text[:size]
        raise Unreachable("broken", code="no_answer")


@pytest.fixture
def invocation(monkeypatch):
    monkeypatch.setattr(OutageTracker.__init__, "__defaults__", (lambda seconds: None,))
    return Invocation({})


@pytest.mark.parametrize("first", range(0, 140, 3))
@pytest.mark.parametrize("second", [0, 21, 45])
def test_log_continues_after_every_break_without_a_gap_or_a_repetition(invocation, first, second):
    api = BrokenAPI([first, second])
    read = list(stream.follow_records(invocation, api, "a", [("tail", "9")]))
    assert read == [(at, record(at=at, line=line)) for at, line in LINES]


SET_BACK = [("5", "a"), ("7", "b"), ("2", "c"), ("2", "d"), ("3", "e"), ("8", "f"), ("8", "g")]


@pytest.mark.parametrize("first", range(0, 170, 3))
@pytest.mark.parametrize("second", [0, 21, 45, 90])
def test_log_whose_clock_was_set_back_continues_without_a_repetition(invocation, first, second):
    api = BrokenAPI([first, second], SET_BACK)
    read = list(stream.follow_records(invocation, api, "a", []))
    assert read == [(at, record(at=at, line=line)) for at, line in SET_BACK]


def test_record_without_a_time_is_not_repeated_before_the_last_one(invocation):
    lines = [("5", "a"), ("", "b"), ("2", "c"), ("3", "d")]
    api = BrokenAPI([len(record(at="1", line="a")) * 3], lines)
    read = [json.loads(line)["line"] for _, line in stream.follow_records(invocation, api, "a", [])]
    assert read == list("abcd")


def test_log_whose_clock_was_set_back_continues_with_a_later_line_if_the_last_one_was_removed():
    position = stream._Position()
    for at in ("7", "2"):
        position.advance(at, 1)
    position.reopened()
    assert [position.precedes_last(at) for at in ("5", "8", "3")] == [True, False, False]


def test_log_whose_response_ends_within_a_record_continues_after_the_last_one(invocation, capsys):
    class Ended(BrokenAPI):
        def _broken(self, text, size):
            yield text[:size]

    api = Ended([len(record(at="1", line="a")) + 5])
    assert b"".join(stream.follow_text(invocation, api, "a", [])) == b"a\nb\nc\nb\nd\ne\n"
    assert "trying again: the log ended within a record" in capsys.readouterr().err


def test_resumed_log_asks_for_lines_since_the_last_one(invocation):
    api = BrokenAPI([50])
    list(stream.follow_text(invocation, api, "a", [("tail", "9"), ("stream", "stdout")]))
    assert api.queries == [
        {"tail": "9", "stream": "stdout", "format": "ndjson"},
        {"stream": "stdout", "format": "ndjson", "since": "2"},
    ]


def test_log_that_breaks_after_a_mark_continues_after_the_last_record(invocation):
    class Restarted(BrokenAPI):
        def _broken(self, text, size):
            yield record(at="1", line="a") + record(type="attempt", attempt=1)
            raise Unreachable("broken", code="no_answer")

    api = Restarted([0])
    text = b"".join(stream.follow_text(invocation, api, "a", []))
    assert text == b"a\nb\nc\nb\nd\ne\n"
    assert [query.get("since") for query in api.queries] == [None, "1"]


def test_first_request_that_gets_no_response_is_an_error(invocation):
    class NoAPI:
        name = "here"

        @contextmanager
        def stream(self, _path, _params, *, content_type):
            raise Unreachable("refused", code="unreachable")
            yield

    with pytest.raises(Unreachable, match="refused"):
        list(stream.follow_text(invocation, NoAPI(), "a", []))


class Complete:
    """Serves one response."""

    name = "here"

    def __init__(self, pieces, trailers=None, error=None):
        self.response = Response(pieces)
        self.response.trailers = trailers
        self.error = error

    @contextmanager
    def stream(self, path, _params, *, content_type):
        assert path == "/workloads/a-b/log"
        yield self.response


GAP = "a-b: a part of the log was removed before it could be read\n"


@pytest.mark.parametrize(
    ("trailers", "err"), [(None, ""), ({}, ""), ({"kakuri-log-gap": "true"}, GAP)]
)
def test_gap_is_reported_after_the_lines(invocation, capsys, trailers, err):
    pieces = [b"1 a\n2", b" b\n"]
    assert b"".join(stream.read_log(invocation, Complete(pieces, trailers), "a-b", [])) == (
        b"1 a\n2 b\n"
    )
    assert capsys.readouterr().err == err
    records = [record(at="1", line="a")]
    text = list(stream.follow_text(invocation, Complete(records, trailers), "a-b", []))
    assert text == [b"a\n"]
    assert capsys.readouterr().err == err


RECORDS = [
    (record(at="1", stream="stdout", attempt=0, line="a"), b"a\n", b"1 a\n"),
    (record(at="2", stream="stdout", attempt=0, line="b", partial=True), b"b", b"2 b"),
    (record(at="3", stream="stdout", attempt=0, line="c"), b"c\n", b"c\n"),
    (record(at="4", stream="stdout", attempt=0, line="d", partial=True), b"d", b"4 d"),
    (record(at="5", stream="stderr", attempt=0, line="e"), b"e\n", b"\n5 e\n"),
    (record(at="6", stream="stderr", attempt=0, line="f", partial=True), b"f", b"6 f"),
    (record(type="attempt", attempt=1), b"", b"\n--- attempt 1\n"),
    (record(attempt=1, line="\ufffd", base64="/w=="), b"\xff\n", b"- \xff\n"),
    (record(type="gap"), b"", b"--- gap\n"),
    (record(type="another"), b"", b""),
]


@pytest.mark.parametrize("has_times", [False, True])
def test_followed_text_is_what_the_container_wrote(invocation, has_times):
    api = Complete([b"".join(record for record, _, _ in RECORDS)])
    pieces = list(stream.follow_text(invocation, api, "a-b", [], has_times=has_times))
    expected = [timed if has_times else plain for _, plain, timed in RECORDS]
    assert pieces == [piece for piece in expected if piece]


def test_bytes_that_are_not_base64_count_as_no_response():
    with pytest.raises(Unreachable, match=r"\$\.base64: expected base64, got 'x'"):
        stream.content_of({"line": "x", "base64": "x"})


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_are_split_wherever_the_pieces_end(size):
    text = b"a\n\nbcd\ne"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(split_lines(pieces, "a line")) == [b"a\n", b"\n", b"bcd\n", b"e"]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_line_without_an_end_raises_unreachable_at_its_limit(end):
    taken = []

    def endless():
        while True:
            taken.append(len(b"x" * 65_536))
            yield b"x" * 65_536

    with pytest.raises(Unreachable, match="a line: expected a line of at most 4194304 bytes"):
        list(split_lines(endless(), "a line"))
    assert sum(taken) == MAX_LINE + 65_536
    longest = b"x" * MAX_LINE + end
    assert list(split_lines([longest], "a line")) == [longest]


def test_records_have_their_times_and_marks_have_none(invocation):
    records = [b'{"at":"1","line":"a"}\n', b'{"type":"attempt"}\n', b'{"type":"attempt"}\n']
    found = list(stream.follow_records(invocation, Complete(records), "a-b", []))
    assert found == [("1", records[0]), ("", records[1]), ("", records[2])]


@pytest.mark.parametrize(
    ("record", "message"),
    [(b"{", "a record of the log is not valid JSON"), (b"[]", "is not a JSON object")],
)
def test_record_that_is_not_an_object_counts_as_no_response(invocation, record, message):
    with pytest.raises(Unreachable, match=message) as caught:
        stream.record_of(record)
    assert caught.value.code == "bad_answer"


def test_break_is_reported_and_waited_for(monkeypatch, capsys):
    waits = []
    monkeypatch.setattr(OutageTracker.__init__, "__defaults__", (waits.append,))
    list(stream.follow_text(Invocation({}), BrokenAPI([9]), "a", []))
    assert waits == [0.1]
    lost, back = capsys.readouterr().err.splitlines()
    assert lost.endswith(" lost here, trying again: broken")
    assert " here is back after " in back


def test_log_without_a_line_yet_is_asked_for_again_as_at_first(invocation):
    api = BrokenAPI([0])
    list(stream.follow_text(invocation, api, "a", [("tail", "9"), ("since", "0")]))
    assert api.queries == [{"tail": "9", "since": "0", "format": "ndjson"}] * 2


def test_position_replaces_where_the_log_began_and_keeps_what_selects_its_lines():
    position = stream._Position()
    query = [("tail", "9"), ("stream", "stdout"), ("since", "0"), ("attempt", "1")]
    assert position.resumed(query) == query
    assert position.advance("2", 3) == 0
    assert position.resumed(query) == [("stream", "stdout"), ("attempt", "1"), ("since", "2")]


def test_repeated_bytes_are_skipped_only_until_a_later_time():
    position = stream._Position()
    assert [position.advance(at, 5) for at in ("2", "2")] == [0, 0]
    position.reopened()
    assert [position.advance(at, 5) for at in ("3", "3", "3")] == [0] * 3
    position.reopened()
    assert [position.advance("3", 4) for _ in range(5)] == [4, 4, 4, 3, 0]


class CutAPI:
    """Serves a long line in parts, and other parts when it is asked for again."""

    name = "here"

    def __init__(self, *responses):
        self._responses = list(responses)

    @contextmanager
    def stream(self, _path, _params, *, content_type):
        yield Response(self._parts(self._responses.pop(0)))

    def _parts(self, parts):
        for part in parts:
            fields = {"line": part.decode(errors="replace"), "partial": not part.endswith(b"x")}
            if not part.isascii():
                fields["base64"] = b64encode(part).decode()
            yield record(at="1", stream="stdout", attempt=0, **fields)
        if self._responses:
            raise Unreachable("broken", code="no_answer")


LONG_LINE = [
    ([b"ab", b"cde"], [b"abcd", b"efg\x7f", b"x"]),
    ([b"a"], [b"abcdefg\x7fx"]),
    ([b"abc"], [b"abc", b"defg\x7fx"]),
    ([b"abcdefg\x7f"], [b"abcdefg\x7fx"]),
    ([b"a\xc3"], [b"a", b"\xc3\xa4b\xffc\x7fx"]),
]


@pytest.mark.parametrize(("before", "after"), LONG_LINE)
def test_long_line_that_is_cut_elsewhere_after_a_break_is_printed_once(invocation, before, after):
    text = b"".join(stream.follow_text(invocation, CutAPI(before, after), "a", []))
    assert text == b"".join(after) + b"\n"
    lines = [line for _, line in stream.follow_records(invocation, CutAPI(before, after), "a", [])]
    records = [stream.record_of(line) for line in lines]
    assert b"".join(map(stream.content_of, records)) == text
    assert {each["at"] for each in records} == {"1"}
    assert not any(b"\x7f" in line for line in lines[len(before) :])
