"""The errors of this package, grouped by what a caller can do about them.

ProtobufError (ValueError)
├── DecodeError                  the bytes are not a valid message of the type
│   └── LimitError               the bytes exceed one of the Limits
├── EncodeError                  a field of the message holds a value that its kind cannot encode
├── UnsupportedTypeError (TypeError)   the class does not describe a message: the program's mistake
└── ProtoSyntaxError             a .proto file is not valid
"""

from typing import Any


class ProtobufError(ValueError):
    """Base class of all errors of this package."""


class DecodeError(ProtobufError):
    """The bytes are not a valid message.

    Attributes:
        message: What was expected and what was found, without the location.
        path: Location in the message, such as `status.mounts[2].host_path`; empty for the message
            itself.
        position: Index of the byte at which decoding failed, counted from the start of the data.
    """

    def __init__(self, message: str, path: str = "", position: int = -1) -> None:
        super().__init__(message, path, position)
        self.message = message
        self.path: str = path
        self.position: int = position

    def placed(self, path: str, position: int) -> "DecodeError":
        """Return this error with a new location; decoders add it as the error propagates."""
        self.path = path
        self.position = position
        self.args: tuple[Any, ...] = (self.message, path, position, *self.args[3:])
        return self

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{place}{self.message} at byte {self.position}"


class LimitError(DecodeError):
    """The data exceeds one of the limits.

    Attributes:
        limit: Name of the field of Limits.
        maximum: The value of that limit.
    """

    def __init__(
        self, message: str, path: str = "", position: int = -1, limit: str = "", maximum: int = 0
    ) -> None:
        super().__init__(message, path, position)
        self.args: tuple[Any, ...] = (message, path, position, limit, maximum)
        self.limit = limit
        self.maximum = maximum


class EncodeError(ProtobufError):
    """A field holds a value that cannot be encoded.

    Attributes:
        message: What was expected and what was found, without the location.
        path: Location in the message, such as `config.env[0].key`.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message, path)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class UnsupportedTypeError(ProtobufError, TypeError):
    """A class does not describe a protobuf message."""


class ProtoSyntaxError(ProtobufError):
    """A .proto file is not valid.

    Attributes:
        message: What was expected and what was found, without the location.
        file: Name of the file, as passed by the caller.
        line: Line of the first invalid token, from 1.
        column: Column of the first invalid token in characters, from 1.
    """

    def __init__(self, message: str, file: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message, file, line, column)
        self.message = message
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"
