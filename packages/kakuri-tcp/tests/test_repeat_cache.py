"""The cache of values that are derived from repeated texts."""

import pytest
from kakuri_tcp import RepeatCache
from kakuri_tcp._repeat_cache import MAX_BYTES, MAX_CACHED, MAX_SEEN


def cached(cache, texts):
    for text in texts:
        cache.add(text, text)
    found = [(text, value) for text in texts if (value := cache.find(text))]
    assert all(text == value for text, value in found)
    return len(found)


def test_value_is_cached_when_its_text_is_added_the_second_time():
    cache = RepeatCache()
    for found in (None, None, 1):
        assert cache.find(b"text") == found
        cache.add(b"text", 1)
    assert cache.find(b"other") is None


def test_value_of_a_cached_text_is_replaced():
    cache = RepeatCache()
    for value in (1, 2, 3):
        cache.add(b"text", value)
    assert cache.find(b"text") == 3


def test_as_many_texts_as_fit_are_all_cached():
    cache = RepeatCache()
    texts = [b"%d" % number for number in range(MAX_CACHED)]
    assert cached(cache, texts) == 0
    assert cached(cache, texts) == MAX_CACHED


@pytest.mark.parametrize("most", [MAX_CACHED, 100])
def test_more_texts_than_fit_are_partly_cached(most):
    cache = RepeatCache(most)
    texts = [b"%d" % number for number in range(2 * most)]
    cached(cache, texts)
    assert 0 < cached(cache, texts) <= most


def test_text_that_was_added_once_is_forgotten_after_many_others():
    cache = RepeatCache()
    cache.add(b"text", 1)
    for number in range(MAX_SEEN):
        cache.add(b"%d" % number, 1)
    cache.add(b"text", 1)
    assert cache.find(b"text") is None


def test_long_text_is_not_cached():
    cache = RepeatCache()
    for length in (MAX_BYTES, MAX_BYTES + 1):
        text = b"x" * length
        assert cached(cache, [text]) == 0
        assert cached(cache, [text]) == (length == MAX_BYTES)
