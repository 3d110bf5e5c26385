"""The layout of a document: the order of its keys, white space, escapes.

The first layout of a type is the usual one: fields in declaration order, no white space, no
escapes. Other layouts are learned from documents that the general path has decoded.
"""

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from kakuri_json._types.shapes import (
    Constrained,
    FixedTuple,
    Mapping,
    Record,
    Sequence,
    Shape,
    Union,
)

Order: TypeAlias = tuple[tuple[str, Any], ...]
"""For each key of a record, in order: its name, and the order inside its value or None."""

_SPACE = re.compile(r"[\[{,:\]}][ \t\n\r]|[ \t\n\r][\[{,:\]}]|\A[ \t\n\r]|[ \t\n\r]\Z").search


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of the documents of a shape.

    Attributes:
        order: The order of keys (see Order); None for declaration order.
        spaced: Whether there may be white space between tokens.
        escaped: Whether strings may have escapes.
    """

    order: Any = None
    spaced: bool = False
    escaped: bool = False


USUAL = Layout()


def layout_of(shape: Shape, text: str, value: Any) -> Layout:
    """Return the layout of a document from its text and its parsed value."""
    return Layout(_order(shape, value), _SPACE(text) is not None, "\\" in text)


def record_order(record: Record) -> list[str]:
    """Return the keys of a record in declaration order, the tag first."""
    tag = [] if record.tag is None else [record.tag]
    return [*tag, *record.by_json_name]


def _order(shape: Shape, value: Any) -> Any:
    match shape:
        case Record() if type(value) is dict:
            fields = shape.by_json_name
            keys = [key for key in value if key in fields or key == shape.tag]
            for index, key in enumerate(record_order(shape)):
                if key not in value:
                    keys.insert(index, key)
            return tuple(
                (key, _order(fields[key].shape, value.get(key)) if key in fields else None)
                for key in keys
            )
        case Constrained():
            return _order(shape.inner, value)
        case Union():
            records = [member for member in shape.members if isinstance(member, Record)]
            return _order(records[0], value) if len(records) == 1 else None
        case Sequence() if type(value) is list and value:
            return _order(shape.item, value[0])
        case FixedTuple() if type(value) is list:
            return tuple(_order(item, part) for item, part in zip(shape.items, value, strict=True))
        case Mapping() if type(value) is dict and value:
            return _order(shape.value, next(iter(value.values())))
    return None
