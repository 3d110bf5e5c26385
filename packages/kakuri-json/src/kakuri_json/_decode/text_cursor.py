"""A cursor over the text of a document, so that parsing and conversion are a single pass.

As a result, every fault has a position, and nothing is read after the last reported fault.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from kakuri_json._decode.construction import MAX_COLLISIONS
from kakuri_json._decode.runs import Runs
from kakuri_json._errors import JSONSyntaxError
from kakuri_json._limits import Limits
from kakuri_json._syntax.diagnosis import (
    explain_end,
    explain_key,
    explain_separator,
    explain_value,
    limit_error,
    syntax_error,
)
from kakuri_json._syntax.parser import parse_value
from kakuri_json._syntax.scanning import NOT_SPECIAL, skip_plain, skip_space
from kakuri_json._syntax.strings import read_escaped
from kakuri_json._types.shapes import Mapping, Shape, is_string

_OBJECT: dict[str, Any] = {}
_ARRAY: list[Any] = []
LARGE = 2048
"""Length of a text in characters from which compiling expressions for many values pays off."""
_MAX_MISSES = 32
"""Number of failed attempts to read a run, minus the items read in runs, after which no more
attempts are made."""

_SHORT_SPAN = 256
"""Maximum length in characters of the first run after a rejected item; each further run may be
twice as long. The cost of finding the next rejected item is therefore proportional to the number of
items in between."""


class TextCursor:
    """A cursor over the text of a document, whose syntax it checks.

    Args:
        text: The document.
        limits: Bounds on the document.
        runs: Returns the reader of runs for the shapes of an item and a key, or None. Without it,
            values are read one by one.
    """

    def __init__(
        self,
        text: str,
        limits: Limits,
        runs: Callable[[Shape, Shape | None], Runs | None] | None = None,
    ) -> None:
        self.text = text
        self.position: int = skip_space(text, 0)
        self._limits = limits
        self._depth = 0
        self._start = 0
        self._runs = runs
        self._misses = 0
        self._span = len(text)

    def begin(self) -> Any:
        text = self.text
        start = self._start = self.position
        if text.startswith("{", start):
            return _OBJECT
        if text.startswith("[", start):
            return _ARRAY
        if text.startswith('"', start):
            end = skip_plain(text, start + 1)
            if text.startswith('"', end):
                self.position = end + 1
                return text[start + 1 : end]
            value, self.position = read_escaped(text, start + 1, end)
            return value
        value, self.position = parse_value(
            text, start, self._limits, self._depth, last_key_wins=False
        )
        return value

    def whole(self, value: Any) -> Any:
        if value is _OBJECT or value is _ARRAY:
            value, self.position = parse_value(
                self.text, self._start, self._limits, self._depth, last_key_wins=False
            )
        return value

    def skip(self, value: Any) -> None:
        if value is _OBJECT or value is _ARRAY:
            # The value is not needed, so if it may be large, only its grammar is checked.
            is_large = len(self.text) - self._start >= LARGE
            end = skip_value(self.text, self._start) if is_large else -1
            if end < 0:
                self.whole(value)
            else:
                self.position = end

    def abandon(self, start: int | None, value: Any) -> None:
        assert start is not None
        self._start = self.position = start
        self._depth -= 1
        self.skip(value)

    def count(self, value: Any) -> int | None:  # noqa: ARG002
        return None

    def items(self, value: Any) -> Iterator[None]:  # noqa: ARG002
        text = self.text
        position = self._enter()
        if text.startswith("]", position):
            self._leave(position)
            return
        self.position = position
        while True:
            yield
            position = skip_space(text, self.position)
            if text.startswith("]", position):
                self._leave(position)
                return
            if not text.startswith(",", position):
                raise self._unexpected(position, "',' or ']'", in_object=False)
            self.position = skip_space(text, position + 1)
            if text.startswith("]", self.position):
                raise explain_value(text, self.position, after_comma=True)

    def members(self, value: Any, shape: Mapping | None = None) -> Iterator[Any]:  # noqa: ARG002
        text = self.text
        position = self._enter()
        keys: set[str] = set()
        hashes: set[int] = set()
        repeated = 0
        if text.startswith("}", position):
            self._leave(position)
            return
        while True:
            pairs: list[tuple[str, Any]] = []
            is_at_key = True
            if shape is not None:
                start, self.position = position, position
                pairs, is_at_key = self._read_run(shape.value, shape.key)
                if not is_string(shape.key):
                    known = len(hashes)
                    hashes.update(map(hash, [key for key, _ in pairs]))
                    repeated += len(pairs) - (len(hashes) - known)
                if repeated > MAX_COLLISIONS:
                    # The conversion gets the keys one at a time, and reports the fault before it
                    # has added all of them to a dict.
                    shape, pairs, is_at_key, self.position = None, [], True, start
                else:
                    self._check_keys(keys, pairs, shape, start)
                position = self.position
            if pairs:
                yield pairs
            if is_at_key:
                key, self.position = self._key(position, keys)
                yield key
            position = skip_space(text, self.position)
            if text.startswith("}", position):
                if len(keys) > self._limits.max_keys:
                    raise limit_error(text, position, self._limits, "max_keys")
                self._leave(position)
                return
            if not text.startswith(",", position):
                raise self._unexpected(position, "',' or '}'", in_object=True)
            position = skip_space(text, position + 1)

    def read_run(self, item: Shape) -> tuple[list[Any], bool]:
        return self._read_run(item, None)

    def _read_run(self, item: Shape, key: Shape | None) -> tuple[list[Any], bool]:
        runs = None if self._runs is None else self._runs(item, key)
        if runs is None or self._misses > _MAX_MISSES:
            return [], True
        run = runs.read(self.text, self.position, self.position + self._span)
        self._span = min(2 * self._span, len(self.text))
        if run is None:
            self._misses += 1
            return [], True
        items, self.position, is_at_item = run
        if is_at_item:
            self._span = _SHORT_SPAN
        self._misses = max(0, self._misses - len(items))
        return items, is_at_item

    def _check_keys(
        self, keys: set[str], pairs: list[tuple[str, Any]], shape: Mapping, start: int
    ) -> None:
        """Add the keys of a run of members that began at a position, and reject duplicates."""
        added = [key for key, _ in pairs]
        if len(set(added)) == len(added) and keys.isdisjoint(added):
            keys.update(added)
            return
        runs = self._runs and self._runs(shape.value, shape.key)
        assert runs is not None
        for number, key in enumerate(added):
            if key in keys:
                raise self._repeated_key(runs.start_of(self.text, start, number), key)
            keys.add(key)

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        start = self._start
        found, where = missing, start
        for name in self.members(value):
            where = self.position
            member = self.begin()
            if name == key:
                # `encode` writes the tag first, so the other members can be read later.
                found = self.whole(member)
                break
            self.skip(member)
        else:
            where = start
            self._depth += 1
        self._depth -= 1
        self._start = self.position = start
        return found, where

    def learn(self, item: Shape, start: int | None) -> None:
        runs = None if self._runs is None else self._runs(item, None)
        if runs is not None:
            runs.learn(self.text[start : self.position])

    def finish(self) -> None:
        """Raise JSONSyntaxError if anything follows the document."""
        position = skip_space(self.text, self.position)
        if position != len(self.text):
            raise explain_separator(self.text, position, "nothing after the document")

    def _enter(self) -> int:
        """Enter the container at the current position, and return the position of its content."""
        if self._depth >= self._limits.max_depth:
            raise limit_error(self.text, self.position, self._limits, "max_depth")
        self._depth += 1
        return skip_space(self.text, self.position + 1)

    def _leave(self, position: int) -> None:
        self._depth -= 1
        self.position = position + 1

    def _key(self, start: int, keys: set[str]) -> tuple[str, int]:
        """Add the key that begins at a position; return it and the position of its value."""
        text = self.text
        if not text.startswith('"', start):
            if start >= len(text):
                raise explain_end(text, in_object=True, key_follows=True)
            raise explain_key(text, start, after_comma=bool(keys))
        end = skip_plain(text, start + 1)
        if text.startswith('"', end):
            key, position = text[start + 1 : end], end + 1
        else:
            key, position = read_escaped(text, start + 1, end)
        if key in keys:
            raise self._repeated_key(start, key)
        keys.add(key)
        position = skip_space(text, position)
        if not text.startswith(":", position):
            expected = "':' after the key"
            raise self._unexpected(position, expected, in_object=True, key_follows=True)
        return key, skip_space(text, position + 1)

    def _repeated_key(self, start: int, key: str) -> JSONSyntaxError:
        expected = "every key of an object once"
        return syntax_error(self.text, start, expected, f"{key[:60]!r} again")

    def _unexpected(
        self, position: int, expected: str, *, in_object: bool, key_follows: bool = False
    ) -> JSONSyntaxError:
        if position >= len(self.text):
            return explain_end(self.text, in_object=in_object, key_follows=key_follows)
        return explain_separator(self.text, position, expected)


_SPACE = r"[ \t\n\r]*+"
_LEVELS = 4
"""Levels of nesting that the expression matches; each level doubles its length."""


def _repeated(pattern: str) -> str:
    """Repeat a pattern so that `re` needs memory for each thousand matches, not for each match."""
    return f"(?>(?:(?>(?:{pattern}){{1,1000}}))*)"


_ESCAPES = _repeated(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})' + NOT_SPECIAL)
_STRING = f'"{NOT_SPECIAL}{_ESCAPES}"'
_NUMBER = r"-?+(?!0[0-9])[0-9]++(?:\.[0-9]++|)(?:[eE][-+]?+[0-9]++|)"
_SCALAR = f"{_STRING}|{_NUMBER}|true|false|null"


def _container(value: str) -> str:
    """Return the expression of an array or object of such values."""
    # Each item includes the comma after it, if another item follows.
    item = rf"{value}{_SPACE}(?:,{_SPACE}(?!\])|(?=\]))"
    member = rf'{_STRING}{_SPACE}:{_SPACE}{value}{_SPACE}(?:,{_SPACE}(?=")|(?=\}}))'
    return rf"\[{_SPACE}{_repeated(item)}\]|\{{{_SPACE}{_repeated(member)}\}}"


@cache
def _expression() -> "re.Pattern[str]":
    value = f"(?>{_SCALAR})"
    for _ in range(_LEVELS - 1):
        value = f"(?>{_SCALAR}|{_container(value)})"
    return re.compile(_container(value))


def skip_value(text: str, position: int) -> int:
    """Return the position after the container that begins at a position.

    Its grammar is checked, but neither duplicate keys nor the limits of numbers.

    Returns:
        The position, or -1 if the container is not valid or nested too deeply for the expression.
    """
    match = _expression().match(text, position)
    return -1 if match is None else match.end()
