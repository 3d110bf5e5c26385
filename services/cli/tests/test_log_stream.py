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
