"""One run of the command: its shared options, its output, and its control plane."""

import os
import sys
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kakuri._client import API
    from kakuri._contexts import Target

_DEFAULT_WIDTH, _DEFAULT_HEIGHT = 80, 24


class Invocation:
    """The values of the shared options, and the output that they select.

    Attributes:
        environ: The variables.
        host: The value of --host, if it is given.
        context: The value of --context, if it is given.
        format: One of `FORMATS` of the module `_overview`.
        color: `auto`, `always` or `never`.
        lost_count: Number of outage trackers that have lost the server.
        lost_since: When the first of these outages began, in seconds of `time.monotonic`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.host: str | None = None
        self.context: str | None = None
        self.format = "table"
        self.color = "auto"
        self.lost_count = 0
        self.lost_since = 0.0

    @classmethod
    def current(cls) -> "Invocation":
        """Return the invocation of the command that is running."""
        found: Invocation = click.get_current_context().find_object(cls) or cls(os.environ)
        return found

    @property
    def is_json(self) -> bool:
        """Whether the output is JSON, and errors are problem documents."""
        return self.format in ("json", "jsonl")

    @property
    def is_name(self) -> bool:
        """Whether only ids are printed."""
        return self.format == "name"

    @property
    def target(self) -> "Target":
        """The control plane; UsageError if the options or the file are not valid."""
        from kakuri._contexts import find_target  # noqa: PLC0415 (not for --help)

        return find_target(self.host, self.context, self.environ)

    def api(self) -> "API":
        """Return a client of the control plane."""
        from kakuri._client import API  # noqa: PLC0415 (not for --help)

        return API(self.target)

    def is_live(self, stream: IO[Any]) -> bool:
        """Return whether lines of a stream may be rewritten: it is a capable terminal."""
        return _is_terminal(stream) and self.environ.get("TERM") != "dumb"

    def has_color(self, stream: IO[Any]) -> bool:
        """Return whether output to a stream is coloured."""
        if self.color != "auto":
            return self.color == "always"
        return self.is_live(stream) and not self.environ.get("NO_COLOR")

    def styled(self, text: str, color: str | None, stream: IO[Any] | None = None) -> str:
        """Return text in a colour, if the stream (standard output by default) is coloured."""
        if color is None or not self.has_color(stream or sys.stdout):
            return text
        return click.style(text, dim=True) if color == "dim" else click.style(text, fg=color)

    def out(self, text: str) -> None:
        """Print a line of data."""
        sys.stdout.write(f"{text}\n")

    def out_document(self, document: bytes) -> None:
        """Print a JSON document of the API, byte for byte, and a line feed."""
        sys.stdout.flush()
        sys.stdout.buffer.write(document.rstrip(b"\n") + b"\n")
        sys.stdout.buffer.flush()

    def out_value(self, value: object) -> None:
        """Print a value as a JSON document, in UTF-8 whatever the locale."""
        from kakuri_json import encode  # noqa: PLC0415 (not for tables)

        self.out_document(encode(value))

    def note(self, text: str, color: str | None = None) -> None:
        """Print a line of progress, a warning or a hint on standard error."""
        sys.stdout.flush()  # so that both streams on one terminal are in order
        sys.stderr.write(self.styled(text, color, sys.stderr) + "\n")
        sys.stderr.flush()

    def error(
        self, message: str, code: str, document: bytes | None = None, workload_id: str = ""
    ) -> None:
        """Print an error on standard error: lines of text, or in JSON the problem document.

        Args:
            message: What happened; it may quote a file name or what a server sent.
            code: Short, stable name of the cause.
            document: The problem document of the API, if there is one.
            workload_id: The workload that it is about, if the command names several.
        """
        if not self.is_json:
            from kakuri._text import printable  # noqa: PLC0415 (only for errors)

            text = f"{workload_id}: {message}" if workload_id else message
            lines = "\n".join(map(printable, text.split("\n")))
            self.note(f"{self.styled('error:', 'red', sys.stderr)} {lines}")
            return
        from kakuri_json import encode, loads  # noqa: PLC0415 (only for errors in JSON)

        if document is None:
            title = message.partition("\n")[0]
            document = encode({"title": title, "detail": message, "code": code})
        if workload_id:
            document = encode({"id": workload_id, **loads(document)})
        sys.stdout.flush()
        sys.stderr.buffer.write(document.rstrip(b"\n") + b"\n")
        sys.stderr.flush()


def width_of(stream: IO[Any]) -> int | None:
    """Return the columns of a terminal; None if the stream is not one, so nothing is cut."""
    if not _is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_WIDTH
    except OSError:
        return _DEFAULT_WIDTH


def height_of(terminal: IO[Any]) -> int:
    """Return the number of lines of a terminal."""
    try:
        return os.get_terminal_size(terminal.fileno()).lines or _DEFAULT_HEIGHT
    except OSError:
        return _DEFAULT_HEIGHT


def _is_terminal(stream: IO[Any]) -> bool:
    return not stream.closed and stream.isatty()
