"""A cache of values that are derived from repeated texts."""

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_BYTES = 512
"""Bytes of the longest text that is cached."""

MAX_CACHED = 4096
"""Texts that are cached; submissions with their values take 4 MiB, of long ones up to 15."""

MAX_SEEN = 16_384
"""Texts that came at least once and are remembered by their hash, until there are this many."""


class RepeatCache(Generic[V]):
    """Caches values of texts that come twice.

    Many clients repeat their requests: they poll a state, or submit what should exist. A text that
    comes once costs two look-ups, and its value is not kept. When the cache is full, a new text
    displaces one that its hash selects. So even if there are more texts than fit, some are found.
    All users of the cache share the values: do not change one.

    Attributes:
        find: Returns the value of a text; None if it is not cached.
    """

    __slots__ = ("_seen", "_texts", "_values", "find")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._values: dict[bytes, V] = {}
        self._texts: list[bytes] = []  # the keys, to select one
        self.find: Callable[[bytes], V | None] = self._values.get

    def add(self, text: bytes, value: V) -> None:
        """Cache the value of a text that has come before; others only become known."""
        number = hash(text)
        if number not in self._seen:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(number)
        elif len(text) <= MAX_BYTES:
            self._keep(text)
            self._values[text] = value

    def _keep(self, text: bytes) -> None:
        """Make room for a text."""
        texts, values = self._texts, self._values
        if text in values:
            return
        if len(texts) < MAX_CACHED:
            texts.append(text)
        else:
            place = hash(text) % MAX_CACHED
            del values[texts[place]]
            texts[place] = text
