"""Huffman coding of strings (RFC 7541 section 5.2, Appendix B).

Decoding feeds each byte to a state machine whose states are the inner nodes of the code's tree. A
state's row of 256 transitions is filled lazily, so a program only pays for the characters that its
peers send; the whole machine has 256 rows.
"""

from kakuri_http2._errors import HPACKError
from kakuri_http2.hpack._tables import HUFFMAN_CODES

_EOS = 256
_MAX_CACHED = 512
_MAX_CACHED_LENGTH = 64


class _Node:
    """An inner node of the code's tree; a child is a node or a symbol."""

    __slots__ = ("children", "is_padding", "row")

    def __init__(self) -> None:
        self.children: list[_Node | int | None] = [None, None]
        self.is_padding = False  # a string may end here: up to seven 1 bits lead here
        self.row: list[tuple[bytes, _Node] | None] = [None] * 256


def _build() -> _Node:
    root = _Node()
    for symbol, (code, length) in enumerate(HUFFMAN_CODES):
        node = root
        for shift in range(length - 1, 0, -1):
            bit = code >> shift & 1
            child = node.children[bit]
            if child is None:
                child = node.children[bit] = _Node()
            assert isinstance(child, _Node)
            node = child
        node.children[code & 1] = symbol
    node = root
    for _ in range(8):
        node.is_padding = True
        child = node.children[1]
        assert isinstance(child, _Node)
        node = child
    return root


_ROOT = _build()
_CODES = [f"{code:0{length}b}" for code, length in HUFFMAN_CODES[:_EOS]]
_LENGTHS = [length for _, length in HUFFMAN_CODES[:_EOS]]
_decoded: dict[bytes, bytes] = {}
_encoded: dict[bytes, bytes] = {}


def decode(data: bytes) -> bytes:
    """Decode Huffman-coded bytes, in linear time.

    Raises:
        HPACKError: The padding is too long or contains 0 bits, or the end-of-string symbol occurs.
    """
    known = _decoded.get(data)
    if known is not None:
        return known
    node = _ROOT
    pieces = []
    for byte in data:
        step = node.row[byte] or _take(node, byte)
        pieces.append(step[0])
        node = step[1]
    if not node.is_padding:
        raise HPACKError("expected Huffman padding of at most seven ones")
    text = b"".join(pieces)
    _cache(_decoded, data, text)
    return text


def _take(start: _Node, byte: int) -> tuple[bytes, _Node]:
    """Return the output and the next state for a byte in a state; fills the state's row."""
    node, symbols = start, bytearray()
    for shift in range(7, -1, -1):
        child = node.children[byte >> shift & 1]
        if isinstance(child, _Node):
            node = child
        elif child is None or child == _EOS:
            raise HPACKError("expected a string without the symbol for its end")
        else:
            symbols.append(child)
            node = _ROOT
    start.row[byte] = step = bytes(symbols), node
    return step


def encode(text: bytes) -> bytes:
    """Encode a string with Huffman coding; the result may be longer than the string."""
    known = _encoded.get(text)
    if known is not None:
        return known
    bits = "".join([_CODES[byte] for byte in text])
    padding = -len(bits) % 8
    data = int(bits + "1" * padding, 2).to_bytes((len(bits) + padding) // 8, "big") if bits else b""
    _cache(_encoded, text, data)
    return data


def encoded_length(text: bytes) -> int:
    """Return the length of the result of `encode`."""
    return (sum([_LENGTHS[byte] for byte in text]) + 7) // 8


def _cache(known: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    """Cache a result. When the cache is full, it is cleared; common results return soon."""
    if len(key) <= _MAX_CACHED_LENGTH:
        if len(known) >= _MAX_CACHED:
            known.clear()
        known[key] = value
