"""Encodes header blocks (RFC 7541)."""

from collections.abc import Iterable

from kakuri_http2.hpack import _huffman
from kakuri_http2.hpack._table import (
    ENTRY_OVERHEAD,
    DynamicTable,
    Field,
    NeverIndexed,
    SearchableTable,
)
from kakuri_http2.hpack._tables import STATIC_TABLE

_STATIC_FIELDS = {field: index for index, field in reversed([*enumerate(STATIC_TABLE, 1)])}
_STATIC_NAMES = {name: index for index, (name, _) in reversed([*enumerate(STATIC_TABLE, 1)])}

SECRET = frozenset({b"authorization", b"proxy-authorization"})
"""Names whose values are never indexed, because an attacker could find them by guessing and
comparing sizes (RFC 7541 section 7.1)."""

CHANGING = frozenset({b"content-length", b":path", b"etag", b"date", b"age"})
"""Names whose values are rarely repeated, so that they would only evict others from the table."""

_MAX_CACHED = 64


class Encoder:
    """Encodes the header blocks of one direction of a connection, in order."""

    def __init__(self, *, table_size: int = 4096, indexes_paths: bool = True) -> None:
        """Create an encoder.

        Args:
            table_size: The maximum size of our table. The peer's SETTINGS_HEADER_TABLE_SIZE also
                applies, which is 4096 by default.
            indexes_paths: Whether to index `:path`, for clients that use few paths.
        """
        self._own_max_size = table_size
        self._table = SearchableTable(min(table_size, 4096))
        self._updates: list[int] = [] if table_size >= 4096 else [table_size]
        self._changing = CHANGING - {b":path"} if indexes_paths else CHANGING
        # Encoded blocks, valid until the table changes, by the fields and the argument `indexes`.
        # If the same tuple is passed again, its block is found by its id, without hashing the
        # fields.
        self._cached: dict[tuple[tuple[Field, ...], bool], bytes] = {}
        self._cached_by_id: dict[int, tuple[tuple[Field, ...], bool, bytes]] = {}
        self._cached_generation = 0

    @property
    def table(self) -> DynamicTable:
        """The dynamic table, for tests and debugging."""
        return self._table

    def limit_table_size(self, size: int) -> None:
        """Apply the peer's SETTINGS_HEADER_TABLE_SIZE; the next block begins with an update."""
        size = min(size, self._own_max_size)
        if size != self._table.max_size:
            # The smallest size in between has to be signalled, too (section 4.2).
            self._updates = [*([min(self._updates)] if self._updates else []), size]
            if len(self._updates) == 2 and self._updates[0] >= size:
                del self._updates[0]
            self._table.resize(size)

    def encode(self, fields: Iterable[Field], *, indexes: bool = True) -> bytes:
        """Encode fields as a header block.

        Args:
            fields: The fields.
            indexes: Whether to add fields to the table; False for values that are rarely repeated.
        """
        listed = tuple(fields)
        if self._cached_generation == self._table.generation and not self._updates:
            same = self._cached_by_id.get(id(listed))
            if same is not None and same[0] is listed and same[1] is indexes:
                return same[2]
            known = self._cached.get((listed, indexes))
            if known is not None:
                self._cached_by_id[id(listed)] = listed, indexes, known
                if len(self._cached_by_id) > _MAX_CACHED:
                    self._cached_by_id.clear()
                return known
        before = self._table.generation
        block = bytearray()
        for size in self._updates:
            block += encode_integer(size, 5, 0x20)
        has_updates = bool(self._updates)
        self._updates = []
        is_plain = True
        for field in listed:
            self._encode(block, field, indexes=indexes)
            is_plain &= type(field) is tuple
        data = bytes(block)
        if self._table.generation == before and is_plain and not has_updates:
            if self._cached_generation != before or len(self._cached) >= _MAX_CACHED:
                self._cached.clear()
                self._cached_by_id.clear()
                self._cached_generation = before
            self._cached[listed, indexes] = data
        return data

    def _encode(self, block: bytearray, field: Field, *, indexes: bool) -> None:
        name, value = field
        if isinstance(field, NeverIndexed) or name in SECRET:
            self._literal(block, field, 4, 0x10)
            return
        index = _STATIC_FIELDS.get(field) or self._table.index_of(field)
        if index:
            block += encode_integer(index, 7, 0x80)
            return
        size = len(name) + len(value) + ENTRY_OVERHEAD
        # A field that would take half of the table is not worth what it evicts.
        if not indexes or name in self._changing or size * 2 > self._table.max_size:
            self._literal(block, field, 4, 0)
            return
        self._literal(block, field, 6, 0x40)
        self._table.add((name, value))

    def _literal(self, block: bytearray, field: Field, bits: int, first: int) -> None:
        """Append a field with a literal value, and an indexed or a literal name."""
        name, value = field
        index = _STATIC_NAMES.get(name) or self._table.index_of_name(name)
        block += encode_integer(index, bits, first)
        if not index:
            block += encode_string(name)
        block += encode_string(value)


def encode_integer(value: int, bits: int, first: int) -> bytes:
    """Encode an integer with a prefix; `first` has the remaining bits of the first byte."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((first | value,))
    data = bytearray((first | limit,))
    value -= limit
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def encode_string(text: bytes) -> bytes:
    """Encode a string literal (section 5.2), with Huffman coding if that is shorter."""
    if _huffman.encoded_length(text) < len(text):
        data = _huffman.encode(text)
        return encode_integer(len(data), 7, 0x80) + data
    return encode_integer(len(text), 7, 0) + text
