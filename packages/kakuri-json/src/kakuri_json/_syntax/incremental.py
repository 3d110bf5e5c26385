"""Parses a document that arrives in pieces or does not fit in memory.

Bytes in, events out. Between two events, the parser holds at most one number or string, and the
keys of each open object, to reject duplicates. The limits bound all of this.

              ┌──────────────────────────────────────┐
    VALUE ──► scalar, or end of container ──► AFTER ─┤ ',' in an array: VALUE, in an object: KEY
      │                                       │      └ the last end: DONE
      ├ '[' ► FIRST_VALUE: VALUE or ']'       ▼
      └ '{' ► FIRST_KEY: KEY or '}'; KEY ► COLON ► VALUE
"""

import codecs
import enum
import re
from typing import Any, NamedTuple

from kakuri_json._errors import JSONSyntaxError, LimitError
from kakuri_json._limits import Limits, check_count, interpreter_limits, limits_or_default
from kakuri_json._syntax.diagnosis import (
    explain_key,
    explain_separator,
    explain_string,
    explain_value,
    limit_error,
    syntax_error,
)
from kakuri_json._syntax.numbers import skip_number
from kakuri_json._syntax.scanning import PLAIN
from kakuri_json._syntax.strings import unescape


class EventKind(enum.Enum):
    """The kind of an event."""

    START_OBJECT = "start of an object"
    END_OBJECT = "end of an object"
    START_ARRAY = "start of an array"
    END_ARRAY = "end of an array"
    KEY = "a key"
    VALUE = "a string, a number, true, false or null"
    END = "the document is complete"
    NEED_DATA = "no event before receive_data is called again"


class Event(NamedTuple):
    """A part of a document.

    Attributes:
        kind: The kind of the event.
        value: The text of a key, or the value of a scalar; otherwise None.
    """

    kind: EventKind
    value: Any = None


class _State(enum.Enum):
    VALUE = enum.auto()
    FIRST_VALUE = enum.auto()
    KEY = enum.auto()
    FIRST_KEY = enum.auto()
    COLON = enum.auto()
    AFTER = enum.auto()
    STRING = enum.auto()
    DONE = enum.auto()


_NEED_DATA = Event(EventKind.NEED_DATA)
_END = Event(EventKind.END)
_STARTS = {"{": Event(EventKind.START_OBJECT), "[": Event(EventKind.START_ARRAY)}
_SPACE = re.compile(r"[ \t\n\r]*+").match
_PLAIN = re.compile(PLAIN).match
_ESCAPE = re.compile(
    r'\\(?:["\\/bfnrt]|u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|u[0-9a-fA-F]{4})'
).match
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z").match
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z").match
_NUMBER_CHARACTERS = re.compile(r"[-+0-9.eE]*+").match
_WORD_CHARACTERS = re.compile("[A-Za-z]*+").match
_WORDS = {"true": True, "false": False, "null": None}
_LONGEST_ESCAPE = 12
_LONGEST_WORD = 20
"""Letters to wait for before an unknown word is reported, so that the message can quote it."""


class IncrementalParser:
    """Parses one document that arrives in chunks of any size: bytes in, events out.

    Not thread-safe. Do not use the parser again after an error.

        >>> parser = IncrementalParser()
        >>> parser.receive_data(b'["wl-1", 51')
        >>> for _ in range(3):
        ...     kind, value = parser.next_event()
        ...     print(kind.name, value)
        START_ARRAY None
        VALUE wl-1
        NEED_DATA None

    Args:
        limits: Bounds on the document, except for `max_length`; None for the defaults.
        max_string: Maximum length of a string or key in characters.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `max_string` is negative.
    """

    def __init__(self, *, limits: Limits | None = None, max_string: int = 2**20) -> None:
        self._limits = limits_or_default(limits)
        check_count(max_string, "max_string")
        self._max_string = max_string
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._position = 0
        self._ended = False
        self._state = _State.VALUE
        # For each open container: the keys so far of an object, None for an array.
        self._open: list[set[str] | None] = []
        self._string: list[str] = []
        self._string_length = 0
        self._string_is_key = False
        # The position in the document at which the buffer begins.
        self._bytes_before = 0
        self._lines_before = 0
        self._column_before = 0

    def __repr__(self) -> str:
        state, depth = self._state.name, len(self._open)
        return f"<IncrementalParser {state} depth={depth} buffered={self.buffered}>"

    @property
    def buffered(self) -> int:
        """Number of buffered characters that are not part of an event yet."""
        return len(self._text) - self._position + self._string_length

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Add a chunk of the document to the buffer.

        Args:
            data: The chunk; b"" means that the document has ended.

        Raises:
            JSONSyntaxError: The bytes are not UTF-8.
            RuntimeError: The document has already ended.
            TypeError: The chunk is not bytes.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected bytes as a chunk, got {type(data).__name__}")
        if self._ended:
            raise RuntimeError("receive_data was called after the end of the document")
        self._drop_consumed()
        if not data:
            self._ended = True
        try:
            self._text += self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            got = f"the byte {error.object[error.start]:#04x} ({error.reason})"
            text = self._text + error.object[: error.start].decode()
            raise self._located(syntax_error(text, len(text), "UTF-8", got), text) from None

    def next_event(self) -> Event:
        """Return the next event of the data received so far.

        A string or a number is a single event, returned once its end is known.

        Returns:
            The next part of the document; NEED_DATA if more bytes are needed; END when the document
            is complete, also for every further call.

        Raises:
            JSONSyntaxError: The document is not valid JSON. The position counts bytes from the
                beginning of the document.
            LimitError: The document exceeds a limit, or a string is longer than `max_string`.
        """
        try:
            return self._next()
        except (JSONSyntaxError, LimitError) as error:
            raise self._located(error, self._text) from None

    def _drop_consumed(self) -> None:
        """Drop the text before the position, and advance the buffer's position in the document."""
        consumed = self._text[: self._position]
        lines = consumed.count("\n")
        self._bytes_before += len(consumed.encode())
        self._lines_before += lines
        after_line = len(consumed) - (consumed.rfind("\n") + 1)
        self._column_before = after_line if lines else self._column_before + after_line
        self._text = self._text[self._position :]
        self._position = 0

    def _located(
        self, error: JSONSyntaxError | LimitError, text: str
    ) -> JSONSyntaxError | LimitError:
        """Convert the position of an error from the buffer to the document."""
        if error.position is not None and error.line is not None and error.column is not None:
            error.position = self._bytes_before + len(text[: error.position].encode())
            if error.line == 1:
                error.column += self._column_before
            error.line += self._lines_before
        return error

    def _next(self) -> Event:  # noqa: C901 - the state machine of the diagram above
        while True:
            if self._state is _State.STRING:
                return self._continue_string()
            self._skip_space()
            if self._position == len(self._text):
                return self._end_of_data()
            character = self._text[self._position]
            match self._state:
                case _State.COLON:
                    if character != ":":
                        raise explain_separator(self._text, self._position, "':' after the key")
                    self._position += 1
                    self._state = _State.VALUE
                case _State.AFTER:
                    event = self._after_value(character)
                    if event is not None:
                        return event
                case _State.KEY | _State.FIRST_KEY:
                    if character == "}" and self._state is _State.FIRST_KEY:
                        return self._close(character)
                    if character != '"':
                        after_comma = self._state is _State.KEY
                        raise explain_key(self._text, self._position, after_comma=after_comma)
                    self._begin_string(is_key=True)
                case _State.VALUE | _State.FIRST_VALUE:
                    if character == "]" and self._state is _State.FIRST_VALUE:
                        return self._close(character)
                    if character == '"':
                        self._begin_string(is_key=False)
                    elif character in _STARTS:
                        return self._start(character)
                    else:
                        return self._scalar()
                case _:
                    raise explain_separator(
                        self._text, self._position, "nothing after the document"
                    )

    def _skip_space(self) -> None:
        space = _SPACE(self._text, self._position)
        assert space is not None
        self._position = space.end()

    def _end_of_data(self) -> Event:
        if not self._ended:
            return _NEED_DATA
        if self._state is _State.DONE:
            return _END
        expected = {
            _State.COLON: "':' after the key",
            _State.KEY: "a key",
            _State.FIRST_KEY: "a key or '}'",
            _State.VALUE: "a value",
            _State.FIRST_VALUE: "a value or ']'",
            _State.STRING: "a closing quote",
            _State.AFTER: f"',' or '{']' if self._open and self._open[-1] is None else '}'}'",
        }[self._state]
        raise syntax_error(self._text, len(self._text), expected, "the end of the document")

    def _after_value(self, character: str) -> Event | None:
        keys = self._open[-1]
        if character == ",":
            self._position += 1
            self._state = _State.VALUE if keys is None else _State.KEY
            return None
        if character == ("]" if keys is None else "}"):
            return self._close(character)
        expected = f"',' or '{']' if keys is None else '}'}'"
        raise explain_separator(self._text, self._position, expected)

    def _start(self, character: str) -> Event:
        if len(self._open) >= self._limits.max_depth:
            raise limit_error(self._text, self._position, self._limits, "max_depth")
        self._open.append(set() if character == "{" else None)
        self._state = _State.FIRST_KEY if character == "{" else _State.FIRST_VALUE
        self._position += 1
        return _STARTS[character]

    def _close(self, character: str) -> Event:
        self._position += 1
        self._open.pop()
        self._complete()
        return Event(EventKind.END_OBJECT if character == "}" else EventKind.END_ARRAY)

    def _complete(self) -> None:
        self._state = _State.AFTER if self._open else _State.DONE

    def _scalar(self) -> Event:
        """Read a number or a word; its end is known once another character follows."""
        start = self._position
        numeric = self._text[start] in "-0123456789"
        run = (_NUMBER_CHARACTERS if numeric else _WORD_CHARACTERS)(self._text, start)
        assert run is not None
        length = run.end() - start
        if numeric and length > self._limits.max_digits:
            raise limit_error(self._text, start, self._limits, "max_digits")
        may_grow = run.end() == len(self._text) and not self._ended
        if may_grow and (numeric or length <= _LONGEST_WORD):
            return _NEED_DATA
        end = run.end()
        number = skip_number(self._text, start)
        word = next((word for word in _WORDS if run[0].startswith(word)), None)
        value: Any
        if numeric and number in (end, -end):
            value = self._number(run[0], is_integer=number == end)
        elif word is not None:
            value = _WORDS[word]
            end = start + len(word)
        else:
            in_array = bool(self._open) and self._open[-1] is None
            after_comma = in_array and self._state is _State.VALUE
            raise explain_value(self._text, start, after_comma=after_comma)
        self._position = end
        self._complete()
        return Event(EventKind.VALUE, value)

    def _number(self, token: str, *, is_integer: bool) -> int | float:
        if is_integer:
            try:
                return int(token)
            except ValueError:  # the interpreter allows fewer digits than the limit
                limits = interpreter_limits(self._limits)
                raise limit_error(self._text, self._position, limits, "max_digits") from None
        value = float(token)
        if value - value != 0:
            expected = "a number within the range of a double"
            raise syntax_error(self._text, self._position, expected, token[:40])
        return value

    def _begin_string(self, *, is_key: bool) -> None:
        self._position += 1
        self._string_is_key = is_key
        self._state = _State.STRING

    def _continue_string(self) -> Event:
        """Read more of a string; only an incomplete escape stays in the buffer."""
        while True:
            plain = _PLAIN(self._text, self._position)
            assert plain is not None
            self._append(plain[0], plain.end())
            if self._position == len(self._text):
                return self._end_of_data()
            if self._text[self._position] == '"':
                self._position += 1
                return self._finish_string("".join(self._string))
            escape = _ESCAPE(self._text, self._position)
            remaining = len(self._text) - self._position
            if remaining < _LONGEST_ESCAPE and not self._ended and self._may_grow(escape):
                return _NEED_DATA
            if escape is None:
                raise explain_string(self._text, self._position)
            try:
                value = unescape(escape[0])
            except ValueError:
                raise explain_string(self._text, self._position) from None
            self._append(value, escape.end())

    def _may_grow(self, escape: re.Match[str] | None) -> bool:
        """Return whether more characters could change the escape that begins here."""
        rest = self._text[self._position : self._position + _LONGEST_ESCAPE]
        if escape is None:
            return rest.startswith("\\") and _ESCAPE_BEGUN(rest) is not None
        return len(escape[0]) == 6 and _HIGH_SURROGATE(rest) is not None

    def _append(self, text: str, end: int) -> None:
        self._position = end
        if text:
            self._string.append(text)
            self._string_length += len(text)
            if self._string_length > self._max_string:
                raise LimitError(
                    f"expected at most {self._max_string} characters in a string, got more",
                    limit="max_string",
                    maximum=self._max_string,
                )

    def _finish_string(self, text: str) -> Event:
        self._string = []
        self._string_length = 0
        if not self._string_is_key:
            self._complete()
            return Event(EventKind.VALUE, text)
        keys = self._open[-1]
        assert keys is not None
        if text in keys:
            got = f"{text[:60]!r} again"
            raise syntax_error(self._text, self._position, "every key of an object once", got)
        if len(keys) >= self._limits.max_keys:
            raise limit_error(self._text, self._position, self._limits, "max_keys")
        keys.add(text)
        self._state = _State.COLON
        return Event(EventKind.KEY, text)
