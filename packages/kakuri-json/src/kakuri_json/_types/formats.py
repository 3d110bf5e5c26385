"""Types that JSON represents as strings: date-time (RFC 3339), bytes (RFC 4648), decimal, UUID."""

import base64
import binascii
import datetime as dt
import re
import uuid
from collections.abc import Callable
from sys import modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import decimal

_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-5][0-9])"
).fullmatch
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_DECIMAL = re.compile(
    r"-?(?:0|[1-9][0-9]{0,999})(?:\.[0-9]{1,1000})?(?:[eE][-+]?[0-9]{1,6})?"
).fullmatch
_UUID = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch


def _read_date_time(text: str) -> dt.datetime | None:
    if not _DATE_TIME(text):
        return None
    return dt.datetime.fromisoformat(text.upper())


def is_leap_second(text: str) -> bool:
    """Return whether a text is a date and time of RFC 3339 in a leap second."""
    return _DATE_TIME(text) is not None and text[17:19] == "60"


def _read_date(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if _DATE(text) else None


def _read_decimal(text: str) -> "decimal.Decimal | None":
    return native_class("decimal")(text) if _DECIMAL(text) else None


def _read_bytes(text: str) -> bytes | None:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Each value has only one encoding: unused bits in the last character are zero (RFC 4648, 3.5).
    return value if base64.b64encode(value).decode() == text else None


def _read_uuid(text: str) -> uuid.UUID | None:
    return uuid.UUID(text) if _UUID(text) else None


READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "datetime": ("a date and time with offset (RFC 3339)", _read_date_time),
    "date": ("a date like '2026-01-31'", _read_date),
    "decimal": ("a decimal number in a string", _read_decimal),
    "bytes": ("bytes in base64 (RFC 4648)", _read_bytes),
    "uuid": ("a UUID", _read_uuid),
}
"""For each format: its description, and its reader, which returns None or raises ValueError."""


_NATIVE: dict[str, type[Any]] = {
    "datetime": dt.datetime, "date": dt.date, "bytes": bytes, "uuid": uuid.UUID,
}  # fmt: skip


def native_class(format_name: str) -> type[Any]:
    """Return the class of a format's values."""
    if format_name == "decimal":
        import decimal  # noqa: PLC0415 (see decimal_class)

        return decimal.Decimal
    return _NATIVE[format_name]


def decimal_class() -> type[Any] | None:
    """Return Decimal, or None if the program has not imported it, so that no value can be one.

    The module takes half a MiB, and few programs use it.
    """
    module = modules.get("decimal")
    return None if module is None else module.Decimal


def is_decimal(value: object) -> bool:
    """Return whether a value is a Decimal."""
    decimal_type = decimal_class()
    return decimal_type is not None and isinstance(value, decimal_type)


def write_date_time(value: dt.datetime) -> str | None:
    """Return a date and time as in RFC 3339; None without an offset of whole minutes."""
    offset = value.utcoffset()
    if offset is None or offset.total_seconds() % 60:
        return None
    text = dt.datetime.isoformat(value)
    return text[:-6] + "Z" if not offset else text


def write_decimal(value: "decimal.Decimal") -> str | None:
    """Return the text of a decimal number; None if not finite, or too long to be read again."""
    import decimal  # noqa: PLC0415 (see decimal_class)

    text = decimal.Decimal.__str__(value)
    return text if _DECIMAL(text) else None


def write_bytes(value: bytes | bytearray) -> str:
    """Return bytes in base64."""
    return base64.b64encode(value).decode()
