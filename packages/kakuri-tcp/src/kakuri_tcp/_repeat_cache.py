"""A cache of values that are derived from repeated texts."""

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_BYTES = 512
"""Maximum length of a cached text in bytes."""

MAX_CACHED = 4096
"""Default maximum number of cached texts: submissions and their values take 4 MiB, long ones up to
15."""

MAX_SEEN = 16_384
"""Maximum number of hashes of texts that were added; beyond it, all of them are forgotten."""


class RepeatCache(Generic[V]):
    """Caches the values of texts that are added twice.

    Many clients repeat their requests: they poll a state, or submit a workload that should exist. A
    text that comes once costs two look-ups, and its value is not cached. When the cache is full, a
    new text replaces one that its hash selects, so some are found even if there are more than fit.
    All users of the cache share the values: do not change one.

    Attributes:
        find: Returns the value of a text; None if it is not cached.
    """

    __slots__ = ("_max_cached", "_seen", "_texts", "_values", "find")

    def __init__(self, max_cached: int = MAX_CACHED) -> None:
        """Create an empty cache for at most `max_cached` texts."""
        self._max_cached = max_cached
        self._seen: set[int] = set()
        self._values: dict[bytes, V] = {}
        self._texts: list[bytes] = []  # the keys, so that a hash can select one
        self.find: Callable[[bytes], V | None] = self._values.get

    def add(self, text: bytes, value: V) -> None:
        """Cache the value of a text that was added before; of any other, remember the hash."""
        number = hash(text)
        if number not in self._seen:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(number)
        elif len(text) <= MAX_BYTES:
            self._make_room(text)
            self._values[text] = value

    def _make_room(self, text: bytes) -> None:
        """Add a text to the keys; if the cache is full, in place of another one."""
        texts, values = self._texts, self._values
        if text in values:
            return
        if len(texts) < self._max_cached:
            texts.append(text)
        else:
            place = hash(text) % self._max_cached
            del values[texts[place]]
            texts[place] = text
