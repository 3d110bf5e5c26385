import json
import logging

import pytest
import structlog
from kakuri_daemon import configure_logs


@pytest.fixture
def lines(capsys):
    """Set the log up, and later give the lines that it wrote."""
    before = logging.getLogger().handlers[:], logging.getLogger().level

    def configure(**options):
        stream = configure_logs(**options)

        def read():
            stream.close(10)
            return capsys.readouterr().err.splitlines()

        return read

    yield configure
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = before


def test_an_event_is_a_line_of_json(lines):
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


def test_an_event_is_a_line_of_text(lines):
    read = lines()
    structlog.get_logger().warning("careful", id="wl-1")
    (line,) = read()
    assert "careful" in line
    assert "id=wl-1" in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_hostile_value_stays_in_its_line_and_off_the_terminal(lines, log_format):
    read = lines(log_format=log_format)
    structlog.get_logger().info(
        "asked", id="a\r\nlevel=error\x1b[31m\u2028", data=b"\x00\xff", much="x" * 100_000
    )
    (line,) = read()
    assert "\x1b" not in line
    assert "\u2028" not in line
    assert len(line) < 2000
    assert "(100000 characters)" in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_trace_is_one_line(lines, log_format):
    read = lines(log_format=log_format)
    try:
        raise ValueError("it\nbroke")
    except ValueError:
        logging.getLogger("kakuri_tcp").exception("a handler failed")
    (line,) = read()
    assert "a handler failed" in line
    assert "test_logs.py" in line
    assert "ValueError" in line


def test_less_important_events_are_left_out(lines):
    read = lines(log_level="warning")
    structlog.get_logger().info("no")
    logging.getLogger("kakuri_tcp").info("no")
    logging.getLogger("kakuri_tcp").warning("yes %s", 1)
    (line,) = read()
    assert "yes 1" in line
