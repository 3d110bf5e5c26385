"""The dynamic table (RFC 7541 section 2.3.2 and 4)."""

from kakuri_http2.hpack._tables import STATIC_TABLE

Field = tuple[bytes, bytes]

ENTRY_OVERHEAD = 32
"""What an entry counts besides its name and value (section 4.1)."""

FIRST_DYNAMIC = len(STATIC_TABLE) + 1


class NeverIndexed(tuple[bytes, bytes]):
    """A field that no compression on its way may put into a table (section 6.2.3).

    Equals the plain pair. Decoders return it for such fields, encoders keep it: so a proxy cannot
    lose the mark.
    """

    __slots__ = ()


class DynamicTable:
    """Fields that were sent before, the newest first.

    Attributes:
        entries: The fields; index 0 is the newest.
        size: Bytes of all entries, with the overhead of each.
        max_size: What size may become.
        generation: Grows with each change, so that what was derived from the table can be kept
            as long as it stays the same.
    """

    __slots__ = ("entries", "generation", "max_size", "size")

    def __init__(self, max_size: int) -> None:
        self.entries: list[Field] = []
        self.size: int = 0
        self.max_size: int = max_size
        self.generation: int = 0

    def add(self, field: Field) -> None:
        """Insert a field; the oldest ones are evicted. One larger than the table empties it."""
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
        """Change the maximum; the oldest fields are evicted."""
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
    """A dynamic table that finds a field or a name at once, for encoders."""

    __slots__ = ("_added", "_fields", "_names")

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self._added = 0
        # The number under which a field, and the newest with a name, was added.
        self._fields: dict[Field, int] = {}
        self._names: dict[bytes, int] = {}

    def add(self, field: Field) -> None:
        """Insert a field; the oldest ones are evicted. One larger than the table empties it."""
        self._added += 1
        self._fields[field] = self._names[field[0]] = self._added
        super().add(field)
        if not self.entries:
            self._fields.clear()
            self._names.clear()

    def _evict(self) -> Field:
        number = self._added - len(self.entries) + 1
        field = super()._evict()
        # A field that was added again since has a later number.
        if self._fields.get(field) == number:
            del self._fields[field]
        if self._names.get(field[0]) == number:
            del self._names[field[0]]
        return field

    def index_of(self, field: Field) -> int:
        """Return the index of a field; 0 if the table does not have it."""
        number = self._fields.get(field)
        return 0 if number is None else self._added - number + FIRST_DYNAMIC

    def index_of_name(self, name: bytes) -> int:
        """Return the index of the newest field with a name; 0 if there is none."""
        number = self._names.get(name)
        return 0 if number is None else self._added - number + FIRST_DYNAMIC
