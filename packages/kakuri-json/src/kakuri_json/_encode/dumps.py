"""Encodes values into documents."""

from errno import EAGAIN
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from kakuri_json._encode.printer import print_value
from kakuri_json._limits import DEFAULT_LIMITS, Limits, exceeded, limits_or_default
from kakuri_json._types.attributes import NAME, Encoder, cache_of, no_encoder

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_MAX_LENGTH = DEFAULT_LIMITS.max_length
_MAX_INDENT = 1000
"""Maximum indent in spaces: more could exhaust memory before the document exceeds its limits."""


def dumps(
    value: object,
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    limits: Limits | None = None,
) -> str:
    """Encode a value as a JSON document in a str.

    Accepts None, bool, int, float, str, list, tuple and mappings, and everything that `decode` can
    create: dataclasses, TypedDicts, enums, sets, Decimal, datetime, date, bytes, UUID. Only the
    characters that RFC 8259 requires to be escaped are escaped. Every document can be read again: a
    value that `loads` would reject with the same limits raises an error.

        >>> print(dumps({"id": "wl-1", "args": ["é", 1.0]}, indent=2))
        {
          "id": "wl-1",
          "args": [
            "é",
            1.0
          ]
        }

    Args:
        value: The value.
        indent: Spaces for each level of nesting; None for no white space at all.
        sort_keys: Whether to sort the members of objects by key.
        limits: Bounds on the document; None for the defaults.

    Returns:
        The document.

    Raises:
        EncodeError: JSON cannot represent the value: NaN, a lone surrogate, a cycle, a key that is
            not a str, a class without a JSON form.
        LimitError: The document would exceed one of the limits.
        UnsupportedTypeError: A dataclass has a field whose type has no JSON form.
    """
    if indent is None and not sort_keys and limits is None:
        return _compact(value)
    return _print(value, indent, limits_or_default(limits), sort_keys=sort_keys)


def encode(
    value: object,
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    limits: Limits | None = None,
) -> bytes:
    """Encode a value as a JSON document in UTF-8.

    The same as `dumps`, but returns bytes, to send or to store. For a dataclass, the first call
    compiles an encoder, which is stored on the class. It writes the tag of `__json__` first, then
    the fields in declaration order.

        >>> @dataclass
        ... class Workload:
        ...     id: str
        ...     memory_mb: int = 512
        >>> encode(Workload("wl-1"))
        b'{"id":"wl-1","memory_mb":512}'
        >>> decode(encode(Workload("wl-1")), Workload)
        Workload(id='wl-1', memory_mb=512)

    Args:
        value: The value.
        indent: Spaces for each level of nesting; None for no white space at all.
        sort_keys: Whether to sort the members of objects by key.
        limits: Bounds on the document; None for the defaults.

    Returns:
        The document.

    Raises:
        EncodeError: JSON cannot represent the value.
        LimitError: The document would exceed one of the limits.
        UnsupportedTypeError: A dataclass has a field whose type has no JSON form.
    """
    if indent is None and not sort_keys and limits is None:
        data = _compact(value).encode()
        if len(data) > _MAX_LENGTH:
            raise exceeded(DEFAULT_LIMITS, "max_length")
        return data
    limits = limits_or_default(limits)
    data = _print(value, indent, limits, sort_keys=sort_keys).encode()
    if len(data) > limits.max_length:
        raise exceeded(limits, "max_length")
    return data


def dump(
    value: object,
    file: "SupportsWrite[bytes]",
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    limits: Limits | None = None,
) -> None:
    """Encode a value like `encode`, and write the document to a file.

    Nothing is written if the value cannot be encoded.

    Args:
        value: The value.
        file: A file opened in binary mode, because JSON is UTF-8 regardless of the locale.
        indent: As in `encode`.
        sort_keys: As in `encode`.
        limits: As in `encode`.

    Raises:
        EncodeError: As in `encode`.
        LimitError: As in `encode`.
        UnsupportedTypeError: As in `encode`.
        TypeError: The file was opened in text mode, or the argument is a path.
        BlockingIOError: The file is unbuffered and in non-blocking mode; a part may be written.
    """
    if not hasattr(file, "write"):
        raise TypeError(f"expected a file opened in binary mode, got {type(file).__name__}")
    data = encode(value, indent=indent, sort_keys=sort_keys, limits=limits)
    if not isinstance(file, RawIOBase):
        file.write(data)
        return
    unwritten = memoryview(data)
    while unwritten:  # an unbuffered file may write only a part at a time
        written = file.write(unwritten)
        if written is None:
            raise BlockingIOError(EAGAIN, "the file accepts no more bytes now")
        unwritten = unwritten[written:]


def encoder_of(cls: type[Any]) -> Encoder | None:
    """Return the function that prints instances of exactly this class; None if there is none."""
    if not hasattr(cls, "__dataclass_fields__"):
        return None
    cache = cache_of(cls)
    if cache.encode is no_encoder:
        # Imported late, because a program without dataclasses does not need it.
        from kakuri_json._encode.compile_encoder import compile_encoder  # noqa: PLC0415

        cache.encode = compile_encoder(cls)
    return cache.encode


def _print(value: object, indent: int | None, limits: Limits, *, sort_keys: bool) -> str:
    """Print a value with the general printer."""
    if indent is not None:
        if type(indent) is not int:
            got = type(indent).__name__
            raise TypeError(f"expected indent as a number of spaces (int) or None, got {got}")
        if not 0 <= indent <= _MAX_INDENT:
            raise ValueError(f"expected indent as 0 to {_MAX_INDENT} spaces, got {indent}")
    sort_key = str if sort_keys else None
    return print_value(value, limits, _load_values, indent=indent, sort_key=sort_key)


def _compact(value: object) -> str:
    """Print a value without white space, with the encoder of its class if there is one."""
    cls = value.__class__
    if cls is not dict and cls is not list:
        try:
            text = cls.__kakuri_json__.encode(value)  # type: ignore[attr-defined]  # see cache_of
        except (AttributeError, ValueError, RecursionError):
            text = None  # the printer does not recurse, and reports which limit an integer exceeds
        if text is None:
            text = _compact_first(value, cls)
        if text is not None and len(text) <= _MAX_LENGTH:
            result: str = text
            return result
    return print_value(value, DEFAULT_LIMITS, _load_values)


def _compact_first(value: object, cls: type[Any]) -> str | None:
    """Print a value whose class has no encoder yet (one inherited from a base does not count)."""
    if NAME in cls.__dict__ and cache_of(cls).encode is not no_encoder:
        return None
    try:
        encoder = encoder_of(cls)
        return None if encoder is None else encoder(value)
    except (ValueError, RecursionError):
        return None


def _load_values() -> Any:
    # Imported late, because plain values need neither this module nor its imports.
    from kakuri_json._encode import values  # noqa: PLC0415

    return values
