"""Numbers to text."""

from kakuri_json._errors import UnprintableError
from kakuri_json._limits import Limits, exceeded


def integer_text(value: int, limits: Limits) -> str:
    """Give the text of an integer of any size."""
    # A digit takes more than 3.3 bits: too many bits need no conversion to be refused.
    if value.bit_length() <= limits.max_digits * 10 // 3:
        try:
            text = int.__repr__(value)
        except ValueError:  # more digits than the interpreter converts
            text = ""
        if text and len(text) <= limits.max_digits:
            return text
    raise exceeded(limits, "max_digits")


def float_text(value: float) -> str:
    """Give the shortest text that reads back as the same number."""
    if value - value != 0:
        raise UnprintableError(f"expected a finite number, got {value!r}")
    return float.__repr__(value)
