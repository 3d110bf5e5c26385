"""Decodes header blocks (RFC 7541)."""

from kakuri_http2._errors import ErrorCode, HeaderListTooLarge, HPACKError, LimitExceeded
from kakuri_http2.hpack import _huffman
from kakuri_http2.hpack._table import (
    ENTRY_OVERHEAD,
    FIRST_DYNAMIC,
    DynamicTable,
    Field,
    NeverIndexed,
)
from kakuri_http2.hpack._tables import STATIC_TABLE

MAX_INTEGER_BYTES = 5
"""Maximum bytes of an integer after the first: 35 bits, more than any index or length needs."""

_MAX_CACHED = 64
_MAX_CACHED_LENGTH = 1024


class Decoder:
    """Decodes the header blocks of one direction of a connection, in order."""

    def __init__(self, *, table_size: int = 4096, max_list_size: int = 65536) -> None:
        """Create a decoder.

        Args:
            table_size: Our SETTINGS_HEADER_TABLE_SIZE, as acknowledged by the peer.
            max_list_size: Maximum size of a decoded block: names and values, plus 32 bytes for each
                field.
        """
        self._table = DynamicTable(table_size)
        self._limit = table_size
        self._must_update = False
        self.max_list_size = max_list_size
        # Results for blocks that did not change the table; valid until the table changes.
        self._cached: dict[bytes, tuple[Field, ...]] = {}
        self._cached_generation = 0

    @property
    def table(self) -> DynamicTable:
        """The dynamic table, for tests and debugging."""
        return self._table

    def allow_table_size(self, size: int) -> None:
        """Apply our SETTINGS_HEADER_TABLE_SIZE after the peer has acknowledged it.

        If it is smaller than before, the next block has to begin with an update (section 4.2).
        """
        self._must_update |= size < self._table.max_size
        self._limit = size

    def decode(self, block: bytes) -> tuple[Field, ...]:
        """Decode a complete header block.

        Raises:
            HPACKError: The block is invalid. The connection has to end, because the tables may
                differ.
            LimitExceeded: The fields exceed twice `max_list_size`; decoding stopped there, and the
                connection has to end.
            HeaderListTooLarge: The fields exceed `max_list_size`. The whole block was processed, so
                the connection remains usable.
        """
        if self._cached_generation == self._table.generation and not self._must_update:
            known = self._cached.get(block)
            if known is not None:
                return known
        before = self._table.generation
        try:
            fields = self._decode(block)
        except IndexError:
            raise HPACKError("expected the rest of a field, got the end of the block") from None
        if self._table.generation == before and len(block) <= _MAX_CACHED_LENGTH:
            if self._cached_generation != before or len(self._cached) >= _MAX_CACHED:
                self._cached.clear()
                self._cached_generation = before
            self._cached[block] = fields
        return fields

    def _decode(self, block: bytes) -> tuple[Field, ...]:
        table = self._table
        fields: list[Field] = []
        room = self.max_list_size
        position = self._apply_updates(block)
        end = len(block)
        while position < end:
            byte = block[position]
            if byte & 0x80:  # indexed (6.1)
                index = byte & 0x7F
                position += 1
                if index == 0x7F:
                    index, position = read_integer(block, position, index)
                field = self._entry(index)
            elif byte & 0xE0 == 0x20:
                raise HPACKError("expected at most two size updates, at the beginning of the block")
            else:
                is_indexing = byte & 0x40  # with incremental indexing (6.2.1), else 6.2.2 and 6.2.3
                mask = 0x3F if is_indexing else 0x0F
                index = byte & mask
                position += 1
                if index == mask:
                    index, position = read_integer(block, position, index)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, position = _read_string(block, position)
                value, position = _read_string(block, position)
                field = name, value
                if is_indexing:
                    table.add(field)
                elif byte & 0x10:
                    field = NeverIndexed(field)
            room -= len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
            if room >= 0:
                fields.append(field)
            elif room < -self.max_list_size:
                raise LimitExceeded(
                    f"expected fields of at most {self.max_list_size} bytes,"
                    " got more than twice as many",
                    ErrorCode.COMPRESSION_ERROR,  # the rest of the block is not decoded
                    "header_list",
                    self.max_list_size,
                )
        if room < 0:
            raise HeaderListTooLarge(self.max_list_size)
        return tuple(fields)

    def _apply_updates(self, block: bytes) -> int:
        """Apply the size updates at the beginning of a block; return the position after them."""
        position = 0
        # At most two: the smallest size since the last block, and the current one (section 4.2).
        for _ in range(2):
            if position >= len(block) or block[position] & 0xE0 != 0x20:
                break
            size = block[position] & 0x1F
            position += 1
            if size == 0x1F:
                size, position = read_integer(block, position, size)
            if size > self._limit:
                raise HPACKError(f"expected a table of at most {self._limit} bytes, got {size}")
            self._table.resize(size)
            self._must_update = False
        if self._must_update and len(block):
            raise HPACKError("expected a size update, as the table's limit was lowered")
        return position

    def _entry(self, index: int) -> Field:
        if 0 < index < FIRST_DYNAMIC:
            return STATIC_TABLE[index - 1]
        entries = self._table.entries
        if index == 0 or index - FIRST_DYNAMIC >= len(entries):
            raise HPACKError(f"expected an index of a table, got {index}")
        return entries[index - FIRST_DYNAMIC]


def read_integer(block: bytes, position: int, value: int) -> tuple[int, int]:
    """Read the rest of an integer whose prefix was all ones (RFC 7541 section 5.1).

    Args:
        block: The bytes.
        position: Position after the prefix.
        value: Value of the prefix.
    """
    for shift in range(0, 7 * MAX_INTEGER_BYTES, 7):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise HPACKError(f"expected an integer of at most {MAX_INTEGER_BYTES} bytes after its prefix")


def _read_string(block: bytes, position: int) -> tuple[bytes, int]:
    first = block[position]
    length = first & 0x7F
    position += 1
    if length == 0x7F:
        length, position = read_integer(block, position, length)
    end = position + length
    if end > len(block):
        raise IndexError
    data = block[position:end]
    return (_huffman.decode(data) if first & 0x80 else data), end
