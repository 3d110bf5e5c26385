"""Documents to plain values."""

from typing import Any, Literal

from kakuri_json._errors import JSONSyntaxError, LimitError
from kakuri_json._limits import DEFAULT_LIMITS, Limits
from kakuri_json._parser import parse
from kakuri_json._source import Data, in_bytes, read_text


def loads(
    data: Data,
    *,
    limits: Limits = DEFAULT_LIMITS,
    duplicate_keys: Literal["error", "last"] = "error",
) -> Any:
    """Parse a document into None, bool, int, float, str, list and dict (RFC 8259).

    duplicate_keys: what to make of a key that an object has twice; "last" keeps the last value.
    Raises JSONSyntaxError for text that is no JSON, LimitError for a document beyond the limits.
    """
    text = read_text(data, limits)
    try:
        return parse(text, limits, last_key_wins=duplicate_keys == "last")
    except (JSONSyntaxError, LimitError) as error:
        if not isinstance(data, str):
            in_bytes(error, text)
        raise
