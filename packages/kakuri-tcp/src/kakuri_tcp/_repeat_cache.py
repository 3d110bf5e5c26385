"""A cache for the results of parsing byte strings that arrive repeatedly, such as requests.

It has nothing to do with TCP, but kakuri-http and kakuri-rpc both use it, and this distribution is
the only one that both depend on.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from kakuri_tcp._limits import check_limit

V = TypeVar("V")

MAX_BYTES = 512
"""Maximum length of a cached key in bytes."""

MAX_CACHED = 4096
"""Default maximum number of cached keys."""

MAX_SEEN = 16_384
"""Maximum number of keys that are marked as seen; when it is reached, all marks are dropped."""


class RepeatCache(Generic[V]):
    """A bounded cache keyed by byte strings, for keys that arrive more than once.

        value = cache.find(key)
        if value is None:
            value = parse(key)
            if cache.mark_seen(key):
                cache.add(key, value)

    Many clients repeat their requests, for example to poll a state. Callers add a key when it
    arrives for the second time, so that keys that arrive once take no room: only their hashes are
    kept. When the cache is full, a new key replaces one that its hash selects, so that even with
    more repeated keys than fit, some of them are found. Values are shared between callers and must
    not be modified.

    Attributes:
        find: Returns the value of a key, or None if it is not cached.
    """

    __slots__ = ("_keys", "_max_cached", "_seen", "_values", "find")

    def __init__(self, max_cached: int = MAX_CACHED) -> None:
        """Create an empty cache.

        Args:
            max_cached: Maximum number of cached keys.
        """
        check_limit("max_cached", max_cached)
        self._max_cached = max_cached
        self._seen: set[int] = set()
        self._values: dict[bytes, V] = {}
        self._keys: list[bytes] = []  # those of the values, so that a hash can select one
        self.find: Callable[[bytes], V | None] = self._values.get

    def mark_seen(self, key: bytes) -> bool:
        """Mark a key as seen, and return whether it was seen before.

        Only hashes are kept, so the result is also true if another key with the same hash was seen.
        """
        number = hash(key)
        seen = self._seen
        if number in seen:
            return True
        if len(seen) >= MAX_SEEN:
            seen.clear()
        seen.add(number)
        return False

    def add(self, key: bytes, value: V) -> None:
        """Cache a value; a key of more than 512 bytes is never cached."""
        if len(key) <= MAX_BYTES:
            self._make_room(key)
            self._values[key] = value

    def _make_room(self, key: bytes) -> None:
        """Add a key to the list of keys; if the cache is full, in place of another one."""
        keys, values = self._keys, self._values
        if key in values:
            return
        if len(keys) < self._max_cached:
            keys.append(key)
        else:
            index = hash(key) % self._max_cached
            del values[keys[index]]
            keys[index] = key
