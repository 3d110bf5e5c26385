"""The fast paths of the log make the lines that the general rendering makes."""

import logging
from types import SimpleNamespace

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from kakuri_daemon import configure_logs, set_trace
from kakuri_daemon._fast_lines import (
    JSON,
    MAX_VALUE_LENGTH,
    TEXT,
    FastPaths,
    timestamp,
)
from kakuri_daemon._logs import LineRenderer
from kakuri_daemon.api._access import request_fields
from kakuri_http import AccessEntry

TRACES = st.sampled_from([None, "4bf92f3577b34da6a3ce929d0e0e4736"])

FORMS = {"text": TEXT, "json": JSON}

ALWAYS_GENERAL = FastPaths(lambda *_event: None, lambda *_event: None, lambda _requests: None)

NANOSECONDS = 1_795_000_000_000_001_000

HOSTILE_TEXTS = [
    "", " ", "plain", "two parts", " edge", "edge ", "a=b", 'say "hi"', "it's", "back\\slash",
    "line\nfeed", "carriage\rreturn", "tab\tbed", "\x00", "\x1b[31m", "\x7f", "\x9b31m", "é",
    "\u2028", "\u202e", "\ud800", "😀", "%s", "{0}", "x" * MAX_VALUE_LENGTH,
    "x" * (MAX_VALUE_LENGTH + 1), "?", "/path?token=secret", "/path?",
]  # fmt: skip

VALUES = (
    st.sampled_from(HOSTILE_TEXTS)
    | st.text()
    | st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))
    | st.booleans()
    | st.none()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.binary(max_size=5)
)


class Lines(list):
    """A stream that keeps its lines."""

    write = list.append

    def write_later(self, render, item):
        (line,) = render([item])
        assert line.endswith("\n")
        self.append(line[:-1])


@pytest.fixture(scope="module", params=FORMS)
def renderings(request):
    """The processor of one form of the log as it is configured, and one that is always careful."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    lines = Lines()
    stream = configure_logs(request.param)
    (configured,) = structlog.get_config()["processors"]
    shared, render = configured._shared_processors, configured._render
    fast = LineRenderer(FORMS[request.param], shared, render, lines)
    general = LineRenderer(ALWAYS_GENERAL, shared, render, lines)
    yield fast, general, lines
    stream.close(10)
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = before


@pytest.fixture(autouse=True)
def no_trace():
    yield
    set_trace(None)


@pytest.fixture(autouse=True, scope="module")
def clock():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time_ns", lambda: NANOSECONDS)
        yield


@given(
    event=VALUES,
    values=st.dictionaries(
        st.sampled_from(["id", "error", "level", "timestamp", "exception", "trace", "a b"]), VALUES
    ),
    level=st.sampled_from(["debug", "info", "warning", "error"]),
    trace=TRACES,
)
def test_event_with_any_values_has_the_line_that_structlog_would_write(
    renderings, event, values, level, trace
):
    fast, general, lines = renderings
    lines.clear()
    set_trace(trace)
    expected = general(None, level, {**values, "event": event})
    if fast.write_event(level, event, values):
        assert lines == [expected]
    else:
        assert lines == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_event_with_a_hostile_text_is_written_without_structlog(renderings, text):
    fast, general, lines = renderings
    lines.clear()
    assert fast.write_event("info", text, {"error": text})
    assert lines == [general(None, "info", {"error": text, "event": text})]


class Changing:
    """A value whose text may differ by the time the line is rendered."""

    def __str__(self):
        return "text"


@pytest.mark.parametrize("value", [Changing(), ["list"], {"a": 1}, b"bytes", ValueError("x")])
def test_event_with_a_value_that_may_change_is_left_to_structlog(renderings, value):
    fast, _, lines = renderings
    lines.clear()
    assert not fast.write_event("info", "failed", {"value": value})
    assert not fast.write_event("info", value, {})
    assert lines == []


@pytest.mark.parametrize("key", ["exc_info", "exception", "level", "timestamp", "trace"])
def test_event_with_a_field_of_the_log_itself_is_left_to_structlog(renderings, key):
    fast, _, lines = renderings
    lines.clear()
    assert not fast.write_event("info", "failed", {key: "x"})
    assert lines == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_number_that_json_lacks_is_left_to_the_general_rendering(value):
    assert JSON.event("info", "measured", {"value": value}, None, NANOSECONDS) is None


@pytest.mark.parametrize("trace", ["4bf92f3577b34da6a3ce929d0e0e4736", None])
@pytest.mark.parametrize("names", [["id", "image", "n", "s", "ok", "no"], ["id"], []])
def test_simple_event_takes_the_fast_path(renderings, names, trace):
    fast, general, _ = renderings
    values = {"id": "wl-1", "image": "nginx:latest", "n": 1, "s": 0.5, "ok": True, "no": None}
    fields = {name: values[name] for name in names}
    set_trace(trace)
    for text in ("workload accepted", "100 % of all events are one line each"):
        line = fast._fast.event("info", text, fields, trace, NANOSECONDS)
        assert line == general(None, "info", {**fields, "event": text})


def test_event_that_is_rendered_later_has_the_time_and_trace_of_its_call(monkeypatch):
    later = []
    stream = SimpleNamespace(write_later=lambda *line: later.append(line))
    renderer = LineRenderer(TEXT, [], None, stream)
    set_trace("4bf92f3577b34da6a3ce929d0e0e4736")
    assert renderer.write_event("info", "workload accepted", {"id": "a"})
    monkeypatch.setattr("time.time_ns", lambda: 0)
    set_trace(None)
    ((render, event),) = later
    (line,) = render([event])
    assert line.startswith("2026-11-18T11:06:40.000001Z [info    ] workload accepted ")
    assert line.endswith(" id=a trace=4bf92f3577b34da6a3ce929d0e0e4736\n")


NAMES = ("id", "state", "a b", "error")


def write_events(renderer, event, names, rows):
    """Return the lines of events with these values, which are rendered together."""
    later = []
    stream = SimpleNamespace(write_later=lambda *line: later.append(line))
    write = LineRenderer(renderer._fast, [], renderer._render, stream).event_writer(event, names)
    for values in rows:
        write(*values)
    (render,) = {each for each, _ in later}
    return render([item for _, item in later])


@given(data=st.data(), trace=TRACES, event=st.sampled_from(HOSTILE_TEXTS) | st.text())
def test_frequent_event_with_any_values_has_the_line_that_structlog_would_write(
    renderings, data, trace, event
):
    fast, general, _ = renderings
    set_trace(trace)
    names = NAMES[: data.draw(st.integers(0, len(NAMES)))]
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(names)), min_size=1, max_size=4))
    expected = [
        general(None, "info", {**dict(zip(names, values, strict=True)), "event": event})
        for values in rows
    ]
    assert write_events(fast, event, names, rows) == [f"{line}\n" for line in expected]


@pytest.mark.parametrize("hostile", HOSTILE_TEXTS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_frequent_event_with_a_hostile_value_among_plain_ones_is_rendered_as_one_line(
    renderings, hostile, place
):
    fast, general, _ = renderings
    rows = [("a", "Running")] * 3
    rows[place] = ("b", hostile)
    lines = write_events(fast, "workload changed", ["id", "state"], rows)
    assert lines == [
        f"{general(None, 'info', {'id': each, 'state': state, 'event': 'workload changed'})}\n"
        for each, state in rows
    ]


def test_frequent_event_of_plain_text_takes_the_fast_path():
    render = TEXT.events("workload changed 100 %", ("id", "state"))
    (line,) = render([(("a", 1), "4bf92f3577b34da6a3ce929d0e0e4736", NANOSECONDS)])
    assert line.startswith("2026-11-18T11:06:40.000001Z [info    ] workload changed 100 % ")
    assert line.endswith(" id=a state=1 trace=4bf92f3577b34da6a3ce929d0e0e4736\n")


@pytest.mark.parametrize("value", ["a\nb", "a b", "", "é", "x" * 501, 1.5e300 * 1e300 * -1, None])
def test_frequent_event_takes_the_fast_path_only_if_its_values_are_plain(value):
    render = TEXT.events("workload changed", ("id",))
    is_plain = render([(("a",), None, NANOSECONDS), ((value,), None, NANOSECONDS)]) is not None
    assert is_plain == (str(value) in ("-inf", "None"))


def test_frequent_events_of_two_seconds_are_left_to_the_general_rendering():
    render = TEXT.events("workload changed", ("id",))
    later = NANOSECONDS + 1_000_000_000
    assert render([(("a",), None, NANOSECONDS), (("b",), None, later)]) is None


ACCESS = AccessEntry("127.0.0.1:5", "GET", "/workloads/wl-1", 200, 3, 0.00154, complete=True)


def write_requests(renderer, accesses):
    """Return the lines of exchanges that are rendered together."""
    later = []
    stream = SimpleNamespace(write_later=lambda *line: later.append(line))
    write = LineRenderer(renderer._fast, [], renderer._render, stream).request_writer(
        request_fields
    )
    for access in accesses:
        write(access)
    (render,) = {each for each, _ in later}
    return render([item for _, item in later])


def general_lines(general, accesses):
    return [
        f"{general(None, 'info', {**request_fields(each), 'event': 'request'})}\n"
        for each in accesses
    ]


@given(data=st.data(), trace=TRACES)
def test_request_with_any_values_has_the_line_that_structlog_would_write(renderings, data, trace):
    fast, general, _ = renderings
    set_trace(trace)
    hostile = st.sampled_from(HOSTILE_TEXTS) | st.text()
    strategies = {
        "peer": hostile, "method": hostile, "target": hostile, "complete": st.booleans(),
        "seconds": st.floats(0, 1e6), "status": st.integers(100, 599), "sent": st.integers(0),
    }  # fmt: skip
    assert {*strategies, "pattern", "code"} == set(AccessEntry._fields)  # no line has these two
    changes = st.fixed_dictionaries({}, optional=strategies)
    accesses = [
        ACCESS._replace(**each) for each in data.draw(st.lists(changes, min_size=1, max_size=3))
    ]
    assert write_requests(fast, accesses) == general_lines(general, accesses)


@pytest.mark.parametrize("field", ["peer", "method", "target"])
@pytest.mark.parametrize("text", ["", "a b", "\x1b", "a\nb", '"', "é", "x" * 600, "a?b"])
def test_request_with_a_hostile_text_among_plain_ones_is_left_to_the_general_rendering(
    renderings, field, text
):
    fast, general, _ = renderings
    requests = fast._fast.requests
    plain, hostile = ACCESS, ACCESS._replace(**{field: text})
    assert requests([(plain, None, NANOSECONDS)] * 3) == general_lines(general, [plain] * 3)
    assert requests([(each, None, NANOSECONDS) for each in (plain, hostile, plain)]) is None
    accesses = [plain, hostile, plain]
    assert write_requests(fast, accesses) == general_lines(general, accesses)


def test_requests_of_two_seconds_are_left_to_the_general_rendering(renderings):
    requests = renderings[0]._fast.requests
    later = NANOSECONDS + 1_000_000_000
    assert requests([(ACCESS, None, NANOSECONDS), (ACCESS, None, later)]) is None


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_000_000_000_000_999, "2026-11-18T11:06:40.000000Z"),
        (1_795_000_000_999_999_999, "2026-11-18T11:06:40.999999Z"),
        (1_795_000_001_000_001_000, "2026-11-18T11:06:41.000001Z"),
    ],
)
def test_timestamp_has_six_digits_of_a_second(monkeypatch, nanoseconds, expected):
    monkeypatch.setattr("time.time_ns", lambda: nanoseconds)
    assert timestamp() == expected
