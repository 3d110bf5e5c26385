"""The log: one line an event on standard error, readable or JSON.

What a peer sent may stand in any field, so control characters are escaped (a line stays a line,
a terminal stays as it is) and long values are cut.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
from kakuri_json import dumps

from kakuri_daemon._stream import LogStream

MAX_VALUE_LENGTH = 500
"""Characters of one logged value: enough to recognize what a peer sent, too few to flood."""

MAX_TRACE_LENGTH = 8000
"""Characters of a logged trace, which is ours and worth more."""

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

Event = MutableMapping[str, Any]

_CONSOLE = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def configure_logs(log_format: str = "text", log_level: str = "info") -> LogStream:
    """Send the events of structlog and of the standard library's loggers to standard error.

    log_format is "text" or "json", log_level one of LEVELS. Gives the stream that takes the
    lines; close it at the end, so that the last ones are written.
    """
    level = LEVELS[log_level]
    stream = LogStream(sys.stderr)
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _make_printable,
    ]
    render: structlog.typing.Processor = _render_json
    if log_format == "text":
        render = _render_text
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove_meta, render]
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    return stream


def _make_printable(_logger: Any, _method: str, event: Event) -> Event:
    return {
        key: _printable(value, MAX_TRACE_LENGTH if key == "exception" else MAX_VALUE_LENGTH)
        for key, value in event.items()
    }


def _printable(value: Any, limit: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _render_text(logger: Any, method: str, event: Event) -> str:
    if "exception" in event:  # under its own name the renderer would give it lines of its own
        event["trace"] = event.pop("exception")
    rendered = _CONSOLE(logger, method, event)
    return str(rendered)


def _render_json(_logger: Any, _method: str, event: Event) -> str:
    return dumps(dict(event))
