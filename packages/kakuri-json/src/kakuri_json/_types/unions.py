"""Decides in which order the members of a union are tried, and which unions can be decoded."""

from collections.abc import Iterator
from typing import Any

from kakuri_json._errors import UnsupportedTypeError
from kakuri_json._types.shapes import (
    Anything,
    Choice,
    Constrained,
    FixedTuple,
    Flags,
    Mapping,
    Record,
    Scalar,
    Sequence,
    Shape,
    Text,
    Union,
)


def union_of(members: list[Shape], annotation: Any) -> Shape:
    """Return the shape of a union.

    Raises:
        UnsupportedTypeError: Its members can only be distinguished by trying each.
    """
    flat: list[Shape] = []
    for member in members:
        if isinstance(member, Anything):
            return member
        flat.extend(member.members if isinstance(member, Union) else (member,))
    flat = [*dict.fromkeys(flat)]  # type arguments can repeat a member
    flat.sort(key=_rank)
    records = [member for member in flat if isinstance(member, Record)]
    _check_distinct(flat, annotation)
    _check_values(flat, annotation)
    if len(records) < 2:
        return Union(tuple(flat))
    tags = (name for name in records[0].tags if all(name in record.tags for record in records))
    tag = next(tags, None)
    if tag is None:
        raise UnsupportedTypeError(
            f"expected a tag that distinguishes the classes in {annotation!r}"
        )
    tagged: dict[Any, Record] = {}
    for record in records:
        for value in record.tags[tag]:
            if tagged.setdefault(value, record) is not record:
                got = f"{value!r} twice in {annotation!r}"
                raise UnsupportedTypeError(f"expected different values of {tag!r}, got {got}")
    return Union(tuple(flat), tag, tagged)


_FORMAT_RANKS = ("datetime", "date", "uuid", "decimal", "bytes")


def _rank(member: Shape) -> int:
    """Return the sort key that puts narrow members of a union first.

    A choice or a format is also a string, and an integer is also a number. Python treats `A | B`
    and `B | A` as equal, so the order in the annotation can't decide.
    """
    if isinstance(member, Constrained):
        return _rank(member.inner)
    if isinstance(member, (Choice, Flags)):
        return 0
    if isinstance(member, Text):
        return 1 + _FORMAT_RANKS.index(member.format)
    return 10 if member == Scalar("integer") else 11


def _check_distinct(members: list[Shape], annotation: Any) -> None:
    """Reject a union whose arrays or objects can only be distinguished by trying each member."""
    inner = [member.inner if isinstance(member, Constrained) else member for member in members]
    arrays = sum(isinstance(member, (Sequence, FixedTuple)) for member in inner)
    mappings = sum(isinstance(member, Mapping) for member in inner)
    objects = mappings + any(isinstance(member, Record) for member in inner)
    if arrays > 1 or objects > 1:
        kind = "array" if arrays > 1 else "object without a tag"
        raise UnsupportedTypeError(f"expected one kind of {kind}, got more in {annotation!r}")


def _check_values(members: list[Shape], annotation: Any) -> None:
    """Reject a union in which one JSON value stands for values of several enums or literals."""
    inner = [member.inner if isinstance(member, Constrained) else member for member in members]
    for common in _common_values(inner):
        got = f"{common!r} in several of {annotation!r}"
        raise UnsupportedTypeError(f"expected different JSON values of enums, got {got}")


def _common_values(members: list[Shape]) -> Iterator[Any]:
    """Yield the JSON values that stand for values of several enums, flags or literals."""
    known: dict[tuple[Any, Any], Any] = {}
    for member in members:
        for encoded, decoded in member.rows if isinstance(member, Choice) else ():
            before = known.setdefault((type(encoded), encoded), decoded)
            if type(before) is not type(decoded) or before != decoded:
                yield encoded
    flags = [member for member in members if isinstance(member, Flags)]
    if len(flags) > 1:
        yield 0  # no bits
    for each in flags:
        yield from (
            value for kind, value in known if kind is int and value >= 0 and not value & ~each.known
        )
