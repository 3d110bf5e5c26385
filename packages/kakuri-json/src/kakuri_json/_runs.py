"""Reads runs of items of one shape at once, for documents that no single expression reads.

A document with one faulty item among thousands is read in runs around it, so that a refusal costs
about what an acceptance costs.
"""

from itertools import islice
from typing import Any

from kakuri_json._expressions import Find, NotRegular, ReadRun, compile_run
from kakuri_json._layouts import USUAL, Layout, layout_of
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._parser import parse
from kakuri_json._shapes import Shape

_SPACED = Layout(None, spaced=True, escaped=True)
_MAX_LAYOUTS = 4
_MAX_LEARNED = 8
"""Items whose layout is worked out, known or not."""


class Runs:
    """Reads runs of items in the layouts that came before, the last one first."""

    __slots__ = ("_item", "_key", "_known", "_learned", "_readers", "is_regular")

    def __init__(self, item: Shape, key: Shape | None) -> None:
        self._item = item
        self._key = key
        self._known: list[Layout] = []
        self._readers: list[tuple[ReadRun, Find]] = []
        self._learned = 0
        self.is_regular = self._add(USUAL) and self._add(_SPACED)

    def read(self, text: str, position: int) -> tuple[list[Any], int, bool] | None:
        """Return what the reader of a known layout returns (see compile_run), or None."""
        readers = self._readers
        for number, reader in enumerate(readers):
            run = reader[0](text, position)
            if run is not None and run[0]:
                if number:
                    self._readers = [reader, *readers[:number], *readers[number + 1 :]]
                return run
        return None

    def start_of(self, text: str, position: int, number: int) -> int:
        """Return where an item begins in the run that was read last, from its position."""
        return next(islice(self._readers[0][1](text, position), number, None)).start()

    def learn(self, text: str) -> None:
        """Add the layout of one valid item that no reader has read."""
        if self._learned < _MAX_LEARNED and len(self._known) < _MAX_LAYOUTS:
            self._learned += 1
            value = parse(text, DEFAULT_LIMITS, last_key_wins=False)
            self._add(layout_of(self._item, text, value))

    def _add(self, layout: Layout) -> bool:
        if layout in self._known:
            return True
        try:
            reader = compile_run(self._item, layout, self._key)
        except NotRegular:
            return False
        self._known.append(layout)
        self._readers = [*self._readers, reader]
        return True
