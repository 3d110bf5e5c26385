"""A line of log for each HTTP request."""

import logging
from collections.abc import Callable

import structlog
from kakuri_http import AccessEntry

from kakuri_daemon._fast_lines import milliseconds, without_query
from kakuri_daemon._logs import LineRenderer


def access_log() -> Callable[[AccessEntry], None] | None:
    """Return a function that logs requests; None if the log level omits them.

    Call it after `configure_logs`. Most lines of a busy log are those of requests, so they are
    rendered without structlog where the result is the same.
    """
    if not logging.getLogger().isEnabledFor(logging.INFO):
        return None
    renderer = structlog.get_config()["processors"][0]
    if isinstance(renderer, LineRenderer):
        return renderer.request_writer(request_fields)
    log = structlog.get_logger()  # of the current configuration, as the renderer is

    def log_request(access: AccessEntry) -> None:
        log.info("request", **request_fields(access))

    return log_request


def request_fields(access: AccessEntry) -> dict[str, object]:
    """Return the fields of an exchange's log line, in their order."""
    return {
        "peer": access.peer,
        "method": access.method,
        "target": without_query(access.target),
        "status": access.status,
        "bytes": access.sent,
        "ms": milliseconds(access.seconds),
        "complete": access.complete,
    }
