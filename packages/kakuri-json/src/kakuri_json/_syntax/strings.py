"""Reads and writes strings with escapes (RFC 8259 section 7)."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kakuri_json._errors import EncodeError
from kakuri_json._syntax.diagnosis import explain_string
from kakuri_json._syntax.scanning import COMPILED, skip_plain

if TYPE_CHECKING:
    from mypy_extensions import i64

_SHORT_ESCAPES: Final = (
    ('\\"', '"'), ("\\/", "/"), ("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ("\\b", "\b"),
    ("\\f", "\f"),
)  # fmt: skip
_REST: Final = re.compile(
    r'[^"\\\x00-\x1f]*+(?>(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+){0,9999})'
).match
_MAYBE_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]").search
_LONE_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
).search
_BACKSLASH: Final = chr(0xDC00)
"""Replaces an escaped backslash while other escapes are read: no document has lone surrogates."""


def read_escaped(text: str, start: "i64", stop: "i64" = -1) -> tuple[str, "i64"]:
    """Read a string that has escapes.

    Args:
        text: The document.
        start: The position after the opening quote.
        stop: A position up to which the string is known to be plain, or -1.

    Returns:
        The string, and the position after its closing quote.

    Raises:
        JSONSyntaxError: The string is not valid.
    """
    position: i64 = start if stop < 0 else stop
    if stop >= 0 and not text.startswith("\\", position):
        raise explain_string(text, start - 1, position)
    while True:
        rest = _REST(text, position)
        assert rest is not None
        if rest.end() == position:
            break
        position = rest.end()
    body = text[start:position]
    _check_surrogates(body, text, start)
    if not text.startswith('"', position):
        raise explain_string(text, start - 1, position)
    return _unescape(body), position + 1


def unescape(body: str) -> str:
    """Return the characters that the body of a string stands for.

    Args:
        body: The text between the quotes; its escapes are valid except for lone surrogates.

    Raises:
        JSONSyntaxError: There is the escape of a lone surrogate.
    """
    _check_surrogates(body, body, 0)
    return _unescape(body)


def _unescape(body: str) -> str:
    body = body.replace("\\\\", _BACKSLASH)
    for escape, character in _SHORT_ESCAPES:
        if escape in body:
            body = body.replace(escape, character)
    if "\\u" in body:
        # Python writes four hexadecimal digits for a code unit as JSON does.
        body = body.encode("raw_unicode_escape").decode("raw_unicode_escape")
        # Pairs of surrogates become the characters that they stand for.
        body = body.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return body.replace(_BACKSLASH, "\\")


def _check_surrogates(body: str, text: str, start: "i64") -> None:
    """Raise JSONSyntaxError if the body that begins at a position has a lone surrogate."""
    if "\\u" not in body or _MAYBE_SURROGATE(body) is None:
        return
    # The replacement has the length of an escaped backslash, so positions do not change.
    lone = _LONE_SURROGATE(body.replace("\\\\", _BACKSLASH * 2))
    if lone is not None:
        raise explain_string(text, start - 1, start + lone.start())


_SPECIAL: Final = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_ONLY_STRINGS: Final = frozenset({str})
SEPARATOR: Final = chr(0xDC01)
"""Joins many strings into one text: a lone surrogate, which no string of a document has."""
_LONG: Final = 1000
"""Characters of a text from which replacing each of the special characters in turn costs less than
a call for each occurrence."""
# The backslash comes first, because every escape has one.
_ESCAPES: Final = {"\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip


def quote(text: str) -> str:
    """Return the text as a JSON string, escaping only what must be escaped."""
    if COMPILED:
        plain = text.isascii() and skip_plain(text, 0) == len(text)
    else:
        # Printable text has neither control characters nor surrogates.
        plain = '"' not in text and "\\" not in text and text.isprintable()
    if plain or _SPECIAL.search(text) is None:
        return '"' + text + '"'
    if len(text) >= _LONG and _SURROGATE.search(text) is None:
        return f'"{_escape_all(text)}"'
    return f'"{_SPECIAL.sub(_escape_one, text)}"'


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
    if _SURROGATE.search(text) is not None:
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
