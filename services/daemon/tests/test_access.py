import logging

from kakuri_daemon.api import access_log
from kakuri_http import AccessEntry
from structlog.testing import capture_logs

ACCESS = AccessEntry("127.0.0.1:5", "GET", "/x", 200, 3, 0.0015, complete=True)


def test_request_is_logged_as_one_line(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    logging.getLogger().manager._clear_cache()
    write = access_log()
    with capture_logs() as lines:
        write(ACCESS)
    assert lines == [
        {
            "event": "request", "log_level": "info", "peer": "127.0.0.1:5", "method": "GET",
            "target": "/x", "status": 200, "bytes": 3, "ms": 1.5, "complete": True,
        }
    ]  # fmt: skip


def test_logged_request_shows_that_it_had_a_query_but_not_its_content(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    logging.getLogger().manager._clear_cache()
    write = access_log()
    with capture_logs() as lines:
        write(ACCESS._replace(target="/x?token=SECRET&b=%3F"))
    assert lines[0]["target"] == "/x?…"


def test_access_log_is_none_above_level_info(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    logging.getLogger().manager._clear_cache()
    assert access_log() is None
