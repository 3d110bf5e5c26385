"""Reads runs of items of one shape together, in documents that no single expression matches.

If one item among thousands is faulty, the items around it are still read in runs, so that an
invalid document costs about as much as a valid one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias

from kakuri_json._decode.compile_decoder import Compiler, compile_pattern
from kakuri_json._decode.compile_scalars import MAX_REPEATS, NotRegular
from kakuri_json._decode.layouts import USUAL, Layout, layout_of
from kakuri_json._decode.string_batches import read_accepted
from kakuri_json._limits import DEFAULT_LIMITS
from kakuri_json._syntax.parser import parse
from kakuri_json._types.shapes import Shape

_ANY = Layout(None, spaced=True, escaped=True)
"""Fields in declaration order, with any white space and escapes."""
_SHORT = 8
"""Length of a run below which another layout may match more: the layout without white space would
read an indented array item by item."""
_MAX_LAYOUTS = 4
_MAX_LEARNED = 8
"""Number of items whose layout is determined, whether or not it is new."""


ReadRun: TypeAlias = Callable[[str, int, int], tuple[list[Any], int, bool] | None]
Find: TypeAlias = Callable[[str, int], Iterator[re.Match[str]]]


def compile_run(item: Shape, layout: Layout, key: Shape | None = None) -> tuple[ReadRun, Find]:
    """Return a function that reads a run of items, or of members, from a position in a text.

    Its third argument is the position at which the run ends at the latest. It returns None if no
    item in the layout begins at the position, otherwise a tuple: the items (pairs for members), the
    position after them, and whether another item begins there. One does if it matches but is
    rejected by a condition or a class; otherwise, the position is that of the separator after the
    last item.

    Args:
        item: The shape of the items.
        layout: The layout of the items.
        key: The shape of the keys, for members of an object.

    Returns:
        The function, and another one that iterates over the items of a run.

    Raises:
        NotRegular: No expression can read such items.
    """
    compiler = Compiler(layout, [])
    # Check what follows, because a prefix of a long number is also a number.
    pattern, code, conditions = compiler.loop(item, layout.order, key, MAX_REPEATS, r"(?=[,\]}])")
    compiler.constants["match"] = compile_pattern(pattern).match
    lines = ["run = match(text, position, max_end)", "if run is None: return None"]
    at_once = compiler.at_once(item, key, code, conditions)
    if at_once is not None:
        lines += ["start, end = position, run.end()", f"items = {at_once}"]
        if "many" in compiler.constants:
            compiler.constants |= {"read_accepted": read_accepted, "islice": islice}
            lines += [
                "if items is None:",
                "    items = read_accepted(find_all(text, start, end), many)",
                "    return items, next(islice(find(text, start), len(items), None)).start(), True",
            ]
        read = compiler.function("text, position, max_end", [*lines, "return items, end, False"])
        return read, compiler.constants["find"]
    lines += ["items = []", "try:"]
    lines.append("    for m in find(text, position, run.end()):")
    lines += [f"        {line}" for line in compiler.unpacking()]
    if conditions:
        lines.append(f"        if not ({' and '.join(conditions)}): return items, m.start(), True")
    lines += [f"        items.append({code})", "except ValueError: return items, m.start(), True"]
    lines.append("return items, run.end(), False")
    read = compiler.function("text, position, max_end", lines)
    return read, compiler.constants["find"]


class Runs:
    """Reads runs of items in the layouts of earlier runs, the last one first."""

    __slots__ = ("_item", "_key", "_known", "_learned", "_readers", "is_regular")

    def __init__(self, item: Shape, key: Shape | None) -> None:
        self._item = item
        self._key = key
        self._known: list[Layout] = []
        self._readers: list[tuple[ReadRun, Find]] = []
        self._learned = 0
        self.is_regular = self._add(USUAL) and self._add(_ANY)

    def read(self, text: str, position: int, max_end: int) -> tuple[list[Any], int, bool] | None:
        """Return the result of the reader of a known layout (see `compile_run`), or None."""
        readers = self._readers
        best: tuple[list[Any], int, bool] | None = None
        chosen = 0
        for number, reader in enumerate(readers):
            run = reader[0](text, position, max_end)
            if run is None or not (run[0] or run[2]):
                continue
            if best is None or len(run[0]) > len(best[0]):
                best, chosen = run, number
            if len(best[0]) >= _SHORT or best[2] or not text.startswith(",", best[1]):
                break
        if chosen:
            others = (*readers[:chosen], *readers[chosen + 1 :])
            self._readers = [readers[chosen], *others]
        return best

    def start_of(self, text: str, position: int, number: int) -> int:
        """Return the position of an item in the last run, which began at a position."""
        return next(islice(self._readers[0][1](text, position), number, None)).start()

    def learn(self, text: str) -> None:
        """Add the layout of a valid item that no reader accepted."""
        if self._learned < _MAX_LEARNED and len(self._known) < _MAX_LAYOUTS:
            self._learned += 1
            value = parse(text, DEFAULT_LIMITS, last_key_wins=False)
            self._add(replace(_ANY, order=layout_of(self._item, text, value).order))

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
