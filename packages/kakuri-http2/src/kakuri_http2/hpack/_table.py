"""The dynamic table (RFC 7541 section 2.3.2 and 4)."""

from kakuri_http2.hpack._tables import STATIC_TABLE

Field = tuple[bytes, bytes]

ENTRY_OVERHEAD = 32
"""Overhead in bytes of an entry, in addition to its name and value (section 4.1)."""

FIRST_DYNAMIC = len(STATIC_TABLE) + 1


class NeverIndexed(tuple[bytes, bytes]):
    """A field that must never be indexed, not even by intermediaries (section 6.2.3).

    It equals the plain pair. Decoders return it for such fields and encoders preserve it, so that a
    proxy cannot lose the mark.
    """

    __slots__ = ()


class DynamicTable:
    """Previously sent fields, newest first.

    Attributes:
        entries: The fields; index 0 is the newest.
        size: Bytes of all entries, with the overhead of each.
        max_size: The maximum of `size`.
        generation: Increases with each change, so that results derived from the table can be cached
            as long as it stays the same.
    """

    __slots__ = ("entries", "generation", "max_size", "size")

    def __init__(self, max_size: int) -> None:
        self.entries: list[Field] = []
        self.size: int = 0
        self.max_size: int = max_size
        self.generation: int = 0

    def add(self, field: Field) -> None:
        """Insert a field, evicting the oldest ones. A field larger than the table empties it."""
        self.generation += 1
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        if size > self.max_size:
            while self.entries:
                self._evict()
            return
        self.entries.insert(0, field)
        self.size += size
        self._shrink()

    def resize(self, max_size: int) -> None:
        """Change the maximum size, evicting the oldest fields if necessary."""
        self.generation += 1
        self.max_size = max_size
        self._shrink()

    def _evict(self) -> Field:
        """Remove the oldest field, and return it."""
        name, value = field = self.entries.pop()
        self.size -= len(name) + len(value) + ENTRY_OVERHEAD
        return field

    def _shrink(self) -> None:
        while self.size > self.max_size:
            self._evict()


class SearchableTable(DynamicTable):
    """A dynamic table with an index of fields and names, for encoders."""

    __slots__ = ("_added", "_fields", "_names")

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self._added = 0
        # The numbers under which a field, and the newest field with a name, were added.
        self._fields: dict[Field, int] = {}
        self._names: dict[bytes, int] = {}

    def add(self, field: Field) -> None:
        """Insert a field, evicting the oldest ones. A field larger than the table empties it."""
        self._added += 1
        self._fields[field] = self._names[field[0]] = self._added
        super().add(field)
        if not self.entries:
            self._fields.clear()
            self._names.clear()

    def _evict(self) -> Field:
        number = self._added - len(self.entries) + 1
        field = super()._evict()
        # If the field was added again since, it has a later number.
        if self._fields.get(field) == number:
            del self._fields[field]
        if self._names.get(field[0]) == number:
            del self._names[field[0]]
        return field

    def index_of(self, field: Field) -> int:
        """Return the index of a field; 0 if it is not in the table."""
        number = self._fields.get(field)
        return 0 if number is None else self._added - number + FIRST_DYNAMIC

    def index_of_name(self, name: bytes) -> int:
        """Return the index of the newest field with a name; 0 if there is none."""
        number = self._names.get(name)
        return 0 if number is None else self._added - number + FIRST_DYNAMIC
