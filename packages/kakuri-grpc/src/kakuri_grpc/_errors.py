"""The errors of this package, grouped by what a caller can do about them.

GRPCError
├── StatusError                  the server responded with a status other than OK
│   ├── NotFound, AlreadyExists, …   one class for each status that callers handle
│   └── Unavailable              no response; `processed` says whether the call can be repeated
├── DeadlineExceeded (TimeoutError)   the deadline has passed; the server may have acted
├── MessageTooLarge (ValueError)      a message exceeds one of the limits
└── LocalError (RuntimeError)    the operation is not possible now
"""

from typing import Any

from kakuri_http2 import Processed

from kakuri_grpc._metadata import Metadata
from kakuri_grpc._status import StatusCode


class GRPCError(Exception):
    """Base class of all errors of this package."""


class StatusError(GRPCError):
    """A call ended with a status other than OK.

    Attributes:
        code: The status.
        message: The server's message.
        trailers: All metadata sent with the status, including `grpc-status-details-bin`.
    """

    def __init__(self, code: StatusCode, message: str = "", trailers: Metadata = ()) -> None:
        if not isinstance(code, StatusCode):
            raise TypeError(f"expected a StatusCode, got {code!r:.80}")
        if not isinstance(message, str):
            raise TypeError(f"expected a message, got {message!r:.80}")
        if not isinstance(trailers, tuple | list):
            raise TypeError(f"expected metadata as trailers, got {trailers!r:.80}")
        if code is StatusCode.OK:
            raise ValueError("expected the status of a failure, got OK")
        super().__init__(code, message, trailers)
        self.code: StatusCode = code
        self.message = message
        self.trailers = trailers

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}" if self.message else self.code.name

    @property
    def details(self) -> bytes:
        """The bytes of `grpc-status-details-bin`; empty if there are none."""
        for name, value in self.trailers:
            if name == "grpc-status-details-bin" and isinstance(value, bytes):
                return value
        return b""


class KnownStatusError(StatusError):
    """Base class of errors for a single status, which is their `code`."""

    code: StatusCode = StatusCode.UNKNOWN

    def __init__(self, message: str = "", trailers: Metadata = ()) -> None:
        super().__init__(self.code, message, trailers)
        self.args: tuple[Any, ...] = (message, trailers)


class Cancelled(KnownStatusError):
    """CANCELLED: the server's side cancelled the call."""

    code: StatusCode = StatusCode.CANCELLED


class InvalidArgument(KnownStatusError):
    """INVALID_ARGUMENT."""

    code: StatusCode = StatusCode.INVALID_ARGUMENT


class NotFound(KnownStatusError):
    """NOT_FOUND."""

    code: StatusCode = StatusCode.NOT_FOUND


class AlreadyExists(KnownStatusError):
    """ALREADY_EXISTS."""

    code: StatusCode = StatusCode.ALREADY_EXISTS


class PermissionDenied(KnownStatusError):
    """PERMISSION_DENIED."""

    code: StatusCode = StatusCode.PERMISSION_DENIED


class ResourceExhausted(KnownStatusError):
    """RESOURCE_EXHAUSTED: also the response to a message over the peer's limit."""

    code: StatusCode = StatusCode.RESOURCE_EXHAUSTED


class FailedPrecondition(KnownStatusError):
    """FAILED_PRECONDITION."""

    code: StatusCode = StatusCode.FAILED_PRECONDITION


class Unimplemented(KnownStatusError):
    """UNIMPLEMENTED: the server does not know the method."""

    code: StatusCode = StatusCode.UNIMPLEMENTED


class Unauthenticated(KnownStatusError):
    """UNAUTHENTICATED."""

    code: StatusCode = StatusCode.UNAUTHENTICATED


class Unavailable(KnownStatusError):
    """There is no response: there is no connection, it broke, or the server is shutting down.

    Attributes:
        processed: NO if the server certainly did not process the call, so that it is safe to retry.
    """

    code: StatusCode = StatusCode.UNAVAILABLE

    def __init__(
        self,
        message: str = "",
        trailers: Metadata = (),
        processed: Processed = Processed.UNKNOWN,
    ) -> None:
        super().__init__(message, trailers)
        self.args: tuple[Any, ...] = (message, trailers, processed)
        self.processed = processed


class DeadlineExceeded(GRPCError, TimeoutError):
    """The deadline of a call has passed. The server may have processed it, or may still do so.

    Attributes:
        seconds: The timeout of the call.
        message: The server's message if it responded with DEADLINE_EXCEEDED, because its own work
            for the call may have a shorter deadline.
    """

    def __init__(self, seconds: float, message: str = "") -> None:
        super().__init__(seconds, message)
        self.seconds = seconds
        self.message = message

    def __str__(self) -> str:
        return self.message or f"the call took longer than {self.seconds:g} s"


class MessageTooLarge(GRPCError, ValueError):
    """A message exceeds the size limit.

    Attributes:
        size: Size of the message in bytes; for a received message, the announced size.
        limit: Maximum size in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"expected a message of at most {self.limit} bytes, got {self.size}"


class LocalError(GRPCError, RuntimeError):
    """The operation is not possible now, such as a call on a closed channel."""


_CLASSES: dict[StatusCode, type[KnownStatusError]] = {
    error.code: error
    for error in (
        Cancelled,
        InvalidArgument,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Unimplemented,
        Unauthenticated,
        Unavailable,
    )
}


def status_error(code: StatusCode, message: str, trailers: Metadata = ()) -> StatusError:
    """Create the error for a status, of the right class.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The status is OK.
    """
    if not isinstance(code, StatusCode):
        raise TypeError(f"expected a StatusCode, got {code!r:.80}")
    known = _CLASSES.get(code)
    return StatusError(code, message, trailers) if known is None else known(message, trailers)
