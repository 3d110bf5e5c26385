"""What a conversion walks over: a document's text, or values that are parsed already.

Both let a conversion take one value after the other, in the order of the document, without
knowing where they come from. Over a text, conversion and parsing are one walk: a fault has its
position at hand, and what follows the last fault that counts is never read.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from kakuri_json._diagnosis import explain_end, explain_key, explain_separator, explain_value
from kakuri_json._errors import JSONSyntaxError
from kakuri_json._limits import Limits, exceeded
from kakuri_json._parser import parse_value
from kakuri_json._runs import Runs
from kakuri_json._scanning import skip_plain, skip_space
from kakuri_json._shapes import Dictionary, Shape
from kakuri_json._skipping import skip_value
from kakuri_json._source import limit_error, syntax_error
from kakuri_json._strings import read_escaped


class Cursor(Protocol):
    """Takes the values of a document one after the other."""

    @property
    def position(self) -> int | None:
        """Where the present value begins in the text; None where there is no text."""

    def begin(self) -> Any:
        """Begin the present value: return a scalar itself, or some dict or list for a container."""

    def whole(self, value: Any) -> Any:
        """Return the whole of a value that begin() returned, with everything inside it."""

    def skip(self, value: Any) -> None:
        """Move past the value that begin() returned."""

    def abandon(self, start: int | None, value: Any) -> None:
        """Move past a container that was entered, and past whatever is still inside it."""

    def count(self, value: Any) -> int | None:
        """Return how many items a container has, or None where only its end tells."""

    def items(self, value: Any) -> Iterator[None]:
        """Walk over the items of an array; each has to be taken before the next step."""

    def members(self, value: Any, shape: Dictionary | None = None) -> Iterator[Any]:
        """Walk over the keys of an object; each value has to be taken before the next step.

        With a shape, lists of pairs may come as well: members that were read at once.
        """

    def many(self, item: Shape) -> tuple[list[Any], bool]:
        """Read as many items at once as possible, maybe none.

        Returns:
            The items, and whether the cursor stands at another one.
        """

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        """Return the value of a key in an object that begins, and its position; enter nothing."""

    def learn(self, item: Shape, start: int | None) -> None:
        """Remember the spelling of the item that began at a position and ends here."""


class ValueCursor:
    """Walks over values that are parsed already (of a TOML file, say)."""

    position: int | None = None

    def __init__(self, value: Any, limits: Limits) -> None:
        self._present = value
        self._limits = limits
        self._depth = 0

    def begin(self) -> Any:
        return self._present

    def whole(self, value: Any) -> Any:
        return value

    def skip(self, value: Any) -> None:
        pass

    def abandon(self, start: int | None, value: Any) -> None:
        pass

    def count(self, value: Any) -> int | None:
        return len(value)

    def items(self, value: Any) -> Iterator[None]:
        self._enter()
        for self._present in value:
            yield
        self._depth -= 1

    def members(self, value: Any, shape: Dictionary | None = None) -> Iterator[Any]:  # noqa: ARG002
        self._enter()
        for key, self._present in value.items():
            yield key
        self._depth -= 1

    def many(self, item: Shape) -> tuple[list[Any], bool]:  # noqa: ARG002
        return [], True

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        return value.get(key, missing), None

    def learn(self, item: Shape, start: int | None) -> None:
        pass

    def _enter(self) -> None:
        if self._depth >= self._limits.max_depth:
            raise exceeded(self._limits, "max_depth")
        self._depth += 1


_OBJECT: dict[str, Any] = {}
_ARRAY: list[Any] = []
LARGE = 2048
"""Characters of a text in which expressions for many values at once are worth their compilation."""
_PATIENCE = 32
"""Items in a row that were tried as the begin of a run, in vain, before no more are tried."""

_SHORT_SPAN = 256
"""Characters of the first run after a refused item; each further run is twice as long. So what is
read twice, to find the next refused item, is in proportion to what was read in vain."""


class TextCursor:
    """Walks over the text of a document and checks its syntax on the way.

    Args:
        text: the document.
        limits: what it may cost.
        runs: returns the reader of runs for the shape of an item and of a key, if there is one;
            None to take every value by itself.
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
            # Its value is not needed, so if it may be large, only its grammar is checked.
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

    def members(self, value: Any, shape: Dictionary | None = None) -> Iterator[Any]:  # noqa: ARG002
        text = self.text
        position = self._enter()
        keys: set[str] = set()
        if text.startswith("}", position):
            self._leave(position)
            return
        while True:
            pairs: list[tuple[str, Any]] = []
            is_at_key = True
            if shape is not None:
                start, self.position = position, position
                pairs, is_at_key = self._read_run(shape.value, shape.key)
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

    def many(self, item: Shape) -> tuple[list[Any], bool]:
        return self._read_run(item, None)

    def _read_run(self, item: Shape, key: Shape | None) -> tuple[list[Any], bool]:
        runs = None if self._runs is None else self._runs(item, key)
        if runs is None or self._misses > _PATIENCE:
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
        self, keys: set[str], pairs: list[tuple[str, Any]], shape: Dictionary, start: int
    ) -> None:
        """Add the keys of a run of members that begins at a position."""
        added = [key for key, _ in pairs]
        if len(set(added)) == len(added) and keys.isdisjoint(added):
            keys.update(added)
            return
        runs = self._runs and self._runs(shape.value, shape.key)
        assert runs is not None
        for number, key in enumerate(added):
            if key in keys:
                raise self._again(runs.start_of(self.text, start, number), key)
            keys.add(key)

    def find(self, value: Any, key: str, missing: Any) -> tuple[Any, int | None]:
        start = self._start
        found, place = missing, start
        for name in self.members(value):
            place = self.position
            one = self.begin()
            if name == key:
                # `encode` writes the tag first; what follows it is read later anyway.
                found = self.whole(one)
                break
            self.skip(one)
        else:
            place = start
            self._depth += 1
        self._depth -= 1
        self._start = self.position = start
        return found, place

    def learn(self, item: Shape, start: int | None) -> None:
        runs = None if self._runs is None else self._runs(item, None)
        if runs is not None:
            runs.learn(self.text[start : self.position])

    def finish(self) -> None:
        """Raise JSONSyntaxError if anything stands after the document."""
        position = skip_space(self.text, self.position)
        if position != len(self.text):
            raise explain_separator(self.text, position, "nothing after the document")

    def _enter(self) -> int:
        """Enter the container that begins here; return the position of what is inside it."""
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
            raise self._again(start, key)
        keys.add(key)
        position = skip_space(text, position)
        if not text.startswith(":", position):
            expected = "':' after the key"
            raise self._unexpected(position, expected, in_object=True, key_follows=True)
        return key, skip_space(text, position + 1)

    def _again(self, start: int, key: str) -> JSONSyntaxError:
        expected = "every key of an object once"
        return syntax_error(self.text, start, expected, f"{key[:60]!r} again")

    def _unexpected(
        self, position: int, expected: str, *, in_object: bool, key_follows: bool = False
    ) -> JSONSyntaxError:
        if position >= len(self.text):
            return explain_end(self.text, in_object=in_object, key_follows=key_follows)
        return explain_separator(self.text, position, expected)
