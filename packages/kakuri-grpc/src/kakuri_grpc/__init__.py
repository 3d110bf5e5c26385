"""gRPC over HTTP/2: channels and servers, for all four kinds of calls."""

from kakuri_http2 import Processed
from kakuri_protobuf import Method

from kakuri_grpc._call import Call
from kakuri_grpc._channel import Channel
from kakuri_grpc._connections import ChannelState
from kakuri_grpc._errors import (
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    GRPCError,
    InvalidArgument,
    LocalError,
    MessageTooLarge,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StatusError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    status_error,
)
from kakuri_grpc._limits import Backoff, Keepalive, Limits
from kakuri_grpc._metadata import Metadata
from kakuri_grpc._server import Server, ServerCall
from kakuri_grpc._status import StatusCode
from kakuri_grpc._version import __version__

__all__ = [
    "AlreadyExists",
    "Backoff",
    "Call",
    "Cancelled",
    "Channel",
    "ChannelState",
    "DeadlineExceeded",
    "FailedPrecondition",
    "GRPCError",
    "InvalidArgument",
    "Keepalive",
    "Limits",
    "LocalError",
    "MessageTooLarge",
    "Metadata",
    "Method",
    "NotFound",
    "PermissionDenied",
    "Processed",
    "ResourceExhausted",
    "Server",
    "ServerCall",
    "StatusCode",
    "StatusError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "__version__",
    "status_error",
]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
