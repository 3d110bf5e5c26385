"""Following a log over breaks of its connection."""

from contextlib import contextmanager

import pytest
from kakuri import _log_stream as stream
from kakuri._exits import Unreachable
from kakuri._invocation import Invocation
from kakuri._outage import Outage

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

    def __init__(self, breaks):
        self._breaks = list(breaks)
        self.queries = []

    @contextmanager
    def stream(self, _path, params):
        query = dict(params)
        self.queries.append(query)
        since = query.get("since", "")
        text = "".join(f"{at} {line}\n" for at, line in LINES if at >= since).encode()
        if not self._breaks:
            yield Response([text])
            return
        yield Response(self._broken(text, self._breaks.pop(0)))

    def _broken(self, text, size):
        yield text[:size]
        raise Unreachable("broken", code="no_answer")


@pytest.fixture
def invocation(monkeypatch):
    monkeypatch.setattr(Outage.__init__, "__defaults__", (lambda seconds: None,))
    return Invocation({})


@pytest.mark.parametrize("first", range(30))
@pytest.mark.parametrize("second", [0, 5, 9])
def test_log_goes_on_after_every_break_without_a_gap_or_a_repetition(invocation, first, second):
    api = BrokenAPI([first, second])
    read = list(stream.follow_lines(invocation, api, "a", [("tail", "9")]))
    assert read == [(at, f"{line}\n".encode()) for at, line in LINES]


def test_resumed_log_asks_for_lines_since_the_last_one(invocation):
    api = BrokenAPI([9])
    list(stream.follow_lines(invocation, api, "a", [("tail", "9"), ("stream", "stdout")]))
    assert api.queries == [
        {"tail": "9", "stream": "stdout", "timestamps": "true"},
        {"stream": "stdout", "timestamps": "true", "since": "2"},
    ]


def test_first_request_that_gets_no_response_is_an_error(invocation):
    class NoAPI:
        name = "here"

        @contextmanager
        def stream(self, _path, _params):
            raise Unreachable("refused", code="unreachable")
            yield

    with pytest.raises(Unreachable, match="refused"):
        list(stream.follow_lines(invocation, NoAPI(), "a", []))


class Complete:
    """Serves one response."""

    name = "here"

    def __init__(self, pieces, trailers=None, error=None):
        self.response = Response(pieces)
        self.response.trailers = trailers
        self.error = error

    @contextmanager
    def stream(self, path, _params):
        assert path == "/workloads/a%20b/log"
        yield self.response


GAP = "a b: a part of the log was removed before it could be read\n"


@pytest.mark.parametrize(
    ("trailers", "err"), [(None, ""), ({}, ""), ({"kakuri-log-gap": "true"}, GAP)]
)
def test_gap_is_reported_after_the_lines(invocation, capsys, trailers, err):
    pieces = [b"1 a\n2", b" b\n"]
    assert b"".join(stream.read_log(invocation, Complete(pieces, trailers), "a b", [])) == (
        b"1 a\n2 b\n"
    )
    assert capsys.readouterr().err == err
    lines = list(stream.follow_lines(invocation, Complete(pieces, trailers), "a b", []))
    assert lines == [("1", b"a\n"), ("2", b"b\n")]
    assert capsys.readouterr().err == err


def test_last_line_may_have_no_line_feed(invocation):
    lines = list(stream.follow_lines(invocation, Complete([b"1 a\n2 b"]), "a b", []))
    assert lines == [("1", b"a\n"), ("2", b"b")]


def test_records_have_their_times_and_marks_have_none(invocation):
    records = [b'{"at":"1","line":"a"}\n', b'{"type":"attempt"}\n', b'{"type":"attempt"}\n']
    found = list(stream.follow_records(invocation, Complete(records), "a b", []))
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
    monkeypatch.setattr(Outage.__init__, "__defaults__", (waits.append,))
    list(stream.follow_lines(Invocation({}), BrokenAPI([9]), "a", []))
    assert waits == [0.1]
    lost, back = capsys.readouterr().err.splitlines()
    assert lost.endswith(" lost here, trying again: broken")
    assert " here is back after " in back


def test_log_without_a_line_yet_is_asked_for_again_as_at_first(invocation):
    api = BrokenAPI([0])
    list(stream.follow_lines(invocation, api, "a", [("tail", "9"), ("since", "0")]))
    assert api.queries == [{"tail": "9", "since": "0", "timestamps": "true"}] * 2


def test_position_replaces_where_the_log_began_and_keeps_what_selects_its_lines():
    position = stream._Position()
    query = [("tail", "9"), ("stream", "stdout"), ("since", "0"), ("attempt", "1")]
    assert position.resumed(query) == query
    assert position.is_new("2")
    assert position.resumed(query) == [("stream", "stdout"), ("attempt", "1"), ("since", "2")]


def test_lines_that_come_again_are_counted_only_until_a_later_line():
    position = stream._Position()
    assert [position.is_new(at) for at in ("2", "2")] == [True, True]
    position.reopened()
    assert [position.is_new(at) for at in ("3", "3", "3")] == [True] * 3
    position.reopened()
    assert [position.is_new("3") for _ in range(4)] == [False] * 3 + [True]
