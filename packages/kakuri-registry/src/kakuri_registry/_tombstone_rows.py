"""Converts tombstones to rows of their table and back.

A row has the columns of a workload's row and those of the removal. Its number is the registry's
version after the removal, so that rows can be deleted in the order of removals.
"""

from collections.abc import Sequence
from typing import Any

from kakuri_workload import Removal

from kakuri_registry._cells import BadRow, Cell, readable, shorten
from kakuri_registry._change import Change
from kakuri_registry._rows import COLUMNS, MAX_VERSION, RowReader, row_of
from kakuri_registry._tombstones import NewTombstone, Tombstone

REMOVAL_COLUMNS = ("removed_at", "zone", "container", "log_bytes", "verified_by")

TOMBSTONE_COLUMNS = ("number", *COLUMNS, *REMOVAL_COLUMNS, "log")
"""The columns to write; the log is read separately."""


def tombstone_row(new: NewTombstone) -> tuple[Cell, ...]:
    """Return the row of a tombstone."""
    tombstone = new.tombstone
    entry, removal = tombstone.entry, tombstone.removal
    row = row_of(Change(entry.workload.id, entry.version, entry, tombstone.history))
    return (
        tombstone.version,
        *row,
        tombstone.removed_at,
        removal.zone,
        removal.container,
        removal.log_bytes,
        removal.verified_by,
        new.log,
    )


def read_tombstone(reader: RowReader, row: Sequence[Any]) -> Tombstone:
    """Read a tombstone from a row that ends with the size of the log.

    Raises:
        BadRow: The row is not a valid tombstone.
    """
    number, log_size = row[0], row[-1]
    removed_at, zone, container, log_bytes, verified_by = row[1 + len(COLUMNS) : -1]
    if not 0 <= number <= MAX_VERSION:
        raise BadRow(f"expected a version in number, got {number}")
    change = reader.read(row[1 : 1 + len(COLUMNS)])
    for column, cell, kind in (
        ("removed_at", removed_at, float),
        ("log_bytes", log_bytes, int | None),
        ("log", log_size, int | None),
    ):
        if not isinstance(cell, kind):
            raise BadRow(f"expected a number in {column}, got {shorten(cell)}")
    assert change.entry is not None
    removal = Removal(
        _text("zone", zone), _text("container", container), log_bytes,
        _text("verified_by", verified_by),
    )  # fmt: skip
    return Tombstone(change.entry, change.history, number, removed_at, removal, log_size or 0)


def _text(column: str, cell: object) -> str | None:
    return None if cell is None else readable(column, cell)
