"""Strings with escapes, read and written (RFC 8259 section 7)."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kakuri_json._errors import EncodeError
from kakuri_json._syntax.diagnosis import explain_string
from kakuri_json._syntax.scanning import COMPILED, skip_plain

if TYPE_CHECKING:
    from mypy_extensions import i64

_SHORT: Final = (
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
    if stop >= 0 and not text.startswith("\\", position):
        raise explain_string(text, start - 1, position)
    while True:
        rest = _REST(text, position)
        assert rest is not None
        if rest.end() == position:
            break
        position = rest.end()
    body = text[start:position]
    _refuse_lone_surrogates(body, text, start)
    if not text.startswith('"', position):
        raise explain_string(text, start - 1, position)
    return _meaning(body), position + 1


def unescape(body: str) -> str:
    """Return what stands between the quotes of a string, with its escapes read.

    Every escape has to be valid, but for lone surrogates.

    Raises:
        JSONSyntaxError: there is the escape of a lone surrogate.
    """
    _refuse_lone_surrogates(body, body, 0)
    return _meaning(body)


def _meaning(body: str) -> str:
    body = body.replace("\\\\", _BACKSLASH)
    for spelling, meant in _SHORT:
        if spelling in body:
            body = body.replace(spelling, meant)
    if "\\u" in body:
        # Python writes four hexadecimal digits for a code unit as JSON does.
        body = body.encode("raw_unicode_escape").decode("raw_unicode_escape")
        # Surrogates become the characters that they stand for in pairs.
        body = body.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return body.replace(_BACKSLASH, "\\")


def _refuse_lone_surrogates(body: str, text: str, start: "i64") -> None:
    """Raise JSONSyntaxError if the body of the string that begins at a position has one."""
    if "\\u" not in body or _MAYBE_SURROGATE(body) is None:
        return
    # What stands for an escaped backslash is as long, so positions stay what they are.
    lone = _LONE_SURROGATE(body.replace("\\\\", _BACKSLASH * 2))
    if lone is not None:
        raise explain_string(text, start - 1, start + lone.start())


_SPECIAL: Final = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_ONLY_STRINGS: Final = frozenset({str})
BETWEEN: Final = chr(0xDC01)
"""Joins strings: a lone surrogate, which no string of a document holds."""
_LONG: Final = 1000
"""Characters of a text in which looking for each special character costs less than a call for each
of those that are there."""
# The backslash comes first, since every spelling has one.
_SPELLINGS: Final = {"\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
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
    if len(text) >= _LONG and _SURROGATE.search(text) is None:
        return f'"{_spell(text)}"'
    return f'"{_SPECIAL.sub(_escape, text)}"'


def only_strings(items: Sequence[Any]) -> bool:
    """Return whether every item is a string, and of no class derived from that."""
    return _ONLY_STRINGS.issuperset(map(type, items))


def quote_all(texts: Sequence[str]) -> str:
    """Spell strings in JSON, with commas between them."""
    return '"' + '","'.join(spell_each(texts)) + '"' if texts else ""


def spell_each(texts: Sequence[str]) -> Sequence[str]:
    """Escape what must be escaped in each text: joined, spelled as one text, and split."""
    text = "".join(texts)
    if '"' not in text and "\\" not in text and text.isprintable():
        return texts
    if _SURROGATE.search(text) is not None:
        return [quote(each)[1:-1] for each in texts]  # which names the text
    return _spell(BETWEEN.join(texts)).split(BETWEEN)


def _spell(text: str) -> str:
    """Escape what must be escaped in a long text; surrogates stay as they are."""
    for character, spelling in _SPELLINGS.items():
        if character in text:
            text = text.replace(character, spelling)
    return text


def _escape(match: re.Match[str]) -> str:
    spelling = _SPELLINGS.get(match[0])
    if spelling is None:
        got = f"the lone surrogate {ord(match[0]):#06x}"
        raise EncodeError(f"expected text that can be written as UTF-8, got {got}")
    return spelling
