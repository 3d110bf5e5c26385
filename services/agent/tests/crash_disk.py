"""What becomes of a log whose machine dies while the disk is at it."""

import random
from pathlib import Path

TORN = "store.torn-write"
"""The step at which a process dies with its machine."""

SECTOR = 512


class TornWrite:
    """The last write to the log of a database: of what it changed, not all reaches the disk."""

    def __init__(self, database: Path) -> None:
        """Look at the log before it is written."""
        self._database = database
        self._log = database.with_name(database.name + "-wal")
        self._before = self._log.read_bytes()
        self._database_before = database.read_bytes()

    def tear(self, chance: random.Random) -> bool:
        """Lose some of the sectors, or the end; gives whether anything could be lost.

        Nothing can once the log has been brought into the database: then it had been synchronized.
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
            if len(after) > len(before) and chance.random() < 0.5:
                log.truncate(chance.randrange(max(len(before), changed[0]), len(after)))
                return True
            for start in chance.sample(changed, chance.randint(1, len(changed))):
                length = len(after[start : start + SECTOR])
                log.seek(start)
                log.write(before[start : start + SECTOR].ljust(length, b"\0"))
        return True
