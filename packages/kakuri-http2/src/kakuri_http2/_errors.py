"""The errors of this package.

HTTP2Error
├── RemoteProtocolError (ValueError)   the peer broke the protocol; the connection has to end
│   ├── HPACKError                     a header block is not valid
│   └── LimitExceeded                  the peer exceeds one of the Limits
├── HeaderListTooLarge (ValueError)    one message's fields are too many; its stream is reset
└── LocalProtocolError (RuntimeError)  this side may not do that now: the program's mistake
"""

import enum
from typing import Any


class ErrorCode(enum.IntEnum):
    """Why a stream or a connection ended (RFC 9113 section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class HTTP2Error(Exception):
    """Base class of all errors of this package."""


class RemoteProtocolError(HTTP2Error, ValueError):
    """The peer violated the protocol, and the connection has to end.

    Attributes:
        message: What was expected and what was received.
        code: The error code of the GOAWAY frame.
    """

    def __init__(self, message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.code.name})"


class HPACKError(RemoteProtocolError):
    """A header block is invalid, so the tables of both sides may no longer match."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.COMPRESSION_ERROR) -> None:
        super().__init__(message, code)


class LimitExceeded(RemoteProtocolError):
    """The peer exceeded a limit.

    Attributes:
        limit: Name of the field of Limits.
        maximum: Value of that limit.
    """

    def __init__(
        self,
        message: str,
        code: ErrorCode = ErrorCode.ENHANCE_YOUR_CALM,
        limit: str = "",
        maximum: int = 0,
    ) -> None:
        super().__init__(message, code)
        self.args: tuple[Any, ...] = (message, code, limit, maximum)
        self.limit = limit
        self.maximum = maximum


class HeaderListTooLarge(HTTP2Error, ValueError):
    """The fields of one message are too large; the connection remains usable.

    Attributes:
        maximum: Maximum size of names and values in bytes, plus 32 for each field.
    """

    def __init__(self, maximum: int) -> None:
        super().__init__(maximum)
        self.maximum = maximum

    def __str__(self) -> str:
        return f"expected fields of at most {self.maximum} bytes"


class LocalProtocolError(HTTP2Error, RuntimeError):
    """The program tried something that the protocol does not allow in the current state."""
