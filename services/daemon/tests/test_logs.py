import json
import logging
import re

import pytest
import structlog
from kakuri_daemon import configure_logs, event_log
from kakuri_daemon._logs import TextRenderer
from kakuri_daemon.api import access_log
from kakuri_http import AccessEntry


@pytest.fixture
def lines(capfd):
    """Return a function that configures the log and returns a reader of its lines."""
    before = logging.getLogger().handlers[:], logging.getLogger().level

    def configure(**options):
        stream = configure_logs(**options)

        def read():
            stream.close(10)
            return capfd.readouterr().err.splitlines()

        return read

    yield configure
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = before


def test_event_is_one_line_of_json(lines):
    read = lines(log_format="json")
    structlog.get_logger().info("workload accepted", id="wl-1", memory_mb=512, exit_code=None)
    (line,) = read()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "workload accepted",
        "level": "info",
        "id": "wl-1",
        "memory_mb": 512,
        "exit_code": None,
    }


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_float_that_is_not_finite_is_a_string_in_json(lines, value):
    read = lines(log_format="json")
    structlog.get_logger().info("measured", ms=value)
    (line,) = read()
    assert json.loads(line)["ms"] == str(value)


def test_event_is_one_line_of_text(lines):
    read = lines()
    structlog.get_logger().warning("careful", id="wl-1")
    (line,) = read()
    assert "careful" in line
    assert "id=wl-1" in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_hostile_value_is_escaped_within_its_line(lines, log_format):
    read = lines(log_format=log_format)
    structlog.get_logger().info(
        "asked", id="a\r\nlevel=error\x1b[31m\u2028", data=b"\x00\xff", much="x" * 100_000
    )
    (line,) = read()
    assert "\x1b" not in line
    assert "\u2028" not in line
    assert len(line) < 2000
    assert "(100000 characters)" in line


def fail_with_a_trace():
    try:
        raise ValueError("it\nbroke")
    except ValueError:
        logging.getLogger("kakuri_tcp").exception("a handler failed")


def test_trace_as_text_is_one_line_with_each_line_feed_escaped_once(lines):
    read = lines()
    fail_with_a_trace()
    (line,) = read()
    assert "a handler failed" in line
    assert r" traceback=Traceback (most recent call last):\n  File " in line
    assert r"test_logs.py" in line
    assert line.endswith(r"ValueError: it\nbroke")


def test_trace_as_json_has_real_line_feeds_once_decoded(lines):
    read = lines(log_format="json")
    fail_with_a_trace()
    (line,) = read()
    assert json.loads(line)["exception"].endswith("\nValueError: it\nbroke")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two parts", '"two parts"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("line\nfeed", r'"line\nfeed"'),
        (r"back\nslash", r'"back\\nslash"'),
        ("\u202eabc\x9b", r'"\u202eabc\x9b"'),
        (7, "7"),
        (None, "None"),
    ],
)
def test_text_renderer_quotes_values_unambiguously(value, shown):
    event = {"timestamp": "T", "level": "info", "event": "asked", "id": value}
    line = TextRenderer(has_colors=False)(None, "info", event)
    assert line == f"T [info    ] asked                          id={shown}"


def test_text_renderer_with_colors_adds_styles_only():
    def rendered(*, has_colors):
        event = {"timestamp": "T", "level": "error", "event": "x", "id": "a b", "exception": "E"}
        return TextRenderer(has_colors=has_colors)(None, "error", event)

    colored = rendered(has_colors=True)
    assert "\x1b[31merror" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == rendered(has_colors=False)


def test_events_below_the_level_are_not_logged(lines):
    read = lines(log_level="warning")
    structlog.get_logger().info("no")
    logging.getLogger("kakuri_tcp").info("no")
    logging.getLogger("kakuri_tcp").warning("yes %s", 1)
    (line,) = read()
    assert "yes 1" in line


def test_requests_and_other_events_are_written_in_their_order(lines):
    read = lines()
    write = access_log()
    structlog.get_logger().info("before")
    write(AccessEntry("127.0.0.1:5", "GET", "/x", 200, 3, 0.0015, complete=True))
    write(AccessEntry("127.0.0.1:5", "GET", "/x?token=secret", 200, 3, 0.0015, complete=True))
    structlog.get_logger().info("after")
    rest = "status=200 bytes=3 ms=1.5 complete=True"
    assert [" ".join(line.split("]")[1].split()) for line in read()] == [
        "before",
        f"request peer=127.0.0.1:5 method=GET target=/x {rest}",
        f"request peer=127.0.0.1:5 method=GET target=/x?… {rest}",
        "after",
    ]


def test_events_of_all_levels_are_written_in_their_order(lines):
    read = lines()
    log = structlog.get_logger()
    log.info("first", id="wl-1")
    log.warning("second")
    log.info("third", error="needs quotes")
    log.info("number %d", 4)
    log.bind(id="wl-5").info("fifth")
    written = [line.partition("] ")[2].split() for line in read()]
    assert written == [
        ["first", "id=wl-1"], ["second"], ["third", 'error="needs', 'quotes"'], ["number", "4"],
        ["fifth", "id=wl-5"],
    ]  # fmt: skip


def test_events_can_be_captured_after_the_log_was_configured(lines):
    read = lines()
    log = structlog.get_logger()
    log.info("before")
    with structlog.testing.capture_logs() as captured:
        log.info("captured", id="wl-1")
    assert captured == [{"event": "captured", "id": "wl-1", "log_level": "info"}]
    assert len(read()) == 1


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_frequent_event_has_the_line_of_an_ordinary_one(lines, monkeypatch, log_format):
    monkeypatch.setattr("time.time_ns", lambda: 0)
    read = lines(log_format=log_format)
    event_log("workload accepted", "id", "image")("wl-1", "a\nb")
    event_log("stopped")()
    structlog.get_logger().info("workload accepted", id="wl-1", image="a\nb")
    structlog.get_logger().info("stopped")
    first, second, third, fourth = read()
    assert (first, second) == (third, fourth)
    assert "workload accepted" in first


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("values", [(), ("wl-1",), ("wl-1", "nginx", "x")])
def test_frequent_event_with_another_number_of_values_is_reported(lines, values, log_format):
    read = lines(log_format=log_format)
    log_accepted = event_log("workload accepted", "id", "image")
    log_accepted(*values)
    log_accepted("wl-2", "nginx")
    fault, accepted = read()
    assert fault.startswith("a log line could not be rendered: ")
    assert "wl-2" in accepted


def test_frequent_event_below_the_level_is_not_logged(lines):
    read = lines(log_level="warning")
    event_log("workload accepted", "id")("wl-1")
    assert read() == []


def test_frequent_event_before_the_log_is_configured_goes_through_structlog():
    with structlog.testing.capture_logs() as events:
        event_log("workload accepted", "id")("wl-1")
    assert events == [{"event": "workload accepted", "id": "wl-1", "log_level": "info"}]
