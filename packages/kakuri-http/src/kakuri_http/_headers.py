"""Header and trailer fields: ordered pairs with case-insensitive names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from kakuri_http._errors import LocalProtocolError

# The grammar of RFC 9110 5.1 and 5.5, on str, for fields to send. Values are Latin-1, like received
# ones, so that a received field can be forwarded.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")


_MAX_CACHED_LOOKUPS = 16
"""Maximum number of names, of present or missing fields, whose lookup is cached."""


class Headers:
    """The fields of a message in order, immutable; `get`, `[]` and `in` ignore the case of names.

    Values are text, decoded as ISO-8859-1 (RFC 9110 5.5). Iterating yields pairs.
    """

    __slots__ = ("_index", "_lines", "_pairs")

    def __init__(self, fields: "FieldsLike" = ()) -> None:
        """Create headers.

        Args:
            fields: Pairs of names and values, a mapping, or other headers.

        Raises:
            LocalProtocolError: RFC 9110 does not allow a name or a value. This keeps callers from
                injecting other fields or messages.
            TypeError: The fields are not pairs of str.
        """
        self._index: dict[str, str] | None = None
        self._lines: bytes | None = None
        if isinstance(fields, dict):  # the usual case; isinstance with abstract classes is slow
            self._pairs = list(fields.items())
            for name, value in self._pairs:
                check_field(name, value)
        elif isinstance(fields, Headers):
            self._pairs = list(fields)
        else:
            self._pairs = _checked_pairs(fields)

    def _fields(self) -> list[tuple[str, str]]:
        return self._pairs

    @property
    def lines(self) -> bytes:
        """The field lines as they are sent, each with its CRLF; encoded once and cached."""
        lines = self._lines
        if lines is None:
            text = ""
            for name, value in self._fields():
                # `join` copies the characters that were checked; an f-string would call
                # `__format__`, which a subclass of str can override.
                text += "".join((name, ": ", value, "\r\n"))
            lines = self._lines = text.encode("latin-1")
        return lines

    def _by_name(self) -> dict[str, str]:
        index = self._index
        if index is None:
            index = {}
            for name, value in self._fields():
                key = name.lower()
                index[key] = f"{index[key]}, {value}" if key in index else value
            self._index = index
        return index

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a field's value; those of a repeated field joined by `, ` (RFC 9110 5.3)."""
        return self._by_name().get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        """Return the values of all lines with this name; use it for `Set-Cookie`."""
        key = name.lower()
        return [value for other, value in self._fields() if other.lower() == key]

    def __getitem__(self, name: str) -> str:
        return self._by_name()[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        ours = [(name.lower(), value) for name, value in self]
        return ours == [(name.lower(), value) for name, value in other]

    def __hash__(self) -> int:
        return hash(tuple((name.lower(), value) for name, value in self))

    def __repr__(self) -> str:
        return f"Headers({self._fields()!r})"


@lru_cache(256)
def _line_start(name: str) -> bytes:
    """Return the beginning of a field's line, with the line feed before it, in lower case."""
    return b"\n%b:" % name.lower().encode("latin-1", "replace")


@lru_cache(256)
def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _checked_pairs(fields: Any) -> list[tuple[str, str]]:
    if isinstance(fields, (str, bytes)) or not isinstance(fields, Iterable):
        raise TypeError(f"expected pairs of strings as headers, got {type(fields).__name__}")
    pairs: list[tuple[str, str]] = []
    for pair in fields.items() if isinstance(fields, Mapping) else fields:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"expected a name and a value as header field, got {pair!r:.80}")
        name, value = pair  # a list is copied, so that it can't change after the check
        check_field(name, value)
        pairs.append((name, value))
    return pairs


FieldsLike = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
"""The types that callers may pass as the fields of a message."""


class ParsedHeaders(Headers):
    """Fields that the parser has checked."""

    __slots__ = ()

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._index = self._lines = None
        self._pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]


class LazyHeaders(Headers):
    """Fields that are kept as the lines that arrived, which a regular expression has checked.

    Looking up a field searches the lines. They are split only to read all fields, or one that is
    repeated. Lookups are cached, because many requests may share the object.
    """

    __slots__ = ("_block", "_lookups", "_lowercase")

    def __init__(self, block: bytes) -> None:
        self._index = self._lines = None
        self._block: bytes | None = block
        self._lowercase = b""
        self._lookups: dict[str, str | None] = {}

    def _fields(self) -> list[tuple[str, str]]:
        block = self._block
        if block is not None:
            pairs: list[tuple[str, str]] = []
            for line in block.decode("latin-1").split("\r\n")[:-1]:
                name, _, value = line.partition(":")
                pairs.append((name, value.strip(" \t")))
            self._pairs, self._block = pairs, None  # in this order, as threads may share the object
        return self._pairs

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a field's value; values of a repeated field are joined by `, ` (RFC 9110 5.3)."""
        try:
            value = self._lookups[name]
        except KeyError:
            value = self._search(name)
            if len(self._lookups) < _MAX_CACHED_LOOKUPS:
                self._lookups[name] = value
        return default if value is None else value

    def _search(self, name: str) -> str | None:
        block = self._block
        if block is None:
            return self._by_name().get(name.lower())
        lowercase = self._lowercase
        if not lowercase:
            self._lowercase = lowercase = b"\n" + block.lower()
        line_start = _line_start(name)
        at = lowercase.find(line_start)
        if at < 0:
            return None
        if lowercase.find(line_start, at + 1) >= 0:
            return self._by_name().get(name.lower())
        start = at + len(line_start) - 1  # of the value; the first line feed is not in the block
        return block[start : block.index(b"\r", start)].strip(b" \t").decode("latin-1")

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None


def check_field(name: Any, value: Any) -> None:
    """Check that a field can be sent (RFC 9110 5.1, 5.5).

    Raises:
        LocalProtocolError: The name or the value is not allowed.
        TypeError: The name or the value is not a str.
    """
    if not isinstance(name, str):
        raise TypeError(f"expected a string as field name, got {type(name).__name__}")
    if not isinstance(value, str):
        raise TypeError(f"expected a string as value of field {name!r}, got {type(value).__name__}")
    if not _is_name(name):
        raise LocalProtocolError(f"expected a field name, got {name!r}")
    # Most values are printable ASCII without leading or trailing spaces; the expression is slower.
    is_plain = value.isascii() and value.isprintable() and value.strip(" ") == value
    if not is_plain and not _VALUE.fullmatch(value):
        raise LocalProtocolError(f"expected a value for field {name!r}, got {value!r}")
