"""Determines the outcome of a call from the head and trailers of a response.

Sources: the gRPC documents "gRPC over HTTP2" (section "Responses") and "HTTP to gRPC status code
mapping".
"""

from kakuri_http2 import Processed
from kakuri_http2.hpack import Field

from kakuri_grpc._errors import DeadlineExceeded, StatusError, Unavailable, status_error
from kakuri_grpc._metadata import Metadata, decode_message, decode_metadata, is_grpc
from kakuri_grpc._status import (
    StatusCode,
    status_of_http,
    status_of_number,
    status_of_reset,
)

Fields = tuple[Field, ...]


def check_head(status: int, fields: Fields) -> bool:
    """Check the head of a response.

    Returns:
        Whether messages follow; if not, the head includes the status of the call.

    Raises:
        StatusError: It is not the head of a gRPC response, or its metadata can't be decoded.
    """
    named = dict(fields)
    kind = named.get(b"content-type", b"")
    metadata = read_metadata(fields)
    if b"grpc-status" in named:
        return False
    if status != 200 or not is_grpc(kind):
        text = f"expected a gRPC response, got HTTP status {status} and {kind!r}"
        raise status_error(status_of_http(status), text, metadata)
    return True


def check_trailers(fields: Fields, timeout: float | None) -> Metadata:
    """Return the metadata of the trailers of a call that ended with OK.

    Args:
        fields: The trailers, or the head if there are no trailers.
        timeout: The timeout of the call in seconds; None for no limit.

    Raises:
        StatusError: The status is not OK, or there is none.
        DeadlineExceeded: The status is DEADLINE_EXCEEDED.
    """
    metadata = read_metadata(fields)
    named = dict(fields)
    number = named.get(b"grpc-status")
    if number is None:
        raise status_error(StatusCode.UNKNOWN, "the response has no grpc-status", metadata)
    code = status_of_number(number)
    if code is StatusCode.OK:
        return metadata
    message = decode_message(named.get(b"grpc-message", b""))
    if not message and code is StatusCode.UNKNOWN and number != b"2":  # not the number of a code
        message = f"expected a grpc-status from 0 to 16, got {number!r:.80}"
    if code is StatusCode.DEADLINE_EXCEEDED and timeout is not None:
        raise DeadlineExceeded(timeout, message)
    raise status_error(code, message, metadata)


def early_end(
    message: str, code: int, processed: Processed, *, is_connection_over: bool
) -> StatusError:
    """Return the status of a call whose stream ended before its trailers.

    Args:
        message: What happened.
        code: The code of the RST_STREAM frame.
        processed: Whether the server may have processed the call.
        is_connection_over: Whether the stream ended with its connection.
    """
    status = status_of_reset(code)
    is_unavailable = is_connection_over or processed is Processed.NO
    if is_unavailable or status is StatusCode.UNAVAILABLE:
        return Unavailable(message=message, processed=processed)
    return status_error(status, message)


def read_metadata(fields: Fields) -> Metadata:
    """Decode the metadata in fields.

    Raises:
        StatusError: A value is not base64; this fails the call, but not the connection.
    """
    try:
        return decode_metadata(fields)
    except ValueError as error:
        raise status_error(StatusCode.INTERNAL, str(error)) from error
