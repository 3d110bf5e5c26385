"""The verb `logs`."""

import heapq
import math
import queue
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kakuri._documents import end_text
from kakuri._exits import CommandError, Exit, NotFound, UsageError
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import IDS, REMOVED
from kakuri._results import Failures
from kakuri._text import parse_duration, printable, rfc3339, seconds_of

if TYPE_CHECKING:
    from kakuri._client import API

MAX_WAITING = 1000
"""Maximum records that wait to be printed, of all logs together."""

MAX_FOLLOWED = 32
"""Maximum logs to follow at a time; the control plane serves 64 followers in total."""

Params = list[tuple[str, str]]
_STDOUT_MARK, _STDERR_MARK = "│", "┆"


@click.command(cls=Verb)
@IDS
@click.option(
    "-f", "--follow", is_flag=True, help="Keep printing until every workload has ended for good."
)
@click.option("-n", "--tail", type=click.IntRange(0, 1_000_000), metavar="LINES",
              help="Begin with the last LINES lines.")  # fmt: skip
@click.option("-t", "--timestamps", is_flag=True, help="Print the time of each line.")
@click.option("--since", metavar="TIME|DURATION", help="Only lines since a time, or the last 10m.")
@click.option("--attempt", type=click.IntRange(min=0), metavar="NUMBER",
              help="Only one run: 0 is the first, 1 the first restart.")  # fmt: skip
@click.option(
    "--stream",
    type=click.Choice(["stdout", "stderr"]),
    help="Only what was written to this stream.",
)
@click.option("--no-prefix", is_flag=True, help="Print no names before the lines of several logs.")
@REMOVED
@click.pass_obj
def logs(
    invocation: Invocation,
    *,
    ids: tuple[str, ...],
    follow: bool,
    tail: int | None,
    timestamps: bool,
    since: str | None,
    attempt: int | None,
    stream: str | None,
    no_prefix: bool,
    removed: bool,
) -> int:
    """Show the output of workloads; with -f, keep printing new output.

    -f continues when the workload, its agent or the control plane restarts. Of a removed workload,
    the part of the log that is kept is shown.
    """
    from kakuri._client import raise_file_limit  # noqa: PLC0415 (not for --help)

    names = list(dict.fromkeys(ids))
    if follow and len(names) > MAX_FOLLOWED:
        raise UsageError(f"expected at most {MAX_FOLLOWED} logs to follow, got {len(names)}")
    chosen = {
        "tail": tail, "since": _since(since), "attempt": attempt, "stream": stream,
        "follow": "true" if follow else None, "removed": "true" if removed else None,
    }  # fmt: skip
    params = [(key, str(value)) for key, value in chosen.items() if value is not None]
    if follow:
        from kakuri._reader import exit_when_reader_closes  # noqa: PLC0415 (only here)

        exit_when_reader_closes()
    with invocation.api() as api:
        if len(names) == 1 and not invocation.is_json:
            return _print_one(invocation, api, names[0], params, has_times=timestamps)
        printer = _Printer(invocation, names, has_names=not no_prefix, has_times=timestamps)
        read = _follow_all if follow else _merge_all
        raise_file_limit()
        failures = Failures(invocation)
        for name, line in read(invocation, api, names, params):
            if isinstance(line, CommandError):
                if len(names) == 1:
                    raise line
                failures.add(name, line)
            elif line is None:
                if follow:
                    _report_end(invocation, api, name)
            else:
                printer.print(name, line)
        return failures.complete()


def _since(text: str | None) -> str | None:
    """Return `--since` for the API: a time, or a duration before the control plane's time."""
    if text is None:
        return None
    try:
        days, seconds = divmod(math.ceil(parse_duration(text)), 86_400)
    except ValueError:
        pass
    else:
        return f"{days}d{seconds}s"  # the API limits the digits of each number
    try:
        return rfc3339(seconds_of(text))
    except ValueError:
        message = f"--since: expected a time like 2026-01-31T12:00:00Z or 10m, got {text!r}"
        raise UsageError(message) from None


def _print_one(
    invocation: Invocation, api: "API", name: str, params: Params, *, has_times: bool
) -> int:
    """Print one log, byte for byte."""
    from kakuri._log_stream import follow_text, read_log  # noqa: PLC0415 (not for --help)
    from kakuri._tombstones import REMOVED, is_kept  # noqa: PLC0415

    out = sys.stdout.buffer
    if ("follow", "true") in params:
        _copy(follow_text(invocation, api, name, params, has_times=has_times), out)
        _report_end(invocation, api, name)
        return Exit.OK
    if has_times:
        params = [*params, ("timestamps", "true")]
    try:
        _copy(read_log(invocation, api, name, params), out)
    except NotFound:
        if REMOVED in params or not is_kept(invocation, api, name):
            raise
        _copy(read_log(invocation, api, name, [*params, REMOVED]), out)
    return Exit.OK


def _copy(pieces: Iterator[bytes], out: Any) -> None:
    for piece in pieces:
        out.write(piece)
        out.flush()


def _merge_all(
    invocation: Invocation, api: "API", names: list[str], params: Params
) -> Iterator[tuple[str, Any]]:
    """Yield the records of several logs in the order of their times."""

    def records(name: str) -> Iterator[tuple[str, str, Any]]:
        from kakuri._log_stream import follow_records  # noqa: PLC0415 (not for --help)

        at = ""
        try:
            with api.clone() as client:
                for written, line in follow_records(invocation, client, name, params):
                    at = written or at
                    yield at, name, line
        except CommandError as error:
            yield at, name, error

    merged = heapq.merge(*(records(name) for name in names), key=lambda record: record[0])
    for _, name, line in merged:
        yield name, line


def _follow_all(
    invocation: Invocation, api: "API", names: list[str], params: Params
) -> Iterator[tuple[str, Any]]:
    """Yield the records of several logs as they come; None at the end of each."""
    from kakuri._log_stream import follow_records  # noqa: PLC0415 (not for --help)
    from kakuri._threads import start_thread  # noqa: PLC0415 (only here)

    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(MAX_WAITING)

    def read(name: str, client: "API") -> None:
        end: Any = None
        try:
            with client:
                for _, line in follow_records(invocation, client, name, params):
                    waiting.put((name, line))
        except CommandError as error:
            end = error
        except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
            end = error
        waiting.put((name, end))

    for name in names:
        start_thread(read, name, api.clone())
    followed = len(names)
    while followed:
        name, line = waiting.get()
        if not isinstance(line, bytes):
            followed -= 1
            if isinstance(line, BaseException) and not isinstance(line, CommandError):
                raise line
        yield name, line


class _Printer:
    """Prints records: as lines with name and time, or as they came."""

    def __init__(
        self, invocation: Invocation, names: list[str], *, has_names: bool, has_times: bool
    ) -> None:
        self._invocation = invocation
        self._is_alone = len(names) == 1
        self._has_names, self._has_times = has_names, has_times
        self._width = max(map(len, names))

    def print(self, name: str, line: bytes) -> None:
        """Print one record."""
        from kakuri._log_stream import record_of  # noqa: PLC0415 (not for --help)

        if self._invocation.is_json and self._is_alone:
            self._invocation.out_document(line)
            return
        record = record_of(line)
        if self._invocation.is_json:
            self._invocation.out_value({"id": name, **record})
        elif "line" in record:
            self._invocation.out(self._text(name, record))
        elif record.get("type") == "attempt":
            self._invocation.note(f"{name}: attempt {record.get('attempt')}")
        elif record.get("type") == "gap":
            self._invocation.note(f"{name}: a part of the log was removed", "yellow")
        sys.stdout.flush()

    def _text(self, name: str, record: dict[str, Any]) -> str:
        text = printable(str(record["line"]))
        if self._has_names:
            mark = _STDERR_MARK if record.get("stream") == "stderr" else _STDOUT_MARK
            text = f"{name:<{self._width}} {mark} {text}"
        return f"{record.get('at', '')} {text}" if self._has_times else text


def _report_end(invocation: Invocation, api: "API", name: str) -> None:
    """Report on standard error how a workload ended whose log was followed to its end."""
    from kakuri._client import path_of  # noqa: PLC0415 (not for --help)
    from kakuri._tombstones import removed_document  # noqa: PLC0415 (not for --help)

    document: dict[str, Any] | None
    try:
        document = api.get(path_of(name)).document
    except NotFound:
        document = removed_document(api, name)
    if document is None:
        invocation.note(f"{name} was removed")
        return
    invocation.note(f"{name} ended: {end_text(document)}")
