"""The general parser: one pass over the text, without recursion (RFC 8259 section 2).

Open containers wait on a stack of our own, so depth costs memory and never the interpreter's
stack. Where the text is no JSON, the diagnosis is asked for the error; it looks at the text
again, so that the parser carries nothing along for it.

Written for two readers: the interpreter, and mypyc, which compiles it to C.
"""

from typing import Any

from kakuri_json._diagnosis import explain_end, explain_key, explain_separator, explain_value
from kakuri_json._limits import Limits
from kakuri_json._scanning import skip_number, skip_plain, skip_space
from kakuri_json._source import limit_error, syntax_error
from kakuri_json._strings import read_escaped


def parse(text: str, limits: Limits, *, last_key_wins: bool) -> Any:
    """Give the value of a document.

    Raises JSONSyntaxError and LimitError with positions in characters.
    """
    # The containers around the present one, and the keys they wait with. The document's value
    # becomes the only item of an outermost list.
    outer: list[Any] = []
    outer_keys: list[str] = []
    names: dict[str, str] = {}  # keys come again and again: one copy of each will do
    items: list[Any] = []
    members: dict[str, Any] = {}
    in_object = False
    key = ""
    value: Any = None
    depth = 0
    max_depth = limits.max_depth
    position = 0
    key_follows = False
    try:
        while True:
            character = text[position]
            if character <= " ":
                position = skip_space(text, position)
                character = text[position]
            if key_follows:
                if character != '"':
                    raise explain_key(text, position, bool(members))
                start = position
                position = skip_plain(text, start + 1)
                if text[position] == '"':
                    key = text[start + 1 : position]
                    position += 1
                else:
                    key, position = read_escaped(text, start + 1)
                if key in members and not last_key_wins:
                    raise syntax_error(text, start, "every key of an object once", f"{key!r} again")
                key = names.setdefault(key, key)
                if text[position] != ":":
                    position = skip_space(text, position)
                    if text[position] != ":":
                        raise explain_separator(text, position, "':' after the key")
                position += 1
                character = text[position]
                if character <= " ":
                    position = skip_space(text, position)
                    character = text[position]
                key_follows = False

            if character == '"':
                start = position + 1
                position = skip_plain(text, start)
                if text[position] == '"':
                    value = text[start:position]
                    position += 1
                else:
                    value, position = read_escaped(text, start)
            elif character == "{" or character == "[":
                if depth >= max_depth:
                    raise limit_error(text, position, limits, "max_depth", "levels of nesting")
                depth += 1
                if in_object:
                    outer.append(members)
                    outer_keys.append(key)
                else:
                    outer.append(items)
                position = skip_space(text, position + 1)
                if character == "{":
                    in_object = True
                    members = {}
                    if text[position] != "}":
                        key_follows = True
                        continue
                    value = members
                else:
                    in_object = False
                    items = []
                    if text[position] != "]":
                        continue
                    value = items
                position += 1
                depth -= 1
                around = outer.pop()
                if type(around) is dict:
                    members = around
                    key = outer_keys.pop()
                    in_object = True
                else:
                    items = around
                    in_object = False
            elif character == "t" and text.startswith("true", position):
                value = True
                position += 4
            elif character == "f" and text.startswith("false", position):
                value = False
                position += 5
            elif character == "n" and text.startswith("null", position):
                value = None
                position += 4
            else:
                end = skip_number(text, position)
                if end == position:
                    raise explain_value(text, position, after_comma=not in_object and bool(items))
                value = _number(text, position, end, limits)
                position = end

            # A value is complete, and with it maybe the containers around it.
            while depth:
                if in_object:
                    members[key] = value
                else:
                    items.append(value)
                character = text[position]
                if character <= " ":
                    position = skip_space(text, position)
                    character = text[position]
                if character == ",":
                    position += 1
                    key_follows = in_object
                    break
                if in_object:
                    if character != "}":
                        raise explain_separator(text, position, "',' or '}'")
                    if len(members) > limits.max_keys:
                        raise limit_error(text, position, limits, "max_keys", "keys in an object")
                    value = members
                else:
                    if character != "]":
                        raise explain_separator(text, position, "',' or ']'")
                    value = items
                position += 1
                depth -= 1
                around = outer.pop()
                if type(around) is dict:
                    members = around
                    key = outer_keys.pop()
                    in_object = True
                else:
                    items = around
                    in_object = False
            else:
                position = skip_space(text, position)
                if position != len(text):
                    raise explain_separator(text, position, "nothing after the document")
                return value
    except IndexError:
        raise explain_end(text, in_object=in_object, key_follows=key_follows) from None


def _number(text: str, start: int, end: int, limits: Limits) -> Any:
    if end - start > limits.max_digits:
        raise limit_error(text, start, limits, "max_digits", "characters in a number")
    # What follows a complete number must not look like more of it: 01, 1.e5, 1.5.2.
    if end < len(text) and text[end] in "0123456789.eE+-":
        raise explain_value(text, start, after_comma=False)
    spelling = text[start:end]
    if "." not in spelling and "e" not in spelling and "E" not in spelling:
        try:
            return int(spelling)
        except ValueError:  # the interpreter was told to convert fewer digits than we allow
            raise limit_error(
                text, start, limits, "max_digits", "characters in a number"
            ) from None
    number = float(spelling)
    if number - number != 0.0:
        raise syntax_error(text, start, "a number within the range of a double", spelling)
    return number
