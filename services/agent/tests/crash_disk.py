"""A write-ahead log after a power failure during a write."""

import random
from pathlib import Path

TORN = "store.torn-write"
"""The failpoint at which the machine loses power, and not only the process dies."""

SECTOR = 512


class TornWrite:
    """The last write to a database's log, of which not all sectors reach the disk."""

    def __init__(self, database: Path) -> None:
        """Read the log before it is written."""
        self._database = database
        self._log = database.with_name(database.name + "-wal")
        self._before = self._log.read_bytes()
        self._database_before = database.read_bytes()

    def tear(self, rng: random.Random) -> bool:
        """Undo the write of some sectors, or of the end; return whether anything was undone.

        Nothing is after a checkpoint, because the log was synced before it.
        """
        before, after = self._before, self._log.read_bytes()
        if self._database.read_bytes() != self._database_before:
            return False
        changed = [
            start
            for start in range(0, len(after), SECTOR)
            if after[start : start + SECTOR] != before[start : start + SECTOR]
        ]
        if not changed:
            return False
        with self._log.open("r+b") as log:
            if len(after) > len(before) and rng.random() < 0.5:
                log.truncate(rng.randrange(max(len(before), changed[0]), len(after)))
                return True
            for start in rng.sample(changed, rng.randint(1, len(changed))):
                length = len(after[start : start + SECTOR])
                log.seek(start)
                log.write(before[start : start + SECTOR].ljust(length, b"\0"))
        return True
