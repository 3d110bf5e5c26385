"""A line of log for each HTTP request."""

import logging
from collections.abc import Callable

import structlog
from kakuri_http import AccessEntry

log = structlog.get_logger()


def access_log() -> Callable[[AccessEntry], None] | None:
    """Give what logs requests; None where the log takes no such line, so that none is made."""
    return _log_access if logging.getLogger().isEnabledFor(logging.INFO) else None


def _log_access(access: AccessEntry) -> None:
    log.info(
        "request",
        peer=access.peer,
        method=access.method,
        target=_without_query(access.target),
        status=access.status,
        bytes=access.sent,
        ms=round(access.seconds * 1000, 2),
        complete=access.complete,
    )


def _without_query(target: str) -> str:
    """Return a target as it may be logged: callers put tokens into queries."""
    path, mark, _ = target.partition("?")
    return f"{path}?…" if mark else path
