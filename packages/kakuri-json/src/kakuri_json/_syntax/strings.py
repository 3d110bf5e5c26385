"""Reads and writes strings with escapes (RFC 8259 section 7)."""

import re
from codecs import raw_unicode_escape_encode, unicode_escape_decode
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kakuri_json._errors import EncodeError, JSONSyntaxError
from kakuri_json._syntax.diagnosis import explain_string
from kakuri_json._syntax.scanning import (
    COMPILED,
    ESCAPE,
    PLAIN,
    has_surrogate,
    skip_escapes,
    skip_plain,
)

if TYPE_CHECKING:
    from mypy_extensions import i64

# Compiled code accesses a final name of its own module faster than an imported one.
_QUOTE: Final = 0x22
_unescape: Final = unicode_escape_decode
_to_ascii: Final = raw_unicode_escape_encode
SEPARATOR: Final = " " + chr(0xDC01)
"""Separator that joins many strings into one: a lone surrogate, which no string of a document
contains. The space keeps it from forming a pair with the end of the string before it."""
_SEPARATOR_ESCAPE: Final = r" \udc01"


def read_escaped(text: str, start: "i64", special: "i64") -> tuple[str, "i64"]:
    """Read a string that has escapes.

    Args:
        text: The document.
        start: The position after the opening quote.
        special: The position of the first character that is not plain.

    Returns:
        The string, and the position after its closing quote.

    Raises:
        JSONSyntaxError: The string is not valid.
    """
    position: i64 = skip_escapes(text, special)
    if position < len(text) and ord(text[position]) == _QUOTE:
        try:
            return unescape(text[start:position]), position + 1
        except ValueError:
            pass
    raise _explain_escaped(text, special)


def _explain_escaped(text: str, special: "i64") -> JSONSyntaxError:
    """Return the error for an invalid string in `read_escaped`."""
    match_valid = re.compile(rf"{PLAIN}(?>(?:{ESCAPE}{PLAIN}){{0,9999}})").match
    position: i64 = special
    while (valid := match_valid(text, position)) is not None and valid.end() > position:
        position = valid.end()
    lone = re.search(
        # Both alternatives begin with the same characters, which `re` finds faster.
        r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
        r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])",
        # The replacement has the same length as an escaped backslash, so positions do not change.
        text[special:position].replace("\\\\", "  "),
    )
    return explain_string(text, position if lone is None else special + lone.start())


def unescape(body: str) -> str:
    """Replace the escapes in the body of a string.

    Args:
        body: The text between the quotes, in which each backslash begins a valid JSON escape.

    Raises:
        ValueError: The digits of an escape are not hexadecimal, or there is a lone surrogate.
    """
    # Searching for one character is much faster than for two.
    characters = _unescape_units(unescape_slashes(body) if "/" in body else body)
    return pair_surrogates(characters) if "\\u" in body else characters


def _unescape_units(body: str) -> str:
    """Do the same as `unescape`, but leave surrogates unpaired; no slash is escaped."""
    # Python's escapes include all of JSON's except the slash, with the same meaning.
    return _unescape(body if body.isascii() else _to_ascii(body)[0])[0] if "\\" in body else body


def unescape_slashes(body: str) -> str:
    """Replace escaped slashes, which Python does not know, and leave all other escapes."""
    return body.replace("\\\\", r"\x5c").replace("\\/", "/") if "\\/" in body else body


@cache
def _pairs() -> re.Pattern[str]:
    # Compiled for the first text with surrogates.
    return re.compile(r"[\ud800-\udbff][\udc00-\udfff]")


def pair_surrogates(characters: str) -> str:
    """Replace surrogate pairs with the characters that they encode."""
    if not has_surrogate(characters):
        return characters
    characters = _pairs().sub(_join_pair, characters)
    if has_surrogate(characters):
        raise ValueError("expected a pair of surrogates")
    return characters


def _join_pair(pair: re.Match[str]) -> str:
    units: str = pair[0]
    return chr(0x10000 + ((ord(units[0]) - 0xD800) << 10) + ord(units[1]) - 0xDC00)


def unescape_all(texts: Sequence[str]) -> Sequence[str]:
    """Replace the escapes in the bodies of many strings.

    A call for each string would cost more than processing its characters, so they are joined,
    processed as one string, and split.

    Args:
        texts: The bodies, as for `unescape`.

    Raises:
        ValueError: As in `unescape`.
    """
    bodies = "".join(texts)
    if "\\" not in bodies:
        return texts
    has_units = "\\ud" in bodies or "\\uD" in bodies
    if COMPILED:
        slashed = [unescape_slashes(text) if "/" in text else text for text in texts]
        unescaped = _unescape_units(_SEPARATOR_ESCAPE.join(slashed)).split(SEPARATOR)
        if has_units and len(unescaped) == len(texts):
            return [pair_surrogates(text) for text in unescaped]
    else:
        characters = _unescape_units(unescape_slashes(_SEPARATOR_ESCAPE.join(texts)))
        if has_units:
            units = characters.encode("utf-16-le", "surrogatepass")
            characters = units.decode("utf-16-le", "surrogatepass")
        unescaped = characters.split(SEPARATOR)
    if has_units and (len(unescaped) > len(texts) or has_surrogate("".join(unescaped))):
        raise ValueError("expected a pair of surrogates")
    return unescaped


def unescape_each(bodies: Sequence[str]) -> list[str]:
    """Do the same as `unescape_all`, but leave surrogates unpaired; no slash is escaped."""
    texts = _unescape_units(_SEPARATOR_ESCAPE.join(bodies)).split(SEPARATOR)
    if len(texts) != len(bodies):
        raise ValueError("expected a pair of surrogates")
    return texts


_ONLY_STRINGS: Final = frozenset({str})
_LONG: Final = 1000
"""Length of a text in characters from which replacing each special character in turn is cheaper
than a call for each occurrence."""
# The backslash comes first, because every escape has one.
_ESCAPES: Final = {"\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip


@cache
def _special() -> re.Pattern[str]:
    # Compiled for the first text that may need escapes.
    return re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


def quote(text: str) -> str:
    """Return a str as a JSON string, escaping only what must be escaped."""
    if COMPILED:
        plain = text.isascii() and skip_plain(text, 0) == len(text)
    else:
        # Printable text has neither control characters nor surrogates.
        plain = '"' not in text and "\\" not in text and text.isprintable()
    if plain or _special().search(text) is None:
        return '"' + text + '"'
    if len(text) >= _LONG and not has_surrogate(text):
        return f'"{_escape_all(text)}"'
    return f'"{_special().sub(_escape_one, text)}"'


def only_strings(items: Sequence[Any]) -> bool:
    """Return whether every item is a str and not an instance of a subclass."""
    return _ONLY_STRINGS.issuperset(map(type, items))


def quote_all(texts: Sequence[str]) -> str:
    """Return many str as JSON strings, separated by commas."""
    return '"' + '","'.join(escape_each(texts)) + '"' if texts else ""


def escape_each(texts: Sequence[str]) -> Sequence[str]:
    """Escape each str; they are joined, escaped as one string, and split."""
    text = "".join(texts)
    if '"' not in text and "\\" not in text and text.isprintable():
        return texts
    if has_surrogate(text):
        return [quote(each)[1:-1] for each in texts]  # the error is about the one that has it
    return _escape_all(SEPARATOR.join(texts)).split(SEPARATOR)


def _escape_all(text: str) -> str:
    """Escape every special character of a long text, except surrogates."""
    for character, escape in _ESCAPES.items():
        if character in text:
            text = text.replace(character, escape)
    return text


def _escape_one(match: re.Match[str]) -> str:
    escape = _ESCAPES.get(match[0])
    if escape is None:
        got = f"the lone surrogate {ord(match[0]):#06x}"
        raise EncodeError(f"expected text that can be written as UTF-8, got {got}")
    return escape
