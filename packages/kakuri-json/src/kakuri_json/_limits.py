"""What a document may cost before it is refused, each figure with its reason."""

from typing import NamedTuple

from kakuri_json._errors import NOWHERE, LimitError, Place


class Limits(NamedTuple):
    """Bounds on a document, for reading and for writing alike.

    max_depth: arrays and objects inside one another. Real documents stay below 50; the parser
        needs no stack of its own for more, but programs that walk the result do.
    max_digits: characters of one number. Converting digits takes quadratic time, so this is what
        CPython allows by default (CVE-2020-10735).
    max_length: bytes or characters of a document. Values take up to twenty times the room of
        their text; longer documents belong to the incremental parser.
    max_keys: members of one object.
    """

    max_depth: int = 512
    max_digits: int = 4300
    max_length: int = 64 * 2**20
    max_keys: int = 100_000


DEFAULT_LIMITS = Limits()

_UNITS = {
    "max_depth": "levels of nesting",
    "max_digits": "characters in a number",
    "max_length": "characters or bytes in a document",
    "max_keys": "keys in an object",
}


def exceeded(limits: Limits, name: str, place: Place = NOWHERE) -> LimitError:
    """Make the error for a document or value that exceeds a limit."""
    maximum = getattr(limits, name)
    message = f"expected at most {maximum} {_UNITS[name]}, got more"
    return LimitError(message, limit=name, maximum=maximum, place=place)


MAX_FAULTS = 100
"""Faults that one ValidationError gathers: a peer decides how many there are; more help nobody."""
