"""The verb `events`, and the stream of events that other verbs follow."""

import re
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from kakuri._complete import complete_ids
from kakuri._exits import CommandError, Unreachable, UsageError
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._outage import OutageTracker
from kakuri._tables import STATE_COLORS
from kakuri._text import clock, parse_duration, printable, seconds_of

if TYPE_CHECKING:
    from kakuri._client import API

SILENCE_SECONDS = 15.0
"""Seconds without a line after which a stream counts as broken: heartbeats come every 5 s."""

GAP_SECONDS = 0.5
"""Seconds after a gap before the stream is requested again: a server may report only gaps."""

MAX_TAIL = 1000
"""Maximum number of past events with which a stream begins."""

_INDEX = "[0-9]{1,16}"
_COMPACTED = "compacted"
_CONTENT_TYPE = "application/x-ndjson"
_MARKS = ("heartbeat", "synced", "gap")
_REQUESTS = {None: "start", "stopped": "stop", "restarted": "restart", "removed": "removal"}

Event = dict[str, Any]


@click.command(cls=Verb)
@click.argument("id", required=False, metavar="[ID]", shell_complete=complete_ids)
@click.option("-f", "--follow", is_flag=True, help="Keep printing new events, until Ctrl-C.")
@click.option("-n", "--tail", type=click.IntRange(0, MAX_TAIL), metavar="EVENTS",
              help=f"Show the latest EVENTS events first, at most {MAX_TAIL}.")  # fmt: skip
@click.option("--since", metavar="INDEX|TIME|now", help="Begin after an index, 10m ago, or now.")
@click.option(
    "-l", "--label", metavar="KEY=VALUE", help="Only events of workloads with this label."
)
@click.option("--type", "kind", metavar="TYPE",
              help="Only workload, desired, removed, runtime or node events.")  # fmt: skip
@click.pass_obj
def events(
    invocation: Invocation,
    *,
    id: str | None,  # noqa: A002 (the argument's name in the help)
    follow: bool,
    tail: int | None,
    since: str | None,
    label: str | None,
    kind: str | None,
) -> None:
    """Show the events that the agent keeps; with -f, new ones as they happen.

    --tail shows only the latest events; with -f, they come before the new ones. After a broken
    connection, -f resumes without a gap.
    """
    after, earliest, span = _beginning(since, tail, follow=follow)
    chosen = {"workload": id, "label": label, "type": kind}
    params = [(key, value) for key, value in chosen.items() if value is not None]
    if follow:
        from kakuri._reader import exit_when_reader_closes  # noqa: PLC0415 (only here)

        exit_when_reader_closes()
    with invocation.api() as api:
        last = None
        if not follow and not tail:
            last, newest = _newest_indexes(invocation, api, params)
            if after == "now" or last <= int(after) <= newest:
                return  # no kept event after this index matches; a future one would be refused
        if tail is not None:
            params.append(("tail", str(tail)))
        for event in follow_events(invocation, api, after, params):
            if span is not None:
                earliest, span = api.stream_began_at() - span, None
            index = int(event.get("index", 0))
            is_past = last is not None and index > last
            if (
                event["type"] not in _MARKS
                and not is_past
                and (earliest is None or seconds_of(event["at"]) >= earliest)
            ):
                _print(invocation, event)
            is_end = event["type"] == "heartbeat" if last is None else index >= last
            if is_end and not follow:
                return


def _beginning(
    since: str | None, tail: int | None, *, follow: bool
) -> tuple[str, float | None, float | None]:
    """Return the index to begin after, and the earliest time or the duration before now."""
    if since is None:
        return "now" if follow or tail is not None else "0", None, None
    if since == "now" or re.fullmatch(_INDEX, since):
        if tail is not None:
            raise UsageError(
                f"--tail counts back from the latest event: it can't be combined with "
                f"--since {since}; only with a time, like --since 10m"
            )
        return since, None, None
    begin = "0" if tail is None else "now"
    try:
        return begin, None, parse_duration(since)
    except ValueError:
        pass
    try:
        return begin, seconds_of(since), None
    except ValueError:
        raise UsageError(
            f"--since: expected an index, a duration like 10m, a time or now, got {since!r}"
        ) from None


def _newest_indexes(
    invocation: Invocation, api: "API", params: list[tuple[str, str]]
) -> tuple[int, int]:
    """Return the indexes of the latest event that matches (0 if none does) and of the latest."""
    last = 0
    with closing(follow_events(invocation, api, "now", [("tail", "1"), *params])) as found:
        while (event := next(found))["type"] not in _MARKS:
            last = int(event.get("index", 0))
    return last, int(event.get("index", 0))


def follow_events(
    invocation: Invocation,
    api: "API",
    after: str | None,
    params: list[tuple[str, str]] | None = None,
) -> Generator[Event, None, None]:
    """Yield events and heartbeats endlessly; reconnect when the connection breaks.

    If events were compacted in the meantime, that is reported on standard error, and yielded as a
    `gap` with the index after which events continue.

    Args:
        invocation: Reports breaks.
        api: The control plane.
        after: An index, or `now`; None for the current state of every workload first.
        params: Further parameters of the query.

    Raises:
        CommandError: The API refuses the query, or an index that the API itself had returned.
        Unreachable: The first request got no response, or an outage lasted too long.
    """
    from kakuri._schemas import EVENT, read_document  # noqa: PLC0415 (not for --help)

    outages = OutageTracker(invocation, api.name)
    has_begun = False
    store_id: str | None = None  # of the index, if the control plane reports it
    while True:
        query = list(params or [])
        query += [("after", after)] if after is not None else []
        query += [("store_id", store_id)] if store_id is not None else []
        try:
            with api.stream(
                "/events", query, silence=SILENCE_SECONDS, content_type=_CONTENT_TYPE
            ) as response:
                outages.response_began()
                has_begun = True
                for line in _lines(response):
                    event = read_document(line, "an event", EVENT)
                    if "index" in event and event["type"] != "state":
                        after = str(event["index"])
                    store_id = event.get("store_id", store_id)
                    if event["type"] == "gap":
                        after = _skip_gap(invocation, after, event.get("oldest"))
                        break
                    yield event
        except Unreachable as error:
            if not has_begun:
                raise
            outages.attempt_failed(error)
            continue
        except CommandError as error:
            if error.code != _COMPACTED:
                raise
            problem = getattr(error, "problem", {})
            oldest = problem.get("oldest")
            if after is None or (after == str(oldest) and store_id is None):
                raise  # the same request would be refused again, without end
            if not has_begun and (after == "now" or int(after) > problem.get("newest", int(after))):
                raise  # no index to continue after, or one in the future, of another server
            after = _skip_gap(invocation, after, oldest, is_replaced="store_id" in problem)
        # Only after a gap: any other outcome raises or continues.
        store_id = None
        yield {"type": "gap", "index": int(after or 0)}
        time.sleep(GAP_SECONDS)


def _skip_gap(
    invocation: Invocation, after: str | None, oldest: Any, *, is_replaced: bool = False
) -> str | None:
    """Return the index to continue after; None to begin with the current states.

    Args:
        invocation: Reports what is skipped.
        after: The index, or `now`, that could not be continued after.
        oldest: The smallest index to continue after, if the control plane has named it.
        is_replaced: Whether the agent no longer has the store that issued the index.
    """
    if oldest is None:
        return None
    is_index = after is not None and after != "now"
    if is_replaced or (is_index and int(after or 0) > oldest):
        invocation.note(
            "the agent's store was replaced; the events of the new one follow", "yellow"
        )
    elif after == "now":
        invocation.note(f"events before {oldest} are no longer kept", "yellow")
    elif after not in (None, "0"):
        invocation.note(f"events between {after} and {oldest} are no longer kept", "yellow")
    return str(oldest)


def _lines(pieces: Any) -> Iterator[bytes]:
    """Yield the lines of a stream; Unreachable at its end, which is always unexpected.

    A stream that a proxy cut off can end within a line; the next stream sends that line again.
    """
    from kakuri._line_stream import split_lines  # noqa: PLC0415 (not for --help)

    for line in split_lines(pieces, "an event"):
        if line.endswith(b"\n") and not line.isspace():
            yield line[:-1]
    raise Unreachable("the stream of events ended", code="no_answer")


def _print(invocation: Invocation, event: Event) -> None:
    if invocation.is_json:
        invocation.out_value(event)
    elif invocation.is_name:
        invocation.out(str(event.get("id", "")))
    else:
        invocation.out(line_of(invocation, event))
    sys.stdout.flush()


def line_of(invocation: Invocation, event: Event) -> str:
    """Return an event as one line: `14:01:05.40   4181   api   failed ImagePullFailed: …`.

    In the form `wide`, it ends with the trace of the request that the event belongs to.
    """
    line = _line_of(invocation, event)
    if invocation.format == "wide" and event.get("trace"):
        line += f"   trace {printable(str(event['trace']))}"
    return line


def _line_of(invocation: Invocation, event: Event) -> str:
    at = clock(event["at"]) if sys.stdout.isatty() else event["at"]
    state = str(event.get("state", ""))
    if event["type"] == "desired":
        desired = event.get("desired")
        text = f"{_REQUESTS.get(desired) or printable(str(desired))} requested"
        return f"{at}   {event.get('index', '')}   {event.get('id', '-')}   {text}"
    parts = [
        invocation.styled(state, STATE_COLORS.get(state)),
        printable(str(event.get("reason", ""))),
        f"exit {event['exit_code']}" if event.get("exit_code") is not None else "",
        f"attempt {event['attempt']}" if event.get("attempt") else "",
    ]
    if event["type"] != "workload":
        parts.insert(0, str(event["type"]))
    if event["type"] == "runtime":
        parts.append("available" if event.get("available", True) else "unavailable")
    if event["type"] == "node":
        parts.append(f"started, version {printable(str(event.get('version', '?')))}")
    text = " ".join(part for part in parts if part)
    if event.get("message"):
        text += f": {printable(str(event['message']))}"
    return f"{at}   {event.get('index', '')}   {event.get('id', '-')}   {text}"


def updates(invocation: Invocation, api: "API") -> Iterator[None]:
    """Yield once when the current states are known, and again after changes.

    All changes that happen before the caller continues are one update: if each were one of its own,
    a list that takes long to read would be more and more out of date.
    """
    import queue  # noqa: PLC0415 (only here)

    from kakuri._threads import start_thread  # noqa: PLC0415 (only here)

    pending: queue.Queue[BaseException | None] = queue.Queue(1)

    def read() -> None:
        try:
            with api.clone() as stream:
                for event in follow_events(invocation, stream, None):
                    if event["type"] not in ("state", "heartbeat") and not pending.full():
                        pending.put(None)
        except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
            pending.put(error)

    start_thread(read)
    while True:
        error = pending.get()
        if error is not None:
            raise error
        yield
