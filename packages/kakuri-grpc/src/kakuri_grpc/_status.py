"""Status codes, and the codes for responses without a gRPC status.

Sources: the gRPC documents "Status codes", "HTTP to gRPC status code mapping" and "gRPC over
HTTP2" (section "Errors").
"""

import enum


class StatusCode(enum.IntEnum):
    """How a call ended."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_BY_HTTP_STATUS = {
    400: StatusCode.INTERNAL,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.UNIMPLEMENTED,
    429: StatusCode.UNAVAILABLE,
    431: StatusCode.INTERNAL,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.UNAVAILABLE,
}

_BY_RESET_CODE = {
    0x7: StatusCode.UNAVAILABLE,  # REFUSED_STREAM
    0x8: StatusCode.CANCELLED,
    0xB: StatusCode.RESOURCE_EXHAUSTED,  # ENHANCE_YOUR_CALM
    0xC: StatusCode.PERMISSION_DENIED,  # INADEQUATE_SECURITY
}


def status_of_http(status: int) -> StatusCode:
    """Return the code for a response without the content type of gRPC."""
    return _BY_HTTP_STATUS.get(status, StatusCode.UNKNOWN)


def status_of_reset(code: int) -> StatusCode:
    """Return the code for a stream that the peer has reset."""
    if code in _BY_RESET_CODE:
        return _BY_RESET_CODE[code]
    return StatusCode.INTERNAL if code <= 0xD else StatusCode.UNKNOWN


_BY_NUMBER = {b"%d" % code: code for code in StatusCode}


def status_of_number(number: bytes) -> StatusCode:
    """Return the code for the value of `grpc-status`; UNKNOWN for an unknown number."""
    return _BY_NUMBER.get(number, StatusCode.UNKNOWN)
