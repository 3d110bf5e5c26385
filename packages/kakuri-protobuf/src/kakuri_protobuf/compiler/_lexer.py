"""Splits a .proto file into tokens.

Source: protobuf.dev/reference/protobuf/proto3-spec, "Lexical elements".
"""

import re
from typing import NamedTuple

from kakuri_protobuf._errors import ProtoSyntaxError
from kakuri_protobuf.compiler._tree import Position

# No alternative repeats a group possessively, because Python 3.11.2 matches that wrongly.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | //[^\n]* | /\*.*?\*/)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<float>(?:[0-9]+\.[0-9]* | \.[0-9]+)(?:[eE][-+]?[0-9]+)? | [0-9]+[eE][-+]?[0-9]+)
  | (?P<integer>0[xX][0-9A-Fa-f]+ | [0-9]+)
  | (?P<string>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*')
  | (?P<symbol>(?!/\*)[{}\[\]()<>;,.=:/+-])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL
)
_SIMPLE_ESCAPES = {
    "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11,
    "\\": 92, "'": 39, '"': 34, "?": 63,
}  # fmt: skip


class Token(NamedTuple):
    """A piece of a file; `kind` is word, integer, float, string, symbol or end."""

    kind: str
    text: str
    position: Position


def tokenize(text: str, file: str) -> list[Token]:
    """Split a file into tokens without white space and comments; the last one has the kind "end".

    Raises:
        ProtoSyntaxError: A character can't begin a token, or a comment or string is unterminated.
    """
    tokens: list[Token] = []
    line, line_start, index = 1, 0, 0
    while index < len(text):
        position = Position(line, index - line_start + 1)
        match = _TOKEN.match(text, index)
        if match is None:
            raise ProtoSyntaxError(_describe_error(text, index), file, *position)
        kind = match.lastgroup or ""
        piece = match.group()
        if kind != "space":
            tokens.append(Token(kind, piece, position))
        newlines = piece.count("\n")
        if newlines:
            line += newlines
            line_start = index + piece.rindex("\n") + 1
        index = match.end()
    tokens.append(Token("end", "", Position(line, index - line_start + 1)))
    return tokens


def string_value(token: Token, file: str) -> bytes:
    """Return the value of a string literal, as bytes."""
    value = bytearray()
    content, index = token.text[1:-1], 0
    for match in _ESCAPE.finditer(content):
        value += content[index : match.start()].encode()
        index = match.end()
        code = match[1]
        if code in _SIMPLE_ESCAPES:
            value.append(_SIMPLE_ESCAPES[code])
        elif code[0] == "x" and len(code) > 1:
            value.append(int(code[1:], 16))
        elif code[0] in "01234567":
            value.append(int(code, 8) & 0xFF)
        elif code[0] in "uU" and len(code) > 1 and int(code[1:], 16) <= 0x10FFFF:
            value += chr(int(code[1:], 16)).encode("utf-8", "surrogatepass")
        else:
            raise ProtoSyntaxError(
                f"expected an escape sequence, got '\\{code}'", file, *token.position
            )
    value += content[index:].encode()
    return bytes(value)


def _describe_error(text: str, index: int) -> str:
    if text.startswith("/*", index):
        return "expected the end of the comment, got the end of the file"
    if text[index] in "\"'":
        return "expected the end of the string, got the end of the line"
    return f"expected a token, got {text[index]!r}"
