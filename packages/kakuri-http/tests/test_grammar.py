"""The expressions of the grammar against recognizers that read one character after the other."""

import random
import string
from itertools import product

import pytest
from kakuri_http.core import _grammar

UNRESERVED = set((string.ascii_letters + string.digits + "-._~").encode())
SUB_DELIMS = set(b"!$&'()*+,;=")
PCHAR = UNRESERVED | SUB_DELIMS | set(b":@")
QUERY_CHAR = PCHAR | set(b"/?[]|{}^`\\")
TCHAR = set((string.ascii_letters + string.digits).encode()) | set(b"!#$%&'*+-.^_`|~")
HEX = set(string.hexdigits.encode())
QUOTED_PAIR = set(range(0x20, 0x7F)) | set(range(0x80, 0x100)) | {0x09}
QDTEXT = QUOTED_PAIR - set(b'"\\')


def skip_escaped(data, at, allowed):
    """Return the position after the characters and escapes that are allowed."""
    while at < len(data):
        if data[at] in allowed:
            at += 1
        elif data[at : at + 1] == b"%" and len(data) > at + 2 and set(data[at + 1 : at + 3]) <= HEX:
            at += 3
        else:
            break
    return at


def skip_set(data, at, allowed):
    while at < len(data) and data[at] in allowed:
        at += 1
    return at


def is_origin_form(data):
    if data[:1] != b"/":
        return False
    at = skip_escaped(data, 1, PCHAR | set(b"/"))
    if data[at : at + 1] == b"?":
        at = skip_escaped(data, at + 1, QUERY_CHAR)
    return at == len(data)


def skip_quoted(data, at):
    """Return the position after a quoted string, or None if there is none."""
    at += 1
    while at < len(data):
        if data[at] in QDTEXT:
            at += 1
        elif data[at : at + 1] == b"\\" and at + 1 < len(data) and data[at + 1] in QUOTED_PAIR:
            at += 2
        else:
            return at + 1 if data[at : at + 1] == b'"' else None
    return None


def is_chunk_line(data):
    at = skip_set(data, 0, HEX)
    if not at:
        return False
    while at < len(data):
        if data[at : at + 1] != b";":
            return False
        name = skip_set(data, at + 1, set(b" \t"))
        at = skip_set(data, name, TCHAR)
        if at == name:
            return False
        if data[at : at + 1] == b"=":
            if data[at + 1 : at + 2] == b'"':
                end = skip_quoted(data, at + 1)
            else:
                end = skip_set(data, at + 1, TCHAR)
                end = None if end == at + 1 else end
            if end is None:
                return False
            at = end
    return True


def is_authority(data):
    if data[:1] == b"[":
        at = skip_set(data, 1, HEX | set(b":."))
        if at == 1 or data[at : at + 1] != b"]":
            return False
        at += 1
    else:
        at = skip_set(data, 0, UNRESERVED | SUB_DELIMS)
        if not at:
            return False
    if data[at : at + 1] == b":":
        at = skip_set(data, at + 1, set(string.digits.encode()))
    return at == len(data)


RECOGNIZERS = {
    "origin_form": (is_origin_form, [b"/", b"/a", b"%41", b"%", b"%4", b"?", b".", b"#", b"[", b"\x00"]),
    "chunk_line": (
        is_chunk_line,
        [b"1", b"f", b";", b" ", b"a", b"=", b'"', b"\\", b'"b"', b"\t", b"\x00", b'\\"'],
    ),
    "authority": (is_authority, [b"a", b"[", b"]", b":", b"1", b".", b"%", b"@", b"[::1]", b":80"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_grammar_expression_matches_what_its_recognizer_accepts(name):
    accepts, pieces = RECOGNIZERS[name]
    matches = getattr(_grammar, name).fullmatch
    chance = random.Random(20261126)
    texts = [b"".join(parts) for count in range(5) for parts in product(pieces, repeat=count)]
    texts += [b"".join(chance.choices(pieces, k=chance.randint(5, 12))) for _ in range(5000)]
    accepted = 0
    for text in texts:
        assert bool(matches(text)) == accepts(text), text
        accepted += accepts(text)
    assert 0 < accepted < len(texts)
