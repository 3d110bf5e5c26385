import json
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from kakuri import _events
from kakuri._client import APIProblem
from kakuri._events import _lines, follow_events, updates
from kakuri._exits import CommandError, Exit, Unreachable
from kakuri._invocation import Invocation
from kakuri._outage import OutageTracker
from kakuri_http import Response, problem

from .conftest import NOW

AT = "2026-11-26T14:01:0{}.000000Z"
EVENTS = [
    {"index": 1, "at": AT.format(1), "type": "workload", "id": "web", "state": "running"},
    {"index": 2, "at": AT.format(2), "type": "workload", "id": "api", "state": "failed",
     "reason": "ImagePullFailed", "message": "not \x1b found", "attempt": 1},
    {"index": 3, "at": AT.format(3), "type": "desired", "id": "web", "desired": "removed"},
]  # fmt: skip
HEARTBEAT = {"index": 3, "type": "heartbeat"}
LINES = [
    f"{AT.format(1)}   1   web   running",
    f"{AT.format(2)}   2   api   failed ImagePullFailed attempt 1: not \\x1b found",
    f"{AT.format(3)}   3   web   removal requested",
]


@pytest.fixture
def three(api):
    api.events += EVENTS


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ([], LINES),
        (["--since", "1"], LINES[1:]),
        (["--since", "15s"], LINES[1:]),
        (["--since", AT.format(3)], LINES[2:]),
        (["web"], [LINES[0], LINES[2]]),
        (["--tail", "2"], LINES[1:]),
        (["-n", "1000"], LINES),
        (["--tail", "0"], []),
        (["--tail", "1", "api"], [LINES[1]]),
        (["--tail", "2", "web"], [LINES[0], LINES[2]]),
        (["--tail", "2", "--since", AT.format(3)], LINES[2:]),
        (["--tail", "1", "--since", "1h"], LINES[2:]),
        (["--since", "now"], []),
    ],
)
def test_events_shows_all_kept_events(kakuri, three, arguments, lines):
    result = kakuri("events", *arguments)
    assert (result.code, result.out.splitlines(), result.err) == (0, lines, "")


def test_events_of_a_node_without_any_are_empty(kakuri, api):
    assert kakuri("events").out == ""


def test_empty_filter_is_sent_rather_than_left_out(kakuri, three, api):
    kakuri("events", "")
    assert api.requests == [("GET", "/events?tail=1&workload=&after=now")]


def test_events_that_match_nothing_end_without_reading_the_others(kakuri, three, api):
    result = kakuri("events", "other")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert api.requests == [("GET", "/events?tail=1&workload=other&after=now")]


@pytest.mark.parametrize("since", ["1", "2", "3"])
def test_events_after_the_latest_that_matches_end_without_a_second_request(
    kakuri, three, api, since
):
    result = kakuri("events", "api", "--since", since)
    lines = LINES[1:2] if since == "1" else []
    assert (result.code, result.out.splitlines(), result.err) == (0, lines, "")
    newest, *others = [target for _, target in api.requests]
    assert newest == "/events?tail=1&workload=api&after=now"
    assert others == (["/events?workload=api&after=1"] if since == "1" else [])


@pytest.mark.parametrize("earlier", [EVENTS[:1], []])
@pytest.mark.parametrize("options", [[], ["-f"]])
def test_events_after_an_index_in_the_future_are_an_error(kakuri, monkeypatch, earlier, options):
    refusal = APIProblem("expected an index up to 3", Exit.NOT_FOUND, code="compacted",
                         status=410, problem={"oldest": 1, "newest": 3}, document=None)  # fmt: skip
    streams = Streams(*([] if options else [[*earlier, HEARTBEAT]]), refusal)
    monkeypatch.setattr(
        "kakuri._client.API.stream", lambda _, *args, **kw: streams.stream(*args, **kw)
    )
    result = kakuri("events", "web", "--since", "50", *options)
    assert (result.code, result.out) == (3, "")
    assert result.err == "error: expected an index up to 3\n"
    assert streams.queries[-1] == {"workload": "web", "after": "50"}


def test_index_in_the_future_after_a_break_is_skipped_because_the_store_was_replaced(quick):
    refusal = APIProblem("too late", Exit.NOT_FOUND, code="compacted", status=410,
                         problem={"oldest": 1, "newest": 2}, document=None)  # fmt: skip
    api = Streams([{"index": 7, "type": "heartbeat"}], refusal, [{"type": "stop"}])
    assert indexes(quick, api, "0") == [7, 1]
    assert api.queries == [{"after": "0"}, {"after": "7"}, {"after": "1"}]


@pytest.mark.parametrize(
    ("content_type", "body"), [("text/html", b"<html>"), ("application/json", b"{}")]
)
@pytest.mark.parametrize("arguments", [[], ["-f"], ["--tail", "2"]])
def test_events_with_another_content_type_are_an_error(kakuri, api, content_type, body, arguments):
    api.overrides[("GET", "/events")] = Response(200, body, content_type=content_type)
    result = kakuri("events", *arguments)
    assert (result.code, result.out, len(api.requests)) == (6, "", 1)
    assert result.err == (
        f"error: the response: expected the Content-Type application/x-ndjson, got {content_type}\n"
    )


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"type": "desired", "id": "web", "state": "failed", "reason": "Error"}, "web   start requested"),
        ({"type": "desired", "id": "web", "state": "running", "desired": "stopped"},
         "web   stop requested"),
        ({"type": "node", "version": "0.1.0"}, "-   node started, version 0.1.0"),
        ({"type": "runtime", "available": False, "message": "refused"},
         "-   runtime unavailable: refused"),
    ],
)  # fmt: skip
def test_event_of_each_kind_is_a_sentence(kakuri, api, event, text):
    api.events.append({"index": 1, "at": AT.format(1)} | event)
    assert kakuri("events").out == f"{AT.format(1)}   1   {text}\n"


def test_wide_events_end_with_the_trace_of_their_request(kakuri, api):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    api.events += [EVENTS[0] | {"trace": trace}, *EVENTS[1:]]
    wide = kakuri("events", "-o", "wide").out.splitlines()
    assert wide == [f"{LINES[0]}   trace {trace}", *LINES[1:]]
    assert kakuri("events").out.splitlines() == LINES


def test_events_as_json_are_one_document_a_line(kakuri, three):
    lines = kakuri("events", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == EVENTS


def test_wrong_since_is_a_usage_error(kakuri):
    assert kakuri("events", "--since", "tomorrow").code == 2


@pytest.mark.parametrize("since", ["²", "9" * 20, "9" * 5000, "9" * 400 + "d"])
@pytest.mark.parametrize("options", [[], ["-f"]])
def test_since_that_is_neither_an_index_nor_a_duration_is_a_usage_error(kakuri, since, options):
    result = kakuri("events", "--since", since, *options)
    assert (result.code, result.out) == (2, "")
    assert "--since: expected an index, a duration like 10m, a time or now" in result.err


@pytest.mark.parametrize("since", ["7", "now"])
def test_events_with_a_tail_and_a_position_are_a_usage_error(kakuri, api, since):
    result = kakuri("events", "--tail", "5", "--since", since)
    assert (result.code, result.out, api.requests) == (2, "", [])
    assert result.err == (
        "error: --tail counts back from the latest event: it can't be combined with --since "
        f"{since}; only with a time, like --since 10m\n"
    )


@pytest.mark.parametrize("count", ["1001", "-1", "all"])
def test_events_with_a_tail_outside_0_to_1000_are_a_usage_error(kakuri, api, count):
    result = kakuri("events", "--tail", count)
    assert (result.code, api.requests) == (2, [])
    assert "--tail" in result.err


def test_events_with_a_tail_of_zero_still_need_a_server(kakuri, environment):
    environment.setenv("KAKURI_HOST", "http://127.0.0.1:1")
    assert kakuri("events", "--tail", "0").code == 6


def test_events_with_a_tail_as_json_and_names_are_those_events(kakuri, three):
    lines = kakuri("events", "--tail", "2", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == EVENTS[1:]
    assert kakuri("events", "--tail", "2", "-q").out == "api\nweb\n"


def test_followed_events_with_a_tail_show_the_latest_and_then_each_new_one(
    kakuri, three, api, monkeypatch
):
    shown = []

    def show(_invocation, event):
        shown.append(event["index"])
        if shown == [2, 3]:
            api.publish(**EVENTS[0] | {"index": 4})
        if len(shown) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("kakuri._events._print", show)
    assert kakuri("events", "--tail", "2", "-f").code == 130
    assert shown == [2, 3, 4]


def test_events_with_a_tail_resume_after_a_break_and_end_with_the_heartbeat(kakuri, monkeypatch):
    streams = Streams(EVENTS[:2], [EVENTS[2], HEARTBEAT, EVENTS[0]])
    monkeypatch.setattr(
        "kakuri._client.API.stream", lambda _, *args, **kw: streams.stream(*args, **kw)
    )
    monkeypatch.setattr(OutageTracker, "attempt_failed", lambda self, error: None)
    assert kakuri("events", "--tail", "3").out.splitlines() == LINES
    assert streams.queries == [{"tail": "3", "after": "now"}, {"tail": "3", "after": "2"}]


def test_followed_events_continue_until_the_reader_stops(kakuri, api, monkeypatch):
    api.once_followed(lambda: api.publish(**EVENTS[0]))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kakuri._events._print", interrupt)
    assert kakuri("events", "-f").code == 130


class Streams:
    """Serves prepared streams of events, each of which breaks at its end."""

    name = "here"

    def __init__(self, *streams):
        self._streams = iter(streams)
        self.queries = []

    def stream(self, _path, params, *, silence, content_type):
        self.queries.append(dict(params))
        return self.Stream(next(self._streams))

    class Stream:
        def __init__(self, lines):
            self._lines = lines

        def __enter__(self):
            if isinstance(self._lines, Exception):
                raise self._lines
            return iter([json.dumps(line).encode() + b"\n" for line in self._lines])

        def __exit__(self, *_):
            return None


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(OutageTracker, "attempt_failed", lambda self, error: None)
    monkeypatch.setattr(_events, "GAP_SECONDS", 0)
    return Invocation({})


def indexes(invocation, api, after):
    found = []
    for event in follow_events(invocation, api, after):
        if event["type"] == "stop":
            return found
        found.append(event["index"])
    return found


def compacted(oldest):
    return APIProblem("too old", Exit.NOT_FOUND, code="compacted", status=410,
                      problem={"oldest": oldest}, document=None)  # fmt: skip


def test_stream_that_breaks_is_resumed_after_the_last_index(quick):
    api = Streams(EVENTS[:1], [{"type": "heartbeat", "index": 7}], [{"type": "stop"}])
    assert indexes(quick, api, "now") == [1, 7]
    assert api.queries == [{"after": "now"}, {"after": "1"}, {"after": "7"}]


def test_compacted_index_is_reported_and_skipped(quick, capsys):
    api = Streams(compacted(40), [{"type": "stop"}])
    assert indexes(quick, api, "7") == [40]
    assert api.queries == [{"after": "7"}, {"after": "40"}]
    assert capsys.readouterr().err == "events between 7 and 40 are no longer kept\n"


@pytest.mark.parametrize("oldest", [0, 7])
def test_index_of_a_store_that_was_replaced_is_skipped(quick, capsys, oldest):
    first = {"index": 7, "type": "heartbeat", "store_id": "a" * 32}
    later = {"index": 9, "type": "heartbeat", "store_id": "b" * 32}
    refusal = compacted(oldest)
    refusal.problem["store_id"] = "b" * 32
    api = Streams([first], refusal, [later], [{"type": "stop"}])
    assert indexes(quick, api, "0") == [7, oldest, 9]
    assert api.queries == [
        {"after": "0"}, {"after": "7", "store_id": "a" * 32}, {"after": str(oldest)},
        {"after": "9", "store_id": "b" * 32},
    ]  # fmt: skip
    assert (
        capsys.readouterr().err
        == "the agent's store was replaced; the events of the new one follow\n"
    )


def test_gap_within_a_stream_is_reported_and_skipped(quick, capsys):
    api = Streams([EVENTS[0], {"type": "gap", "oldest": 40}, EVENTS[1]], [{"type": "stop"}])
    assert indexes(quick, api, "0") == [1, 40]
    assert api.queries == [{"after": "0"}, {"after": "40"}]
    assert "events between 1 and 40 are no longer kept" in capsys.readouterr().err


def test_gap_before_the_first_event_is_reported_with_its_end(quick, capsys):
    api = Streams([{"type": "gap", "oldest": 40}], [{"type": "stop"}])
    assert indexes(quick, api, "now") == [40]
    assert capsys.readouterr().err == "events before 40 are no longer kept\n"


def test_follow_pauses_after_each_gap(quick, monkeypatch):
    pauses = []
    monkeypatch.setattr(_events.time, "sleep", pauses.append)
    monkeypatch.setattr(_events, "GAP_SECONDS", 0.5)
    api = Streams([{"type": "gap", "oldest": 40}], compacted(50), [{"type": "stop"}])
    assert indexes(quick, api, "now") == [40, 50]
    assert pauses == [0.5, 0.5]


def test_refusal_of_the_latest_events_as_compacted_is_an_error(quick):
    api = Streams(compacted(40))
    with pytest.raises(CommandError, match="too old"):
        indexes(quick, api, "now")


def test_index_that_the_api_named_and_refuses_is_an_error(quick):
    api = Streams(compacted(40), compacted(40))
    with pytest.raises(CommandError, match="too old"):
        indexes(quick, api, "7")
    assert api.queries == [{"after": "7"}, {"after": "40"}]


def test_events_that_were_compacted_at_the_beginning_are_skipped_without_a_report(
    kakuri, monkeypatch
):
    streams = Streams([EVENTS[2], HEARTBEAT], compacted(2), [EVENTS[2]])
    monkeypatch.setattr(
        "kakuri._client.API.stream", lambda _, *args, **kw: streams.stream(*args, **kw)
    )
    result = kakuri("events")
    assert (result.code, result.out.splitlines(), result.err) == (0, LINES[2:], "")
    assert streams.queries == [{"tail": "1", "after": "now"}, {"after": "0"}, {"after": "2"}]


def test_first_request_without_a_response_is_an_error(quick):
    api = Streams(Unreachable("refused", code="unreachable"))
    with pytest.raises(Unreachable):
        indexes(quick, api, "now")


def test_refused_query_is_an_error(kakuri, api):
    refused = problem(400, code="bad_request", detail="one fault", errors=[
        {"path": "query.type", "message": "expected a type"}])  # fmt: skip
    api.overrides[("GET", "/events")] = refused
    result = kakuri("events", "--type", "x")
    assert result.code == 2
    assert result.err == "error: one fault\n  query.type: expected a type\n"


def test_watched_list_is_printed_again_after_each_change(kakuri, api, monkeypatch):
    api.add("web", "pending")
    shown = []
    from kakuri import _ps  # noqa: PLC0415

    real = _ps._print

    def printed(invocation, workloads, node):
        shown.append([one["state"] for one in workloads])
        real(invocation, workloads, node)
        if len(shown) == 2:
            raise KeyboardInterrupt
        api.change("web", state="running")
        api.publish(**EVENTS[0] | {"index": 9})

    monkeypatch.setattr(_ps, "_print", printed)
    assert kakuri("ps", "-w").code == 130
    assert shown == [["pending"], ["running"]]


def test_watched_list_that_cannot_be_read_is_read_again(kakuri, api, monkeypatch):
    api.add("web")
    shown = []

    def printed(invocation, workloads, node):
        shown.append(workloads)
        if len(shown) == 2:
            raise KeyboardInterrupt
        lost = problem(503, code="agent_unreachable", detail="the agent does not answer")
        api.once["GET", "/workloads"] = lost
        api.publish(**EVENTS[0] | {"index": 9})

    monkeypatch.setattr("kakuri._ps._print", printed)
    result = kakuri("ps", "-w")
    assert (result.code, len(shown)) == (130, 2)
    lost, back, _ = result.err.splitlines()  # Ctrl-C ends a line
    assert lost.endswith(", trying again: the agent does not answer")
    assert " is back after " in back


def test_changes_while_a_list_is_read_are_one_update(monkeypatch):
    read_first, go_on = threading.Event(), threading.Event()

    def follow(*_):
        yield {"type": "synced", "index": 1}
        assert go_on.wait(10)
        yield from EVENTS * 100
        read_first.set()
        raise Unreachable("lost", code="no_answer")

    monkeypatch.setattr("kakuri._events.follow_events", follow)
    found = updates(Invocation({}), SimpleNamespace(clone=lambda: nullcontext()))
    next(found)
    go_on.set()
    assert read_first.wait(10)
    next(found)
    with pytest.raises(Unreachable, match="lost"):
        next(found)


@pytest.mark.parametrize(
    ("text", "message"), [(b"{\n", "an event is not valid JSON"), (b"[]\n", "not a JSON object")]
)
def test_event_that_is_not_an_object_counts_as_no_response(monkeypatch, text, message):
    class Broken(Streams):
        def stream(self, _path, params, *, silence, content_type):
            return nullcontext(iter([text]))

    def fail(_self, error):
        raise error

    monkeypatch.setattr(OutageTracker, "attempt_failed", fail)
    with pytest.raises(Unreachable, match=message) as caught:
        next(follow_events(Invocation({}), Broken(), "0"))
    assert caught.value.code == "bad_answer"


def test_stream_counts_as_broken_after_fifteen_seconds_of_silence(quick):
    silences = []

    class Silent(Streams):
        def stream(self, path, params, **options):
            silences.append((path, options["silence"]))
            return super().stream(path, params, **options)

    indexes(quick, Silent([{"type": "stop"}]), "0")
    assert silences == [("/events", 15.0)]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a", b"b\n\nc\n \n"], [b"ab", b"c"]),
        ([b"a\nb\n", b"c"], [b"a", b"b"]),
        ([b"\n\n", b"a", b"b"], []),
        ([b'{"type":"wor'], []),
        ([b" "], []),
    ],
)
def test_lines_of_a_stream_are_complete_and_its_end_is_an_error(pieces, lines):
    found = _lines(pieces)
    assert [next(found) for _ in lines] == lines
    with pytest.raises(Unreachable, match="the stream of events ended"):
        next(found)


@pytest.mark.parametrize(
    ("pieces", "shown", "resumed"),
    [
        ([json.dumps(EVENTS[0]).encode(), b'\n{"type":"wor'], [1], "1"),
        ([b'{"type":"wor'], [], "0"),
    ],
)
def test_stream_that_ends_within_a_line_is_resumed_after_the_last_complete_one(
    monkeypatch, pieces, shown, resumed
):
    errors = []

    class CutOff(Streams):
        def stream(self, path, params, **options):
            if self.queries:
                return super().stream(path, params, **options)
            self.queries.append(dict(params))
            return nullcontext(iter(pieces))

    monkeypatch.setattr(OutageTracker, "attempt_failed", lambda _, error: errors.append(error))
    api = CutOff([{"type": "stop"}])
    assert indexes(Invocation({}), api, "0") == shown
    assert api.queries == [{"after": "0"}, {"after": resumed}]
    assert [error.message for error in errors] == ["the stream of events ended"]


@pytest.mark.parametrize(
    ("options", "query"),
    [
        (["-f"], {"after": "now"}), ([], {"after": "0"}), (["--since", "now", "-f"], {"after": "now"}),
        (["--tail", "5", "-f"], {"tail": "5", "after": "now"}),
        (["--tail", "0", "-f"], {"tail": "0", "after": "now"}),
        (["--tail", "5", "--since", "1h"], {"tail": "5", "after": "now"}),
        (["--since", "7", "-f"], {"after": "7"}),
        (["web", "-l", "a=b", "--type", "node"],
         {"workload": "web", "label": "a=b", "type": "node", "after": "0"}),
    ],
)  # fmt: skip
def test_options_of_events_are_parameters_of_the_query(kakuri, monkeypatch, options, query):
    streams = Streams(
        *([] if {"-f", "--tail"} & {*options} else [[EVENTS[2], HEARTBEAT]]),
        [HEARTBEAT],
    )
    monkeypatch.setattr(
        "kakuri._client.API.stream", lambda _, *args, **kw: streams.stream(*args, **kw)
    )
    monkeypatch.setattr(OutageTracker, "attempt_failed", _interrupt)
    kakuri("events", *options)
    newest = [] if {"-f", "--tail"} & {*options} else [query | {"tail": "1", "after": "now"}]
    assert streams.queries == [*newest, query]


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("since", "count"), [("14s", 1), ("15s", 2), ("16s", 3)])
def test_events_since_a_time_include_those_at_it(kakuri, three, since, count):
    assert len(kakuri("events", "--since", since).out.splitlines()) == count


@pytest.mark.parametrize("options", [[], ["--tail", "3"]])
def test_events_since_a_duration_are_counted_back_by_the_clock_of_the_server(
    kakuri, three, monkeypatch, options
):
    clock = SimpleNamespace(time=lambda: NOW - 13, gmtime=time.gmtime)
    monkeypatch.setattr("kakuri_http.core._writers.time", clock)
    result = kakuri("events", "--since", "2s", *options)
    assert (result.code, result.out.splitlines()) == (0, LINES[1:])


def test_events_end_with_the_newest_at_their_beginning(kakuri, monkeypatch):
    later = {"index": 4, "at": AT.format(4), "type": "node"}
    streams = Streams([EVENTS[2], HEARTBEAT], [*EVENTS, later])
    monkeypatch.setattr(
        "kakuri._client.API.stream", lambda _, *args, **kw: streams.stream(*args, **kw)
    )
    assert kakuri("events").out.splitlines() == LINES


def test_gap_without_an_oldest_index_continues_with_the_current_states(quick, capsys):
    api = Streams([{"type": "gap"}], [{"type": "stop"}])
    assert indexes(quick, api, "7") == [0]
    assert api.queries == [{"after": "7"}, {}]
    assert capsys.readouterr().err == ""


def test_states_of_the_beginning_do_not_move_the_position(quick):
    api = Streams([{"type": "state", "index": 9}], [{"type": "stop"}])
    assert indexes(quick, api, None) == [9]
    assert api.queries == [{}, {}]


def test_event_on_a_terminal_has_the_local_time_and_a_coloured_state(kakuri, api):
    api.events.append(EVENTS[0] | {"exit_code": 0})
    out = kakuri("events", width=100).out
    assert out == "14:01:01.00   1   web   \x1b[32mrunning\x1b[0m exit 0\n"
