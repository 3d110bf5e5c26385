"""The general parser: one pass over the text, without recursion (RFC 8259 section 2).

A document is matched token by token. An open container waits on a stack of our own, so depth
costs memory and never the interpreter's stack. What matches no token goes to the diagnosis,
which alone knows how to explain it.
"""

import re
from typing import Any

from kakuri_json._diagnosis import explain_key, explain_separator, explain_value
from kakuri_json._limits import Limits
from kakuri_json._source import limit_error, syntax_error
from kakuri_json._strings import read_escaped

_WS = r"[ \t\n\r]*+"
_VALUE = re.compile(
    _WS + r'(?:"([^"\\\x00-\x1f]*+)(["\\])|(-?(?:0(?![0-9])|[1-9][0-9]*+))'
    r"((?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?(?![.eE]))|(\[)|(\{)|(true|false|null))"
).match
_KEY = re.compile(_WS + r'"([^"\\\x00-\x1f]*+)(["\\])').match
_COLON = re.compile(_WS + ":").match
_AFTER = re.compile(_WS + r"([,\]}]?)").match

_STRING, _NUMBER, _ARRAY, _OBJECT = 2, 4, 5, 6
_WORDS = {"true": True, "false": False, "null": None}
_INFINITIES = (float("inf"), float("-inf"))


def parse(text: str, limits: Limits, *, last_key_wins: bool) -> Any:
    """Give the value of a document.

    Raises JSONSyntaxError and LimitError with positions in characters.
    """
    stack: list[tuple[Any, str]] = []
    container: Any = None
    key = ""
    position = 0
    while True:
        token = _VALUE(text, position)
        if token is None:
            raise explain_value(text, position, container)
        position = token.end()
        kind = token.lastindex
        value: Any
        if kind == _STRING:
            if token[2] == '"':
                value = token[1]
            else:
                value, position = read_escaped(text, token.start(1))
        elif kind == _NUMBER:
            value = _number(text, token, limits)
        elif kind == _OBJECT or kind == _ARRAY:
            if len(stack) >= limits.max_depth:
                raise limit_error(text, position - 1, limits, "max_depth", "levels of nesting")
            value = {} if kind == _OBJECT else []
            after = _AFTER(text, position)
            assert after is not None
            if after[1] != ("}" if kind == _OBJECT else "]"):
                stack.append((container, key))
                container = value
                if kind == _OBJECT:
                    key, position = _read_key(text, position, container, limits, last_key_wins)
                continue
            position = after.end()
        else:
            value = _WORDS[token[7]]

        # A value is complete; so may be the containers around it.
        while container is not None:
            after = _AFTER(text, position)
            assert after is not None
            separator = after[1]
            if type(container) is list:
                container.append(value)
                if separator == ",":
                    position = after.end()
                    break
                if separator != "]":
                    raise explain_separator(text, after.start(1), container)
            else:
                container[key] = value
                if separator == ",":
                    position = after.end()
                    key, position = _read_key(text, position, container, limits, last_key_wins)
                    break
                if separator != "}":
                    raise explain_separator(text, after.start(1), container)
            position = after.end()
            value = container
            container, key = stack.pop()
        else:
            after = _AFTER(text, position)
            assert after is not None
            if after.start(1) != len(text):
                raise explain_separator(text, after.start(1), None)
            return value


def _read_key(
    text: str, position: int, container: dict[str, Any], limits: Limits, last_key_wins: bool
) -> tuple[str, int]:
    token = _KEY(text, position)
    if token is None:
        raise explain_key(text, position, container)
    if token[2] == '"':
        key, end = token[1], token.end()
    else:
        key, end = read_escaped(text, token.start(1))
    if key in container and not last_key_wins:
        start = token.start(1) - 1
        raise syntax_error(text, start, "every key of an object once", f"{key!r} again")
    if len(container) >= limits.max_keys:
        raise limit_error(text, token.start(1) - 1, limits, "max_keys", "keys in an object")
    colon = _COLON(text, end)
    if colon is None:
        raise explain_separator(text, end, key)
    return key, colon.end()


def _number(text: str, token: re.Match[str], limits: Limits) -> int | float:
    integer, rest = token[3], token[4]
    if len(integer) + len(rest) > limits.max_digits:
        raise limit_error(text, token.start(3), limits, "max_digits", "characters in a number")
    if not rest:
        try:
            return int(integer)
        except ValueError:  # the interpreter was told to convert fewer digits than we allow
            raise limit_error(
                text, token.start(3), limits, "max_digits", "characters in a number"
            ) from None
    value = float(integer + rest)
    if value in _INFINITIES:
        raise syntax_error(
            text, token.start(3), "a number within the range of a double", integer + rest
        )
    return value
