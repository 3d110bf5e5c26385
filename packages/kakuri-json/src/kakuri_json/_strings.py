"""Strings with escapes, read and written (RFC 8259 section 7)."""

import re
from typing import TYPE_CHECKING, Final

from kakuri_json._diagnosis import explain_string
from kakuri_json._errors import UnprintableError
from kakuri_json._scanning import COMPILED, skip_plain

if TYPE_CHECKING:
    from mypy_extensions import i64

_HEX: Final = re.compile("[0-9a-fA-F]{4}").match
_SHORT: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


def read_escaped(text: str, position: "i64") -> tuple[str, "i64"]:
    """Read a string that holds escapes, from behind its opening quote.

    Gives the string and the position behind its closing quote.
    """
    start: i64 = position - 1
    end: i64 = len(text)
    parts: list[str] = []
    while True:
        stop: i64 = skip_plain(text, position)
        if stop > position:
            parts.append(text[position:stop])
        position = stop
        if position >= end or (position + 1 >= end and text[position] == "\\"):
            raise explain_string(text, start, position)
        if text[position] == '"':
            return "".join(parts), position + 1
        short = _SHORT.get(text[position + 1]) if text[position] == "\\" else None
        if short is not None:
            parts.append(short)
            position += 2
            continue
        code = _read_unicode_escape(text, position)
        if 0xD800 <= code < 0xDC00:
            low = _read_unicode_escape(text, position + 6)
            if low < 0xDC00 or low > 0xDFFF:
                raise explain_string(text, start, position)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            position += 6
        elif code < 0 or 0xDC00 <= code <= 0xDFFF:
            raise explain_string(text, start, position)
        parts.append(chr(code))
        position += 6


def _read_unicode_escape(text: str, position: "i64") -> int:
    r"""Give the code unit of an escape like \u00e9, or -1 if none begins here."""
    if text[position : position + 2] != "\\u" or _HEX(text, position + 2) is None:
        return -1
    return int(text[position + 2 : position + 6], 16)


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
