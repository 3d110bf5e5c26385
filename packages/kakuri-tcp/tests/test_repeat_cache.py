"""The cache of values by keys that are repeated."""

import pytest
from kakuri_tcp import RepeatCache
from kakuri_tcp._repeat_cache import MAX_BYTES, MAX_CACHED, MAX_SEEN


def cached(cache, keys):
    for key in keys:
        if cache.mark_seen(key):
            cache.add(key, key)
    found = [(key, value) for key in keys if (value := cache.find(key))]
    assert all(key == value for key, value in found)
    return len(found)


def test_mark_seen_returns_whether_the_key_was_marked_before():
    cache = RepeatCache()
    assert [cache.mark_seen(b"key") for _ in range(3)] == [False, True, True]
    assert not cache.mark_seen(b"other")


def test_value_of_an_added_key_is_found():
    cache = RepeatCache()
    cache.add(b"key", 1)
    assert cache.find(b"key") == 1
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


def test_key_that_came_once_is_forgotten_after_many_others():
    cache = RepeatCache()
    assert not any(cache.mark_seen(b"%d" % number) for number in range(MAX_SEEN + 1))
    assert not cache.mark_seen(b"0")


def test_long_key_is_not_cached():
    cache = RepeatCache()
    for length in (MAX_BYTES, MAX_BYTES + 1):
        key = b"x" * length
        assert cached(cache, [key]) == 0
        assert cached(cache, [key]) == (length == MAX_BYTES)
