"""The cache of values by keys that are repeated."""

import pytest
from kakuri_tcp import RepeatCache
from kakuri_tcp._repeat_cache import MAX_BYTES, MAX_CACHED, MAX_SEEN


def cached(cache, keys):
    for key in keys:
        cache.add(key, key)
    found = [(key, value) for key in keys if (value := cache.find(key))]
    assert all(key == value for key, value in found)
    return len(found)


def test_value_is_cached_when_its_key_is_added_the_second_time():
    cache = RepeatCache()
    for found in (None, None, 1):
        assert cache.find(b"key") == found
        cache.add(b"key", 1)
    assert cache.find(b"other") is None


def test_value_of_a_cached_key_is_replaced():
    cache = RepeatCache()
    for value in (1, 2, 3):
        cache.add(b"key", value)
    assert cache.find(b"key") == 3


def test_as_many_keys_as_fit_are_all_cached():
    cache = RepeatCache()
    keys = [b"%d" % number for number in range(MAX_CACHED)]
    assert cached(cache, keys) == 0
    assert cached(cache, keys) == MAX_CACHED


@pytest.mark.parametrize("most", [MAX_CACHED, 100])
def test_more_keys_than_fit_are_partly_cached(most):
    cache = RepeatCache(most)
    keys = [b"%d" % number for number in range(2 * most)]
    cached(cache, keys)
    assert 0 < cached(cache, keys) <= most


def test_key_that_was_added_once_is_forgotten_after_many_others():
    cache = RepeatCache()
    cache.add(b"key", 1)
    for number in range(MAX_SEEN):
        cache.add(b"%d" % number, 1)
    cache.add(b"key", 1)
    assert cache.find(b"key") is None


def test_long_key_is_not_cached():
    cache = RepeatCache()
    for length in (MAX_BYTES, MAX_BYTES + 1):
        key = b"x" * length
        assert cached(cache, [key]) == 0
        assert cached(cache, [key]) == (length == MAX_BYTES)
