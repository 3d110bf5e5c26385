"""Strings with escapes, read and written (RFC 8259 section 7)."""

import re
from typing import TYPE_CHECKING, Final

from kakuri_json._diagnosis import explain_string
from kakuri_json._errors import UnprintableError
from kakuri_json._scanning import COMPILED, skip_plain

if TYPE_CHECKING:
    from mypy_extensions import i64

_SHORT: Final = (
    ('\\"', '"'), ("\\/", "/"), ("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ("\\b", "\b"),
    ("\\f", "\f"),
)  # fmt: skip
_REST: Final = re.compile(
    r'[^"\\\x00-\x1f]*+(?>(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+){0,9999})'
).match
_UNICODE: Final = re.compile(
    r"\\u(?:([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|([0-9a-fA-F]{4}))"
).sub
_ESCAPES: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F])?|\\[^u]"
).finditer
_MAYBE_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]").search
_BACKSLASH: Final = chr(0xDC00)
"""Stands for an escaped backslash for a while: a document can hold no lone surrogate."""


def read_escaped(text: str, start: "i64", stop: "i64" = -1) -> tuple[str, "i64"]:
    """Read a string that holds escapes.

    Args:
        text: the document.
        start: the position after the opening quote.
        stop: a position up to which the string is plain, if it is known.

    Returns:
        The string, and the position after its closing quote.

    Raises:
        JSONSyntaxError: the string is not valid.
    """
    position: i64 = start if stop < 0 else stop
    while True:
        rest = _REST(text, position)
        assert rest is not None
        if rest.end() == position:
            break
        position = rest.end()
    body = text[start:position]
    if "\\u" in body and _MAYBE_SURROGATE(body) is not None:
        _refuse_lone_surrogates(text, start, position)
    if not text.startswith('"', position):
        raise explain_string(text, start - 1, position)
    body = body.replace("\\\\", _BACKSLASH)
    for spelling, meant in _SHORT:
        if spelling in body:
            body = body.replace(spelling, meant)
    if "\\u" in body:
        body = _UNICODE(_character, body)
    return body.replace(_BACKSLASH, "\\"), position + 1


def _character(escape: re.Match[str]) -> str:
    high, low, code = escape.groups()
    if code is not None:
        return chr(int(code, 16))
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00))


def _refuse_lone_surrogates(text: str, start: int, end: int) -> None:
    for escape in _ESCAPES(text, start, end):
        if escape[1] is not None:
            raise explain_string(text, start - 1, escape.start())


_SPECIAL: Final = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
_SPELLINGS: Final = {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip


def quote(text: str) -> str:
    """Spell a string in JSON, escaping only what must be."""
    if COMPILED:
        plain = text.isascii() and skip_plain(text, 0) == len(text)
    else:
        # Printable text has no control characters and no surrogates.
        plain = '"' not in text and "\\" not in text and text.isprintable()
    if plain or _SPECIAL.search(text) is None:
        return '"' + text + '"'
    return f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    spelling = _SPELLINGS.get(match[0])
    if spelling is None:
        got = f"the lone surrogate {ord(match[0]):#06x}"
        raise UnprintableError(f"expected text that can be written as UTF-8, got {got}")
    return spelling
