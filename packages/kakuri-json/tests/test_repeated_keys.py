"""The parser guesses the next key: the result must be the same as without guesses."""

import json

import kakuri_json
import pytest


@pytest.mark.parametrize(
    "text",
    [
        '[{"":1},{"":2}]',
        '[{"a":1,"b":2},{"a":3,"c":4},{"a":5,"b":6}]',
        '[{"a": 1},{"a":2},{"a":  3},{"a" :4},{"a"\n:\n5},{"a":6}]',
        '[{"ab":1},{"a":2},{"abc":3},{"ab":4}]',
        r'[{"a":1},{"\u0061":2},{"a":3},{"\u0061":4}]',
        '[{"user":{"id":1,"name":"x"},"id":2},{"user":{"id":3,"name":"y"},"id":4}]',
        '[{"é":1,"世":2},{"é":3,"世":4}]',
        '[{"' + "k" * 500 + '":1},{"' + "k" * 500 + '":2}]',
    ],
)
def test_loads_with_keys_written_differently_returns_their_values(text):
    assert kakuri_json.loads(text) == json.loads(text)


def test_loads_with_thousands_of_different_keys_returns_all():
    value = [{f"key{n}": n, "same": {"id": n}} for n in range(3000)]
    assert kakuri_json.loads(json.dumps(value)) == value


def test_loads_with_guessed_key_twice_names_the_second_one():
    with pytest.raises(kakuri_json.JSONSyntaxError, match="'a' again at line 1, column 17"):
        kakuri_json.loads('[{"a":1},{"a":2,"a":3}]')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a":1},{"a"', "expected ':' after the key, got the end"),
        ('[{"a":1},{"a":', "expected a value, got the end"),
        ('[{"a":1},{"a"1}]', "expected ':' after the key, got '1'"),
        ('[{"a":1},{"a":}]', "expected a value, got '}'"),
        ('[{"a":1},}]', "expected a value, got '}'"),
        ('[{"a":1,}]', "expected a key, got '}' after a trailing comma"),
    ],
)
def test_loads_with_fault_after_guessed_key_explains_it(text, message):
    with pytest.raises(kakuri_json.JSONSyntaxError, match=message):
        kakuri_json.loads(text)
