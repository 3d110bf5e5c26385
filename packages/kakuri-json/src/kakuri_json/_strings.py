"""Strings with escapes, read and written (RFC 8259 section 7)."""

import re

from kakuri_json._diagnosis import explain_string
from kakuri_json._errors import UnprintableError

_PLAIN = re.compile(r'[^"\\\x00-\x1f]*+').match
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))').match
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match
_SHORT = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


def read_escaped(text: str, position: int) -> tuple[str, int]:
    """Read a string that holds escapes, from behind its opening quote.

    Gives the string and the position behind its closing quote.
    """
    start = position - 1
    parts: list[str] = []
    while True:
        plain = _PLAIN(text, position)
        assert plain is not None
        parts.append(plain[0])
        position = plain.end()
        if text.startswith('"', position):
            return "".join(parts), position + 1
        escape = _ESCAPE(text, position)
        if escape is None:
            raise explain_string(text, start, position)
        if escape[1]:
            parts.append(_SHORT[escape[1]])
            position = escape.end()
            continue
        code = int(escape[2], 16)
        position = escape.end()
        if 0xD800 <= code <= 0xDFFF:
            low = _LOW_SURROGATE(text, position) if code < 0xDC00 else None
            if low is None:
                raise explain_string(text, start, escape.start())
            position = low.end()
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        parts.append(chr(code))


_SPECIAL = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
_SPELLINGS = {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip


def quote(text: str) -> str:
    """Spell a string in JSON, escaping only what must be."""
    if _SPECIAL.search(text) is None:
        return f'"{text}"'
    return f'"{_SPECIAL.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    spelling = _SPELLINGS.get(match[0])
    if spelling is None:
        raise UnprintableError(
            f"expected text that can be written as UTF-8, got the lone surrogate {ord(match[0]):#06x}"
        )
    return spelling
