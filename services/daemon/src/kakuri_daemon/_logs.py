"""The log: one line per event on standard error, as text or JSON.

Any field may contain what a peer sent. So long values are cut, and control characters are escaped
once: an event is always one line, and a terminal interprets nothing in it.

Most events are rendered by `_fast_lines`, with the same result: a change of the format changes both
modules, and a property test compares them.
"""

import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, cast

import structlog
from kakuri_json import dumps

from kakuri_daemon._fast_lines import (
    EVENT_WIDTH,
    JSON,
    MAX_VALUE_LENGTH,
    TEXT,
    FastPaths,
    LoggedRequest,
    LoggedValues,
    timestamp,
)
from kakuri_daemon._stream import LogStream
from kakuri_daemon._trace import TRACE

if TYPE_CHECKING:  # only daemons with an HTTP API load it
    from kakuri_http import AccessEntry

MAX_TRACE_LENGTH = 8000
"""Characters of a logged traceback, which is more useful than a peer's text."""

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

Event = MutableMapping[str, Any]
Render: TypeAlias = Callable[[Any, str, Event], str]
_SimpleEvent: TypeAlias = tuple[str, str, Mapping[str, Any], str | None, int]
"""The level, text, fields and trace of an event, and its time in nanoseconds since the epoch."""

_STDERR = 2
_IMMUTABLE = frozenset({str, int, float, bool, type(None)})
_RESERVED = frozenset({"exc_info", "exception", "level", "timestamp", "trace"})
_NEEDS_QUOTES = re.compile(r"""[\s="'\\]|^$""")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
_RESET = "\x1b[0m"
_STYLES = {
    "time": "\x1b[2m",
    "event": "\x1b[1m",
    "key": "\x1b[36m",
    "debug": "\x1b[32m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}


def configure_logs(log_format: str = "text", log_level: str = "info") -> LogStream:
    """Send the events of structlog and of the standard library's loggers to standard error.

    Args:
        log_format: "text" or "json".
        log_level: The lowest level that is logged, one of LEVELS.

    Returns:
        The stream that writes the lines; close it at the end, so that the last lines are written.
    """
    level = LEVELS[log_level]
    stream = LogStream(_STDERR)
    shared_processors: list[structlog.typing.Processor] = [
        _add_trace,
        structlog.processors.add_log_level,
        _add_timestamp,
        structlog.processors.format_exc_info,
    ]
    has_colors = os.isatty(_STDERR)
    render: Render = _render_json
    if log_format == "text":
        render = TextRenderer(has_colors=has_colors)
    processors: list[structlog.typing.Processor] = [*shared_processors, render]
    logger_class = structlog.make_filtering_bound_logger(level)
    if log_format == "json" or not has_colors:
        fast = JSON if log_format == "json" else TEXT
        renderer = LineRenderer(fast, shared_processors, render, stream, level)
        processors = [renderer]
        logger_class = _bypassing_logger(logger_class, renderer, level)
    structlog.configure(
        processors=processors,
        wrapper_class=logger_class,
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_processors, processors=[remove_meta, render]
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    return stream


class LineRenderer:
    """A structlog processor that renders an event's line; for most events, loggers bypass it.

    Args:
        fast: The fast paths of the form.
        shared_processors: Add the trace, the level and the time to an event.
        render: Renders an event with these.
        stream: Writes the lines.
        lowest: The lowest level that is logged.
    """

    def __init__(
        self,
        fast: FastPaths,
        shared_processors: Sequence[structlog.typing.Processor],
        render: Render,
        stream: LogStream,
        lowest: int = logging.INFO,
    ) -> None:
        self._fast = fast
        self._shared_processors = shared_processors
        self._render = render
        self._stream = stream
        self._lowest = lowest

    def __call__(self, logger: Any, method: str, event: Event) -> str:
        result: Any = event
        for process in self._shared_processors:
            result = process(logger, method, result)
        return self._render(logger, method, result)

    def write_event(self, level: str, event: Any, fields: Mapping[str, Any]) -> bool:
        """Queue an event to be rendered without structlog; return False if that is not possible."""
        if not (
            _IMMUTABLE.issuperset(map(type, fields.values()))
            and _RESERVED.isdisjoint(fields)
            and type(event) is str
        ):
            return False
        simple = level, event, fields, TRACE.get(), time.time_ns()
        self._stream.write_later(self._render_events, simple)
        return True

    def _render_events(self, events: Iterable[_SimpleEvent]) -> list[str]:
        return [f"{self._render_event(*event)}\n" for event in events]

    def _render_event(
        self,
        level: str,
        event: str,
        fields: Mapping[str, Any],
        trace: str | None,
        nanoseconds: int,
    ) -> str:
        line = self._fast.event(level, event, fields, trace, nanoseconds)
        if line is not None:
            return line
        traced = {} if trace is None else {"trace": trace}
        added = {"level": level, "timestamp": timestamp(nanoseconds)}
        return self._render(None, level, {**fields, "event": event, **traced, **added})

    def event_writer(self, event: str, names: Sequence[str]) -> Callable[..., None]:
        """Return a function that queues an event of level info, to be rendered without structlog.

        Args:
            event: The event's text.
            names: The names of its fields. The function is called with a value for each of them,
                which must be immutable; neither is checked.
        """
        if self._lowest > logging.INFO:
            return _ignore
        render_plain, write_later = self._fast.events(event, names), self._stream.write_later

        def render(events: Sequence[LoggedValues]) -> list[str]:
            if render_plain is not None and (lines := render_plain(events)) is not None:
                return lines
            return self._render_events(
                ("info", event, dict(zip(names, values, strict=True)), trace, nanoseconds)
                for values, trace, nanoseconds in events
            )

        def write(*values: object) -> None:
            write_later(render, (values, TRACE.get(), time.time_ns()))

        return write

    def request_writer(
        self, fields_of: Callable[["AccessEntry"], Mapping[str, object]]
    ) -> Callable[["AccessEntry"], None]:
        """Return a function that queues an exchange, to be rendered without structlog.

        Args:
            fields_of: Returns the fields of its line, with immutable values.
        """
        render_plain, write_later = self._fast.requests, self._stream.write_later
        current_trace = TRACE.get

        def render(requests: Sequence[LoggedRequest]) -> list[str]:
            if (lines := render_plain(requests)) is not None:
                return lines
            return self._render_events(
                ("info", "request", fields_of(access), trace, nanoseconds)
                for access, trace, nanoseconds in requests
            )

        def write_request(access: "AccessEntry") -> None:
            write_later(render, (access, current_trace(), time.time_ns()))

        return write_request


def _ignore(*_values: object) -> None:
    """Drop an event below the level of the log."""


def event_log(event: str, *names: str) -> Callable[..., None]:
    """Return a function that logs one frequent event at level info.

        log_accepted = event_log("workload accepted", "id", "image")
        log_accepted(workload.id, workload.image)

    The line is that of `structlog.get_logger().info(event, id=…, image=…)`, for less
    than half of its cost in the text format. Call `event_log` after `configure_logs`: the function
    uses the configuration of that time.

    Args:
        event: The event's text.
        names: The names of its fields.

    Returns:
        A function of the fields' values, in the order of `names`. Each must be a string, a number,
        a boolean or None, and there must be as many as names. Calls check neither. A line is
        rendered later, possibly in another thread: a mutable value may have changed by then, and
        if the number of values is wrong, an error is logged instead of the line.
    """
    renderer = structlog.get_config()["processors"][0]
    if isinstance(renderer, LineRenderer):
        return renderer.event_writer(event, names)
    log = structlog.get_logger()

    def log_event(*values: object) -> None:
        log.info(event, **dict(zip(names, values, strict=True)))

    return log_event


def _bypassing_logger(
    base: type[structlog.typing.FilteringBoundLogger], renderer: LineRenderer, lowest: int
) -> type[structlog.typing.FilteringBoundLogger]:
    """Return a class of loggers that bypass structlog's processors if the event is simple."""

    def method(level: str) -> Callable[..., Any]:
        log_event: Any = getattr(base, level)

        def log(self: Any, event: Any, *args: Any, **fields: Any) -> Any:
            # Tests replace the processors to capture events.
            is_simple = not args and not self._context and self._processors[0] is renderer
            if is_simple and renderer.write_event(level, event, fields):
                return None
            return log_event(self, event, *args, **fields)

        return log

    methods = {name: method(name) for name, number in LEVELS.items() if number >= lowest}
    return type("BypassingLogger", (base,), methods)


def _add_trace(_logger: Any, _method: str, event: Event) -> Event:
    if "trace" not in event and (trace := TRACE.get()) is not None:
        event["trace"] = trace
    return event


def _add_timestamp(_logger: Any, _method: str, event: Event) -> Event:
    event["timestamp"] = timestamp()
    return event


def _cut_values(event: Event) -> Event:
    """Return an event with each value as a string, number, boolean or None, and long ones cut."""
    return {
        key: _cut_value(value, MAX_TRACE_LENGTH if key == "exception" else MAX_VALUE_LENGTH)
        for key, value in event.items()
    }


def _cut_value(value: Any, limit: int) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):  # JSON has no number for others
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        return f"{text[:limit]}… ({len(text)} characters)"
    return text


def _render_json(_logger: Any, _method: str, event: Event) -> str:
    """Return the event as JSON, which itself escapes the line feeds of a trace."""
    return dumps(
        {
            key: _printable(value, "\n\t") if isinstance(value, str) else value
            for key, value in _cut_values(event).items()
        }
    )


class TextRenderer:
    """A processor that renders an event as `time [level] event key=value …`, a traceback last."""

    def __init__(self, *, has_colors: bool) -> None:
        self._has_colors = has_colors

    def __call__(self, _logger: Any, _method: str, event: Event) -> str:
        event = _cut_values(event)
        timestamp, level, text, traceback = (
            event.pop(key, "") for key in ("timestamp", "level", "event", "exception")
        )
        style = self._style
        parts = [
            style("time", timestamp),
            f"[{style(level, f'{level:<8}')}]",
            style("event", f"{_printable(str(text)):<{EVENT_WIDTH}}"),
            *(f"{style('key', key)}={_quoted(value)}" for key, value in event.items()),
        ]
        if traceback:
            # Without quotes, because a traceback contains many.
            escaped = _printable(str(traceback).replace("\\", "\\\\"))
            parts.append(f"{style('key', 'traceback')}={escaped}")
        return " ".join(parts).rstrip()

    def _style(self, name: str, text: str) -> str:
        return f"{_STYLES.get(name, '')}{text}{_RESET}" if self._has_colors else text


def _quoted(value: Any) -> str:
    text = str(value)
    if text.isprintable() and not _NEEDS_QUOTES.search(text):
        return text
    return f'"{"".join(_ESCAPES.get(c) or _printable(c) for c in text)}"'


def _printable(text: str, kept: str = "") -> str:
    """Return the text with every character escaped that is not printable nor in `kept`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in text)
