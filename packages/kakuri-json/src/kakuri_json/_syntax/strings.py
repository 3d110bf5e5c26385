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


def read_escaped(text: str, start: "i64", special: "i64") -> tuple[str, "i64"]:
    """Read a string that has escapes.

    Args:
        text: The document.
        start: The position after the opening quote.
        special: The position of its first character that is not plain.

    Returns:
        The string, and the position after its closing quote.

    Raises:
        JSONSyntaxError: The string is not valid.
    """
    position: i64 = skip_escapes(text, special)
    if position < len(text) and text[position] == '"':
        try:
            return unescape(text[start:position]), position + 1
        except UnicodeDecodeError:
            pass
    raise _explain_escaped(text, special)


def _explain_escaped(text: str, special: "i64") -> JSONSyntaxError:
    """Return the error for the string of `read_escaped`."""
    match_valid = re.compile(rf"{PLAIN}(?>(?:{ESCAPE}{PLAIN}){{0,9999}})").match
    position: i64 = special
    while (valid := match_valid(text, position)) is not None and valid.end() > position:
        position = valid.end()
    lone = re.search(
        # Both begin with the same characters, which is found faster than alternatives are.
        r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
        r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])",
        # The replacement has the length of an escaped backslash, so positions do not change.
        text[special:position].replace("\\\\", "  "),
    )
    return explain_string(text, position if lone is None else special + lone.start())


def unescape(body: str) -> str:
    """Return the characters that the body of a string stands for.

    Args:
        body: The text between the quotes, where a character of JSON follows each backslash.

    Raises:
        UnicodeDecodeError: The digits of an escape are not hexadecimal, or a surrogate is alone.
    """
    characters = unescape_units(body)
    if "\\u" in body and has_surrogate(characters):
        # Pairs of surrogates become the characters that they stand for.
        characters = characters.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    return characters


def unescape_units(body: str) -> str:
    """Do the same as `unescape`, but leave surrogates as they are."""
    # Python's own escapes include all of JSON's but one, with the same meaning.
    if "/" in body and "\\/" in body:  # one character is found much faster than two
        body = "\\\\".join([part.replace("\\/", "/") for part in body.split("\\\\")])
    return unicode_escape_decode(body if body.isascii() else raw_unicode_escape_encode(body)[0])[0]


_ONLY_STRINGS: Final = frozenset({str})
SEPARATOR: Final = " " + chr(0xDC01)
"""Joins many strings into one text: a lone surrogate, which no string of a document has. Because of
the space, it makes no pair with the end of the string before it."""
_LONG: Final = 1000
"""Characters of a text from which replacing each of the special characters in turn costs less than
a call for each occurrence."""
# The backslash comes first, because every escape has one.
_ESCAPES: Final = {"\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip


@cache
def _special() -> re.Pattern[str]:
    # Compiled for the first text that may need escapes.
    return re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


def quote(text: str) -> str:
    """Return the text as a JSON string, escaping only what must be escaped."""
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
    """Return the texts as JSON strings with commas between them."""
    return '"' + '","'.join(escape_each(texts)) + '"' if texts else ""


def escape_each(texts: Sequence[str]) -> Sequence[str]:
    """Return each text with its escapes; they are joined, escaped as one text, and split."""
    text = "".join(texts)
    if '"' not in text and "\\" not in text and text.isprintable():
        return texts
    if has_surrogate(text):
        return [quote(each)[1:-1] for each in texts]  # the error is about the one that has it
    return _escape_all(SEPARATOR.join(texts)).split(SEPARATOR)


def _escape_all(text: str) -> str:
    """Escape every special character of a long text; surrogates stay as they are."""
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
