"""Fast paths of the log, for events that need no quote, no escape and no cut.

A busy daemon logs thousands of requests a second, and nearly all consist of numbers and short plain
text. Each function here returns the same line, byte for byte, as the general rendering in
`_logs.py`, or None if an event needs quotes, escapes or cuts.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # only daemons with an HTTP API load it
    from kakuri_http import AccessEntry

MAX_VALUE_LENGTH = 500
"""Characters of one logged value: enough to recognize what a peer sent, too few to flood."""

EVENT_WIDTH = 30
"""Columns of an event's text, so that fields start below each other."""

# Printable ASCII without what the text form quotes or JSON escapes: space " ' = \
_PLAIN = rf"[!#-&(-<>-\[\]-~]{{1,{MAX_VALUE_LENGTH}}}"
_plain = re.compile(_PLAIN).fullmatch
_plain_texts = re.compile(rf"{_PLAIN}(?:\n{_PLAIN})*").fullmatch
_plain_event = re.compile(rf"[ !#-\[\]-~]{{1,{MAX_VALUE_LENGTH}}}").fullmatch
_plain_name = re.compile("[A-Za-z_]{1,50}").fullmatch
_JSON_LITERALS = {None: "null", True: "true", False: "false"}
_SECOND = 1_000_000_000  # in nanoseconds
_MAX_FLOAT = 1e15  # larger ones, infinities and NaN are left to the general rendering


def timestamp(nanoseconds: int | None = None) -> str:
    """Return a time since the epoch, or the current one, in UTC as ISO 8601 with microseconds."""
    if nanoseconds is None:
        nanoseconds = time.time_ns()
    return f"{_iso_second(nanoseconds // _SECOND)}.{nanoseconds % _SECOND // 1000:06d}Z"


@lru_cache(2)
def _iso_second(seconds: int) -> str:
    """Return a second since the epoch in UTC as ISO 8601, without the Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


LoggedRequest: TypeAlias = "tuple[AccessEntry, str | None, int]"
"""An exchange, its trace, and the time of its line in nanoseconds since the epoch."""


LoggedValues: TypeAlias = tuple[tuple[object, ...], str | None, int]
"""The values of an event's fields, its trace, and its time in nanoseconds since the epoch."""

RenderValues: TypeAlias = Callable[[Sequence[LoggedValues]], list[str] | None]


@dataclass(frozen=True)
class FastPaths:
    """The fast paths of one form of the log; times are nanoseconds since the epoch."""

    event: Callable[[str, str, Mapping[str, Any], str | None, int], str | None]
    """Renders the level, text, fields, trace and time of an event as a line without its line feed;
    returns None if they need the general rendering."""

    events: Callable[[str, Sequence[str]], RenderValues | None]
    """Returns a function that renders events of level info with this text and these fields as lines
    with their line feeds, or None if one of them needs the general rendering. Returns None instead
    of a function if all of them need it."""

    requests: Callable[[Sequence[LoggedRequest]], list[str] | None]
    """Renders exchanges as lines with their line feeds; returns None if one of them needs the
    general rendering."""


def milliseconds(seconds: float) -> float:
    """Return a duration in milliseconds, with two decimals at most."""
    return round(seconds * 100_000) / 100


@lru_cache(4096)
def _hundredths(number: int) -> str:
    """Return the text of some hundredths of a millisecond; most requests take fewer than 4096."""
    return str(number / 100)


def without_query(target: str) -> str:
    """Return a target without the content of its query, because clients put tokens there."""
    path, mark, _ = target.partition("?")
    return f"{path}?…" if mark else path


def _text_event(
    level: str, event: str, fields: Mapping[str, Any], trace: str | None, nanoseconds: int
) -> str | None:
    template = _text_template(level, event, *fields)
    if template is None:
        return None
    head, layout, are_plain = template
    text = layout % (*fields.values(),)
    if not are_plain(text):
        return None
    line = f"{timestamp(nanoseconds)} {head}{text}"
    return line.rstrip() if trace is None else f"{line} trace={trace}"


@lru_cache(256)
def _text_template(
    level: str, event: str, *names: str
) -> tuple[str, str, Callable[[str], object]] | None:
    """Return how to render the part of a line between its time and its trace.

    This is the level with the event's text, the fields with `%s` for their values, and a function
    that matches the rendered fields if they are plain: a value with a space and a `=` would look
    like two fields.
    """
    if not _plain_event(event) or not all(map(_plain_name, names)):
        return None
    layout = "".join([f" {name}=%s" for name in names])
    are_plain = re.compile(layout.replace("%s", _PLAIN)).fullmatch
    return f"[{level:<8}] {event:<{EVENT_WIDTH}}", layout, are_plain


def _text_events(event: str, names: Sequence[str]) -> RenderValues | None:
    template = _text_template("info", event, *names)
    if template is None or not names:
        return None
    head, layout, _ = template
    format_after_second = f".%06dZ {head.replace('%', '%%')}{layout}%s%s\n"

    def render(events: Sequence[LoggedValues]) -> list[str] | None:
        texts = [str(value) for values, _, _ in events for value in values]
        second = _common_second_if_plain(
            "\n".join(texts), len(texts), [time for _, _, time in events]
        )
        if second is None:
            return None
        line_format = f"{second}{format_after_second}"
        return [
            line_format % (time % _SECOND // 1000, *values, " trace=" if trace else "", trace or "")
            for values, trace, time in events
        ]

    return render


def _json_event(
    level: str, event: str, fields: Mapping[str, Any], trace: str | None, nanoseconds: int
) -> str | None:
    template = _json_template(level, event, *fields)
    if template is None:
        return None
    values: list[str] = []
    for value in fields.values():
        kind = type(value)
        if kind is str and _plain(value):
            values.append(f'"{value}"')
        elif kind is int or (kind is float and -_MAX_FLOAT < value < _MAX_FLOAT):
            values.append(repr(value))
        elif kind is bool or value is None:
            values.append(_JSON_LITERALS[value])
        else:
            return None
    return template % (*values, _json_trace(trace), timestamp(nanoseconds))


@lru_cache(256)
def _json_template(level: str, event: str, *names: str) -> str | None:
    """Return the line of an event with `%s` for each value, the trace and the time."""
    if not _plain_event(event) or not all(map(_plain_name, names)):
        return None
    head = "".join([f'"{name}":%s,' for name in names]) + f'"event":"{event.replace("%", "%%")}",'
    return f'{{{head}%s"level":"{level}","timestamp":"%s"}}'


def _json_trace(trace: str | None) -> str:
    return "" if trace is None else f'"trace":"{trace}",'


_TEXT_REQUEST = f"[info    ] {'request':<{EVENT_WIDTH}}"


def _text_requests(requests: Sequence[LoggedRequest]) -> list[str] | None:
    second = _common_second_of_requests(requests)
    if second is None:
        return None
    return [
        f"{second}.{time % _SECOND // 1000:06d}Z {_TEXT_REQUEST} "
        f"peer={peer} method={method} target={target} status={status} bytes={sent} "
        f"ms={_hundredths(round(seconds * 100_000))} complete={complete}"
        f"{'' if trace is None else f' trace={trace}'}\n"
        for (peer, method, target, status, sent, seconds, complete, _, _), trace, time in requests
    ]


def _json_requests(requests: Sequence[LoggedRequest]) -> list[str] | None:
    second = _common_second_of_requests(requests)
    if second is None:
        return None
    return [
        f'{{"peer":"{peer}","method":"{method}","target":"{target}","status":{status},'
        f'"bytes":{sent},"ms":{_hundredths(round(seconds * 100_000))},'
        f'"complete":{_JSON_LITERALS[complete]},"event":"request",{_json_trace(trace)}'
        f'"level":"info","timestamp":"{second}.{time % _SECOND // 1000:06d}Z"}}\n'
        for (peer, method, target, status, sent, seconds, complete, _, _), trace, time in requests
    ]


def _common_second_of_requests(requests: Sequence[LoggedRequest]) -> str | None:
    """Return the second in which all exchanges were logged, as a timestamp shows it.

    Returns None if they were logged in different seconds, or if a text of theirs is not plain.
    """
    texts = [f"{access[0]}\n{access[1]}\n{access[2]}" for access, _, _ in requests]
    joined = "\n".join(texts)
    if "?" in joined:  # queries are not logged
        return None
    return _common_second_if_plain(joined, 3 * len(texts), [time for _, _, time in requests])


def _common_second_if_plain(joined: str, number: int, times: Sequence[int]) -> str | None:
    """Return the second that all times are in, as a timestamp shows it.

    Returns None if they are in different seconds, or if a text is not plain.

    Args:
        joined: The texts, joined by line feeds so that one match checks all of them.
        number: The number of texts, which reveals a text with a line feed.
        times: Nanoseconds since the epoch.
    """
    seconds = {time // _SECOND for time in times}
    if joined.count("\n") != number - 1 or len(seconds) != 1 or not _plain_texts(joined):
        return None
    return _iso_second(*seconds)


TEXT = FastPaths(_text_event, _text_events, _text_requests)
JSON = FastPaths(_json_event, lambda _event, _names: None, _json_requests)
