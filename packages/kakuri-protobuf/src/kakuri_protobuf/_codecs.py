"""The public functions, and the codecs that they compile on the first use of a class.

Nothing is compiled at import, because a class takes about a millisecond, and a program uses few of
the classes in a generated module.
"""

import contextlib
import struct
from typing import Any, TypeVar, cast

from kakuri_protobuf._decoder import compile_decoder
from kakuri_protobuf._encoder import Encoder, TooManyElements, compile_encoder
from kakuri_protobuf._errors import EncodeError, LimitError
from kakuri_protobuf._faults import find_fault
from kakuri_protobuf._fields import Schema, schema_of
from kakuri_protobuf._limits import DEFAULT_LIMITS, Limits, checked_limits
from kakuri_protobuf._value_writer import Decoder
from kakuri_protobuf._wire import to_bytes

T = TypeVar("T")

_DEPTH = DEFAULT_LIMITS.depth
_TOO_DEEP = "expected messages to nest less deeply than the interpreter's stack allows"
_ENCODING_ERRORS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
_LIMIT_TEXTS = {
    "depth": "at most {} levels of nested messages",
    "elements": "at most {} elements in all",
}


class Codec:
    """The compiled functions of one class.

    It is an attribute of the class, so it is freed with the class. A subclass inherits the
    attribute, so `cls` tells them apart.
    """

    __slots__ = ("cls", "counting_decoder", "counting_encoder", "decoder", "encoder", "schema")

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.schema: Schema = schema_of(cls)
        # Each is replaced with the compiled function on its first call.
        self.encoder: Encoder = self._first_encode
        self.counting_encoder: Encoder = self._first_counting_encode
        self.decoder: Decoder = self._first_decode
        self.counting_decoder: Decoder = self._first_counting_decode

    def _first_encode(self, *arguments: Any) -> bytes:
        self.encoder = compile_encoder(self.schema, _encoder_of, is_counting=False)
        return self.encoder(*arguments)

    def _first_counting_encode(self, *arguments: Any) -> bytes:
        self.counting_encoder = compile_encoder(self.schema, _counting_encoder_of, is_counting=True)
        return self.counting_encoder(*arguments)

    def _first_decode(self, *arguments: Any) -> Any:
        self.decoder = compile_decoder(self.schema, _decoder_of, is_counting=False)
        return self.decoder(*arguments)

    def _first_counting_decode(self, *arguments: Any) -> Any:
        self.counting_decoder = compile_decoder(self.schema, _counting_decoder_of, is_counting=True)
        return self.counting_decoder(*arguments)


def codec_of(cls: type[Any]) -> Codec:
    """Return the codec of a class.

    Raises:
        UnsupportedTypeError: The class does not describe a message.
    """
    codec: Codec | None = getattr(cls, "__kakuri_protobuf_codec__", None)
    if codec is None or codec.cls is not cls:
        codec = Codec(cls)
        cls.__kakuri_protobuf_codec__ = codec
    return codec


def _encoder_of(cls: type[Any]) -> Encoder:
    return codec_of(cls).encoder


def _counting_encoder_of(cls: type[Any]) -> Encoder:
    return codec_of(cls).counting_encoder


def _decoder_of(cls: type[Any]) -> Decoder:
    return codec_of(cls).decoder


def _counting_decoder_of(cls: type[Any]) -> Decoder:
    return codec_of(cls).counting_decoder


def _schema_of(cls: type[Any]) -> Schema:
    return codec_of(cls).schema


def encode(message: object, *, deterministic: bool = False, limits: Limits | None = None) -> bytes:
    """Encode a message in the wire format of Protocol Buffers.

    Fields are written in the order of their numbers. A field without presence is omitted if it is
    zero. A field that can be None is written unless it is None, even if it is an empty message.

    Args:
        message: An instance of a dataclass whose fields have numbers.
        deterministic: Write the entries of maps in the order of their keys, so that equal messages
            have equal bytes. By default, they keep the order of the mapping.
        limits: `depth` limits how deeply messages can nest; the other limits only apply to
            decoding.

    Raises:
        EncodeError: A field holds a value that its kind cannot encode; has the path of the field.
        UnsupportedTypeError: The class does not describe a message.

    Source: protobuf.dev/programming-guides/encoding.
    """
    cls = type(message)
    # As in codec_of, but without a call.
    codec: Codec | None = getattr(cls, "__kakuri_protobuf_codec__", None)
    if codec is None or codec.cls is not cls:
        codec = codec_of(cls)
    depth = _DEPTH if limits is None else checked_limits(limits).depth
    try:
        data = codec.encoder(message, deterministic, depth, None)
        return data if data.__class__ is bytes else bytes(data)
    except RecursionError:
        raise EncodeError(_TOO_DEEP) from None
    except _ENCODING_ERRORS as error:
        fault = None
        with contextlib.suppress(RecursionError):  # it needs more of the stack than encoding
            fault = find_fault(message, codec.schema, _schema_of, depth)
        raise fault or EncodeError(f"expected a message, got {error!r}") from error


def encode_if_small(message: object, max_elements: int) -> bytes | None:
    """Encode a message, unless it has many elements of repeated fields and entries of maps.

    Returns:
        The bytes; None if the message has more than `max_elements`.

    Raises:
        EncodeError: A field holds a value that its kind cannot encode.
        UnsupportedTypeError: The class does not describe a message.
    """
    try:
        encoder = codec_of(type(message)).counting_encoder
        data = encoder(message, False, _DEPTH, [max_elements])  # noqa: FBT003 - generated
        return data if data.__class__ is bytes else bytes(data)
    except TooManyElements:
        return None
    except (RecursionError, *_ENCODING_ERRORS):
        return encode(message)  # raises an error that names the field


def decode(
    data: bytes | bytearray | memoryview,
    *,
    type: type[T],  # noqa: A002 - as in kakuri-json
    limits: Limits | None = None,
) -> T:
    """Decode a message.

    Fields may be in any order. If a field occurs more than once, the last value counts, and
    messages are merged. Unknown fields are skipped, or kept if the class has an attribute for them.

    Args:
        data: The complete message.
        type: A dataclass whose fields have numbers.
        limits: Limits on the cost of the message.

    Raises:
        DecodeError: The data is not a valid message of the type; has the path and the byte
            position.
        LimitError: The message exceeds a limit. This is also a DecodeError.
        UnsupportedTypeError: The class does not describe a message.
        TypeError: The data is not bytes, or the limits have the wrong type.

    Source: protobuf.dev/programming-guides/encoding.
    """
    limits = DEFAULT_LIMITS if limits is None else checked_limits(limits)
    b = data if isinstance(data, bytes) else to_bytes(data)
    size = len(b)
    if size > limits.size:
        text = f"expected at most {limits.size} bytes, got {size}"
        raise LimitError(text, "", 0, "size", limits.size)
    codec = codec_of(type)
    # A message of n bytes has at most n elements.
    decoder = codec.decoder if size <= limits.elements else codec.counting_decoder
    try:
        return cast("T", decoder(b, 0, size, limits.depth, [limits.elements, 0]))
    except LimitError as error:
        maximum: int = getattr(limits, error.limit)
        text = f"expected {_LIMIT_TEXTS[error.limit].format(maximum)}"
        raise LimitError(text, error.path, error.position, error.limit, maximum) from None
    except RecursionError:
        raise LimitError(_TOO_DEEP, "", 0, "depth", limits.depth) from None
